import { randomUUID } from 'node:crypto';
import type fc from 'fast-check';
import type { FactId, StreamName } from '#schemas/brand.ts';
import type { FactTopic, PlacedFact, TopicWriter } from '#shared/bus/fact-topic.ts';
import { createMemoryFactTopic, type MemoryFactTopic } from '#shared/bus/memory-fact-topic.ts';
import type { Batch, EventLog, Recorded } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { followLog } from './follow-log.ts';
import { createLag } from './lag.ts';

// Relays that write to one topic at once, in every order that a scheduler can think of: as if none of them knew of a lease.

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

export interface RelayScript {
  /** After how many writes it is killed; what it has sent then may still arrive. */
  readonly killedAfter: number;
  /** Of each page of the log that it reads so many facts at once, in turn. */
  readonly pieces: readonly number[];
  readonly checkpointEveryMs: number;
  /** Of its writes to one partition, which of them arrive a second time, some time. */
  readonly doubled: readonly boolean[];
}

export async function logOf(count: number): Promise<EventLog> {
  const log = createMemoryEventLog();
  for (let number = 0; number < count; number += 1) {
    await log.append(`command-${number}` as StreamName, 'noStream', [{
      id: randomUUID() as FactId, type: 'sync.requested', schemaVersion: 1, key: KEYS[(number * 5 + Math.floor(number / 3)) % KEYS.length]!, time: '2026-01-01T00:00:00.000Z',
      actor: { kind: 'worker', id: 'test' }, correlationId: 'test', causationId: null, data: {},
    }]);
  }
  return log;
}

/** Each works until the end of the log, or is killed; what goes wrong has it open the topic anew. Resolves when nothing is under way any more. */
export async function runRelays(scheduler: fc.Scheduler, { log, topic, scripts }: { log: EventLog; topic: MemoryFactTopic; scripts: readonly RelayScript[] }): Promise<void> {
  const all = scripts.map(async (script, index) => {
    const one = disturbed(scheduler, { topic, script, name: `relay ${index}` });
    for (let tries = 0; tries < 8 && !one.life.signal.aborted; tries += 1) {
      const isDone = await untilEnd({ log: inPieces(log, script.pieces), topic: one.topic, checkpointEveryMs: script.checkpointEveryMs, life: one.life.signal }).then(() => true, (error: unknown) => {
        if (!(error instanceof Unavailable)) throw error;
        return false;
      });
      if (isDone) break;
    }
  });
  await scheduler.waitFor(Promise.all(all));
  await scheduler.waitIdle();
}

/** One relay that is disturbed by nobody, to the end of the log. */
export function runAlone(log: EventLog, topic: FactTopic): Promise<void> {
  return untilEnd({ log, topic, checkpointEveryMs: 0, life: new AbortController().signal });
}

/** What consumers keep: of each partition what is above all before it. */
export function keptOf(topic: MemoryFactTopic): Recorded[][] {
  return topic.records.map((all) => {
    let highest = '';
    return all.filter(({ position }) => position > highest && (highest = position) !== '');
  });
}

/** What should be kept. */
export async function wantedOf(log: EventLog): Promise<Recorded[][]> {
  const topic = createMemoryFactTopic();
  await runAlone(log, topic);
  return topic.records.map((all) => [...all]);
}

async function untilEnd({ log, topic, checkpointEveryMs, life }: { log: EventLog; topic: FactTopic; checkpointEveryMs: number; life: AbortSignal }): Promise<void> {
  const ended = new AbortController();
  const signal = AbortSignal.any([ended.signal, life]);
  const end = await log.head();
  const lag = createLag({ metrics: createMetrics(), now: () => new Date(0) });
  const writer = await topic.open('epoch', signal);
  async function* toTheEnd(options: Parameters<EventLog['subscribe']>[0]): AsyncGenerator<Batch> {
    for await (const batch of log.subscribe(options)) {
      yield batch;
      if (batch.position >= end) ended.abort();
    }
  }
  await followLog({ log: { subscribe: toTheEnd }, writer, lag, checkpointEveryMs, sleep: () => new Promise(() => undefined) }, signal);
}

function inPieces(log: EventLog, pieces: readonly number[]): EventLog {
  async function* subscribe(options: Parameters<EventLog['subscribe']>[0]): AsyncGenerator<Batch> {
    let turn = 0;
    for await (const { facts, position, isCaughtUp } of log.subscribe(options)) {
      for (let from = 0; from < facts.length || (from === 0 && facts.length === 0);) {
        const to = Math.min(facts.length, from + pieces[turn++ % pieces.length]!);
        const isLast = to === facts.length;
        yield { facts: facts.slice(from, to), position: isLast ? position : facts[to - 1]!.position, isCaughtUp: isLast && isCaughtUp };
        if (isLast) break;
        from = to;
      }
    }
  }
  return { ...log, subscribe };
}

/** As a broker far away sees it: each partition's share of a write arrives by itself, whenever, also after its sender has died. */
function disturbed(scheduler: fc.Scheduler, { topic, script, name }: { topic: MemoryFactTopic; script: RelayScript; name: string }) {
  const life = new AbortController();
  let writes = 0;
  let shares = 0;
  const arrival = async (what: string, effect: () => Promise<void>) => {
    await scheduler.schedule(Promise.resolve(), `${name}: ${what}`);
    await effect();
  };
  const writerOf = (writer: TopicWriter): TopicWriter => ({
    ...writer,
    async write(batch) {
      writes += 1;
      if (writes > script.killedAfter) life.abort();
      const results = await Promise.allSettled([...new Set(batch.map(({ partition }) => partition))].map((partition) => {
        const share = batch.filter((one) => one.partition === partition);
        if (script.doubled[shares++ % script.doubled.length] === true) void arrival(`again ${partition}`, async () => add(topic, share));
        return arrival(`write ${partition}`, () => writer.write(share));
      }));
      // Who is dead hears nothing.
      if (life.signal.aborted) throw new Unavailable('topic', 'dead');
      for (const result of results) if (result.status === 'rejected') throw result.reason as Error;
    },
    checkpoint: (position) => arrival('checkpoint', () => (life.signal.aborted ? Promise.resolve() : writer.checkpoint(position))),
  });
  return { life, topic: { open: async (epoch: string, signal: AbortSignal) => { await scheduler.schedule(Promise.resolve(), `${name}: open`); return writerOf(await topic.open(epoch, signal)); } } };
}

function add(topic: MemoryFactTopic, share: readonly PlacedFact[]): void {
  for (const { fact, partition } of share) (topic.records[partition] as Recorded[]).push(fact);
}
