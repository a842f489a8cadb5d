import { REDRIVE_LOOK_EVERY_MS, runShare, UNFINISHED_MAX, type GroupRun } from './consumer-group.ts';
import type { Consumer } from './bus.ts';
import type { KafkaClient } from './kafka-client.ts';
import { createMembership, type KafkaTiming, type MemberEvents } from './kafka-membership.ts';
import { lookAtOffsets, type Committed } from './kafka-offsets.ts';
import { createPartitionFeed, type PartitionFeed } from './kafka-partition-feed.ts';
import { partitionOf } from './kafka-records.ts';
import type { RelayCheckpoint } from './kafka-relay-checkpoint.ts';
import { lead, type Held } from './lead.ts';
import type { LogBusDeps } from './log-bus.ts';
import { backoffMs, createPatience } from './patience.ts';
import { createRoom } from './room.ts';
import { createSlots } from './slots.ts';
import type { EventLog } from '#shared/log/event-log.ts';

export interface KafkaBusDeps extends LogBusDeps {
  /** What Kafka has no more is read from the log. */
  readonly log: Pick<EventLog, 'subscribe' | 'epoch'>;
  readonly client: KafkaClient;
  readonly timing: KafkaTiming;
}

/** Offsets in Kafka are for people and their tools, and a hint: the checkpoint that counts is in the group's memory. */
const COMMIT_EVERY_MS = 5_000;
/** A partition that was emptied while we read it says nothing by itself. */
const LOOK_AT_STUCK_EVERY_MS = 10_000;

/** A partition that is ours, or was and still has something in hand. */
interface Own {
  readonly stopping: AbortController;
  readonly ended: Promise<void>;
  /** Of the present term. */
  feed?: PartitionFeed;
  run?: GroupRun;
  saved?: Committed;
  committed?: Committed;
}

/** The lease and the checkpoint of a partition. With another count the same number is another share of the keys. */
export const shareName = (group: string, partition: number, partitions: number) => `${group}#${partition}/${partitions}`;

/** As Kafka, and who asks it, names the group. */
export const groupIdOf = ({ topics }: KafkaClient, group: string) => `${topics.facts}.${group}`;

export interface GroupOfProcess { readonly partitions: number; readonly running: Set<GroupRun> }

/**
 * Consumes for a group in this process. Kafka says which partitions are ours; the lease of each says that nobody else still works on
 * it, and its term keeps a stopped process from writing. Resolves once told to stop, and nothing is in hand.
 */
