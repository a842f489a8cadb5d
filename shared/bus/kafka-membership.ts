import kafkajs, { type Consumer as KafkaConsumer, type ConsumerGroupJoinEvent, type EachBatchPayload, type KafkaMessage } from 'kafkajs';
import type { Logger } from '#shared/runtime/logger.ts';
import { stickyAssigner } from './kafka-assigner.ts';
import { inTime, leave, type KafkaClient } from './kafka-client.ts';
import type { Committed, Offsets } from './kafka-offsets.ts';
import { decodeCheckpoint, type RelayCheckpoint } from './kafka-relay-checkpoint.ts';
import { backoffMs } from './patience.ts';

export interface KafkaTiming {
  /** A process that was killed, or stopped, is left by its partitions after this. */
  readonly sessionMs: number;
  /**
   * So long the others wait at most for one to come to the new sharing out. Ours come at the next heartbeat: nothing long stands in its way.
   * Less than kafkajs waits for an answer (REQUEST_MS_MAX): where all were killed while they shared out, the broker waits so long for a
   * leader who is dead, and who gives up before it does comes anew, under a new name, leaving the old one as one more of the dead.
   */
  readonly rebalanceMs: number;
  readonly heartbeatMs: number;
  /** A broker that has nothing answers after this; one that has something, at once. */
  readonly fetchWaitMs: number;
}

export const KAFKA_TIMING: KafkaTiming = { sessionMs: 30_000, rebalanceMs: 15_000, heartbeatMs: 3_000, fetchWaitMs: 500 };

/** Of one partition in one answer: some 350 facts. With 24 partitions an answer has 6 MB at most. */
const PARTITION_BYTES_MAX = 262_144;

/** What comes of being a member. Everything is called at once when it happens, and must not take time. */
export interface MemberEvents {
  /** Which partitions are ours from now on. Nothing of them is fetched before `read`. */
  onAssigned(partitions: readonly number[]): void;
  onRecords(partition: number, messages: readonly KafkaMessage[], end: number): void;
  onRelayed(checkpoint: RelayCheckpoint): void;
  /** We are no member any longer, or are about to be none: resolves once nothing is in hand. */
  onLeft(): Promise<void>;
}

/** What can be asked for while we are one; else it has no effect. */
export interface Member {
  read(partition: number, offset: number): void;
  pause(partition: number): void;
  resume(partition: number): void;
  /** For people and their tools, and as a hint to whoever goes on. @throws whatever kafkajs does */
  commit(places: readonly (Committed & { readonly partition: number })[]): Promise<void>;
  owned(): readonly number[];
}

export interface MembershipDeps {
  readonly client: KafkaClient;
  readonly logger: Logger;
  readonly timing: KafkaTiming;
  readonly groupId: string;
  /** @throws Unavailable */
  look(): Promise<Offsets>;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** A member of Kafka's group, until told to stop: whatever crashes, falls silent or is away, a new consumer is begun. */
export function createMembership(deps: MembershipDeps): Member & { run(events: MemberEvents, signal: AbortSignal): Promise<void> } {
  const { client: { topics }, logger, groupId, sleep } = deps;
  let consumer: KafkaConsumer | undefined;
  /** Of the present consumer: rejects when it is let go. */
  let letGo: Promise<never> = new Promise(() => undefined);
  let owned: readonly number[] = [];
  const ofFacts = (partition: number) => [{ topic: topics.facts, partitions: [partition] }];

  return {
    run,
    owned: () => owned,
    read: (partition, offset) => whileRunning((own) => {
      own.seek({ topic: topics.facts, partition, offset: String(offset) });
      own.resume(ofFacts(partition));
    }),
    pause: (partition) => whileRunning((own) => own.pause(ofFacts(partition))),
    resume: (partition) => whileRunning((own) => own.resume(ofFacts(partition))),
    async commit(places) {
      if (consumer === undefined) return;
      // From a Kafka that is silent no answer comes for long: who is told to stop does not wait for it.
      await Promise.race([letGo, inTime('commit offsets', consumer.commitOffsets(places.map(({ partition, offset, position }) => ({ topic: topics.facts, partition, offset: String(offset), metadata: position }))))]);
    },
  };

  /** Between a crash and the next join kafkajs refuses all of this; what is wanted then is told it anew when it has joined. */
  function whileRunning(ask: (own: KafkaConsumer) => void): void {
    if (consumer === undefined) return;
    try {
      ask(consumer);
    } catch (error) {
      if (!(error instanceof kafkajs.KafkaJSNonRetriableError)) throw error;
    }
  }

  async function run(events: MemberEvents, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      const begun = performance.now();
      const reason = await live(events, signal);
      if (signal.aborted) return;
      failures = performance.now() - begun > deps.timing.sessionMs ? 1 : failures + 1;
      // Once an outage, not at each try.
      if (failures === 1) logger.warn({ groupId, reason }, 'the bus waits for Kafka');
      await sleep(backoffMs(failures), signal);
    }
  }