export async function consumeGroup(deps: KafkaBusDeps, consumer: Consumer, { partitions, running }: GroupOfProcess, signal: AbortSignal): Promise<void> {
  const { client, logger, timing, sleep, store } = deps;
  const groupId = groupIdOf(client, consumer.group);
  const look = shared(() => lookAtOffsets(client, groupId));
  const member = createMembership({ client, logger, timing, groupId, look, sleep });
  const own = new Map<number, Own>();
  const slots = createSlots(consumer.concurrency);
  const room = createRoom(UNFINISHED_MAX);
  const epoch = shared(() => deps.log.epoch());
  let relayed: RelayCheckpoint | undefined;
  const { every } = createPatience(deps, consumer.group, signal);

  const events: MemberEvents = {
    onAssigned(assigned) {
      for (const [partition, { stopping }] of own) if (!assigned.includes(partition)) stopping.abort();
      for (const partition of assigned) {
        const before = own.get(partition);
        if (before === undefined || before.stopping.signal.aborted) begin(partition, before?.ended);
        else goOn(partition, before.feed);
      }
    },
    onRecords: (partition, messages, end) => own.get(partition)?.feed?.take({ messages, end }),
    onRelayed({ epoch: theirs, position, ends }) {
      void epoch().then((ours) => {
        if (ours !== theirs) return;
        relayed = { epoch: theirs, position, ends };
        for (const [partition, { feed }] of own) if (feed !== undefined) tellRelayed(partition, feed);
      }, () => undefined);
    },
    async onLeft() {
      for (const { stopping } of own.values()) stopping.abort();
      await Promise.all([...own.values()].map(({ ended }) => ended));
    },
  };
  await Promise.all([
    member.run(events, signal),
    every(REDRIVE_LOOK_EVERY_MS, lookForRedriven), every(COMMIT_EVERY_MS, commit), every(LOOK_AT_STUCK_EVERY_MS, lookAtStuck),
  ]);

  function tellRelayed(partition: number, feed: PartitionFeed): void {
    if (relayed !== undefined) feed.tellRelayed({ position: relayed.position, end: relayed.ends[partition]?.offset ?? Infinity });
  }

  /** A new generation begins: Kafka's client knows no longer where it was. */
  function goOn(partition: number, feed: PartitionFeed | undefined): void {
    const offset = feed?.nextOffset();
    if (offset === undefined) return member.pause(partition);
    member.read(partition, offset);
    if (feed?.isPaused() === true) member.pause(partition);
  }

  function begin(partition: number, before: Promise<void> | undefined): void {
    member.pause(partition);
    const stopping = new AbortController();
    const work = async () => {
      await before;
      // As long as Kafka waits for who was stopped: there is no sense in waiting longer, or less.
      await lead(deps, { name: shareName(consumer.group, partition, partitions), leaseMs: timing.sessionMs, work: (held) => workOn(partition, one, held) }, stopping.signal);
      if (own.get(partition) === one) own.delete(partition);
    };
    const one: Own = { stopping, ended: Promise.resolve().then(work) };
    own.set(partition, one);
  }

  async function workOn(partition: number, one: Own, held: Held): Promise<void> {
    const feed = one.feed = createPartitionFeed({
      log: deps.log, logger, partition, partitions, types: consumer.types, look: async (asking) => { const { bounds, committed } = await untilAnswered(deps, look, asking); return { bounds: bounds[partition]!, committed: committed[partition] }; },
      read: (offset) => member.read(partition, offset), pause: () => member.pause(partition), resume: () => member.resume(partition),
    });
    // What was told before we had the lease: nothing more may be told for long.
    tellRelayed(partition, feed);
    const run = one.run = runShare(deps, consumer, {
      held, slots, room, has: (key) => partitionOf(key, partitions) === partition, follow: feed.follow,
      onSaved: (checkpoint) => { const place = feed.placeOf(checkpoint); if (place !== undefined) one.saved = place; },
    });
    running.add(run);
    try {
      await run.ended;
    } finally {
      running.delete(run);
      delete one.feed;
      delete one.run;
      if (own.get(partition) === one) member.pause(partition);
    }
  }

  async function lookForRedriven(): Promise<void> {
    const keys = new Set((await store.redriven(consumer.group)).map(({ key }) => partitionOf(key, partitions)));
    for (const partition of keys) await own.get(partition)?.run?.lookForRedriven();
  }

  async function commit(): Promise<void> {
    const fresh = [...own].filter(([, { saved, committed }]) => saved !== undefined && saved !== committed);
    if (fresh.length === 0) return;
    try {
      await member.commit(fresh.map(([partition, { saved }]) => ({ partition, ...saved! })));
      for (const [, one] of fresh) if (one.saved !== undefined) one.committed = one.saved;
    } catch (error) {
      // Nothing depends on it; it comes again.
      logger.debug({ groupId, error }, 'offsets were not committed');
    }
  }

  async function lookAtStuck(): Promise<void> {
    const reading = [...own].flatMap(([partition, { feed }]) => (feed === undefined || !feed.isBehind() ? [] : [{ partition, feed }]));
    if (reading.length === 0) return;
    const { bounds } = await look();
    for (const { partition, feed } of reading) if (feed.isStuckAt(bounds[partition]!)) feed.skipTo(bounds[partition]!);
  }
}

/** Rejects only when told to stop. */
async function untilAnswered<T>({ logger, sleep }: Pick<KafkaBusDeps, 'logger' | 'sleep'>, ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted) throw error;
      logger.info({ error }, 'waits for Kafka to say how its partitions stand');
      await sleep(backoffMs(failures), signal);
    }
  }
}

/** Who asks while it is under way gets the same answer: after a sharing out, each partition does. */
function shared<T>(ask: () => Promise<T>): () => Promise<T> {
  let asking: Promise<T> | undefined;
  return () => asking ??= ask().finally(() => { asking = undefined; });
}