  /** Of one consumer. Resolves with why it ended. */
  async function live(events: MemberEvents, signal: AbortSignal): Promise<string> {
    const life = new AbortController();
    const leaving = new AbortController();
    letGo = new Promise((_, reject) => { life.signal.addEventListener('abort', () => reject(new Error('let go')), { once: true }); });
    letGo.catch(() => undefined);
    const own = createConsumer(deps, { owned: () => owned, isAlive: () => !leaving.signal.aborted });
    const hearing = watch(own, deps, life.signal);
    const begun = begin(own, { events, leaving: leaving.signal });
    const rejoined = watchJoins(own);
    const told = new Promise<string>((resolve) => { signal.addEventListener('abort', () => resolve('told to stop'), { once: true, signal: life.signal }); });
    try {
      return await Promise.race([told, hearing, begun.then(() => hearing)]);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      leaving.abort();
      // Still a member while what is in hand ends: nobody need begin it a second time.
      await events.onLeft();
      owned = [];
      consumer = undefined;
      life.abort();
      // kafkajs forgets a join that is under way when it is told to disconnect: what comes of it is a member for ever, whose
      // partitions nobody works on. So it is let come in first, also when that takes longer than we wait for it.
      await leave({ disconnect: () => Promise.allSettled([begun, rejoined()]).then(() => own.disconnect()) });
    }
  }

  /** Resolves when it has joined, or has been told to leave before it did. */
  async function begin(own: KafkaConsumer, { events, leaving }: { events: MemberEvents; leaving: AbortSignal }): Promise<void> {
    const { relay } = await deps.look();
    if (leaving.aborted) return;
    let relayOffset = Math.max(relay.low, relay.high - 1);
    own.on('consumer.group_join', ({ payload }) => {
      // A join that was under way when we were told to stop: whatever was begun now, nobody would end.
      if (leaving.aborted) return;
      consumer = own;
      owned = assignedOf(payload, topics.facts);
      own.seek({ topic: topics.relay, partition: 0, offset: String(relayOffset) });
      events.onAssigned(owned);
    });
    await own.connect();
    if (leaving.aborted) return;
    await own.subscribe({ topics: [topics.facts, topics.relay], fromBeginning: true });
    if (leaving.aborted) return;
    await own.run({
      autoCommit: false, eachBatchAutoResolve: false,
      async eachBatch({ batch, resolveOffset, isRunning, isStale }: EachBatchPayload) {
        const last = batch.messages.at(-1);
        if (!isRunning() || isStale() || last === undefined) return;
        resolveOffset(last.offset);
        const end = Number(batch.lastOffset()) + 1;
        if (batch.topic === topics.facts) return events.onRecords(batch.partition, batch.messages, end);
        relayOffset = Math.max(relayOffset, end - 1);
        tellCheckpoint(deps, last, events);
      },
    });
  }
}

function tellCheckpoint({ client: { topics }, logger }: MembershipDeps, { value }: KafkaMessage, events: MemberEvents): void {
  try {
    events.onRelayed(decodeCheckpoint(value, topics.relay));
  } catch (error) {
    logger.error({ error }, 'a checkpoint of the relay cannot be read');
  }
}

function createConsumer({ client: { kafka, topics }, groupId, timing }: MembershipDeps, { owned, isAlive }: { owned(): readonly number[]; isAlive(): boolean }): KafkaConsumer {
  return kafka.consumer({
    groupId, allowAutoTopicCreation: false, partitionAssigners: [stickyAssigner(topics, owned)],
    sessionTimeout: timing.sessionMs, rebalanceTimeout: timing.rebalanceMs, heartbeatInterval: timing.heartbeatMs,
    maxWaitTimeInMs: timing.fetchWaitMs, maxBytesPerPartition: PARTITION_BYTES_MAX,
    // Always, but for one that was let go: kafkajs would begin it anew beside its successor.
    retry: { restartOnFailure: async () => isAlive() },
  });
}

/** Resolves when it gave up, or has fetched nothing for longer than it may take to join. kafkajs is known to fall silent without a word. */
async function watch(consumer: KafkaConsumer, { timing, sleep, logger, groupId }: MembershipDeps, life: AbortSignal): Promise<string> {
  let heardAt = performance.now();
  let gaveUp: string | undefined;
  consumer.on('consumer.fetch', () => { heardAt = performance.now(); });
  consumer.on('consumer.crash', ({ payload: { error, restart } }) => {
    if (!restart) gaveUp = error.message;
    else logger.info({ groupId, reason: error.message }, 'the consumer begins anew');
  });
  const silentMsMax = timing.sessionMs + Math.max(timing.sessionMs, timing.rebalanceMs);
  while (!life.aborted) {
    await sleep(timing.sessionMs / 20, life);
    if (gaveUp !== undefined) return gaveUp;
    if (performance.now() - heardAt > silentMsMax) return `fetched nothing for ${Math.round(silentMsMax / 1_000)} s`;
  }
  return 'let go';
}

/** Returns how to wait until it is not just coming back from a crash. */
function watchJoins(consumer: KafkaConsumer): () => Promise<void> {
  let rejoined = Promise.resolve();
  let settle: () => void = () => undefined;
  consumer.on('consumer.crash', ({ payload: { restart } }) => {
    settle();
    if (restart) rejoined = new Promise((resolve) => { settle = resolve; });
  });
  // Said a moment before kafkajs takes it for running.
  consumer.on('consumer.group_join', () => void setImmediate(settle));
  return () => rejoined;
}

function assignedOf({ memberAssignment }: ConsumerGroupJoinEvent['payload'], topic: string): readonly number[] {
  return (memberAssignment[topic] as readonly number[] | undefined) ?? [];
}
