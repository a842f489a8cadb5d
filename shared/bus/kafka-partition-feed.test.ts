import type { KafkaMessage } from 'kafkajs';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { append, until } from './bus-bench.contract.ts';
import type { Committed } from './kafka-offsets.ts';
import { createPartitionFeed } from './kafka-partition-feed.ts';
import { encodeFactRecord } from './kafka-records.ts';

/** A log of so many facts, and the feed of the one partition that holds them all. */
async function feedOf(count: number, { low = 0, high = low, committed, after = BEGINNING }: { low?: number; high?: number; committed?: Committed; after?: Position } = {}) {
  const log = createMemoryEventLog();
  for (let number = 1; number <= count; number += 1) await append(log, `a${number}`);
  const facts: Recorded[] = [];
  const stopping = new AbortController();
  for await (const batch of log.subscribe({ after: BEGINNING, prefixes: [], signal: new AbortController().signal })) {
    facts.push(...batch.facts);
    if (batch.isCaughtUp) break;
  }
  const asked: string[] = [];
  const feed = createPartitionFeed({
    log, logger: createLogger('silent'), partition: 0, partitions: 1, types: ['sync.requested'],
    look: async () => ({ bounds: { low, high }, committed }), read: (offset) => asked.push(`read ${offset}`), pause: () => asked.push('pause'), resume: () => asked.push('resume'),
  });
  const given: string[] = [];
  let reached = after;
  const following = (async () => { for await (const batch of feed.follow(after, stopping.signal)) { given.push(...batch.facts.map((fact) => fact.correlationId)); reached = batch.position; } })();
  await until('it reads', () => feed.nextOffset() !== undefined);
  const message = (number: number, offset: number) => {
    const { key, value, headers } = encodeFactRecord(facts[number - 1]!);
    return { offset: String(offset), key: Buffer.from(key), value: Buffer.from(value), headers: { ...headers } } as unknown as KafkaMessage;
  };
  return {
    feed, given, asked, at: (number: number) => facts[number - 1]!.position, reached: () => reached,
    /** Records of these facts, from that offset on. */
    come: (offset: number, ...numbers: number[]) => feed.take({ messages: numbers.map((number, index) => message(number, offset + index)), end: offset + numbers.length }),
    stop: async () => { stopping.abort(); await following; },
  };
}

test('what stands there twice is given once', async () => {
  const one = await feedOf(4);
  one.come(0, 1, 2, 3, 2, 3);
  one.come(5, 3, 4);
  await until('all are given', () => one.given.length >= 4);
  await one.stop();
  expect(one.given).toEqual(['a1', 'a2', 'a3', 'a4']);
});

test('a hole in the offsets is filled from the log, in order', async () => {
  const one = await feedOf(5);
  one.come(0, 1, 2);
  one.come(4, 5);
  await until('all are given', () => one.given.length >= 5);
  await one.stop();
  expect(one.given).toEqual(['a1', 'a2', 'a3', 'a4', 'a5']);
});

test('a topic that was made anew under it, without what had stood there twice, loses nothing', async () => {
  const one = await feedOf(9);
  // A relay was taken over from.
  one.come(0, 1, 2, 2, 3);
  await until('it has come so far', () => one.given.length >= 3);
  // Filled from the beginning: Kafka's client reads what there is.
  one.come(0, 1, 2, 3, 4);
  one.come(4, 5, 6);
  await until('all are given', () => one.given.length >= 6);
  expect(one.feed.nextOffset()).toBe(6);
  // Once more, and the oldest of it is gone again.
  one.come(0, 8);
  one.come(1, 9);
  await until('all are given', () => one.given.length >= 9);
  await one.stop();
  expect(one.given).toEqual(['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'a8', 'a9']);
});

test('what has come before comes again, and moves nothing', async () => {
  const one = await feedOf(4);
  one.come(0, 1, 2, 3);
  one.come(1, 2, 3);
  one.come(0, 1);
  one.come(3, 4);
  await until('all are given', () => one.given.length >= 4);
  expect(one.feed.nextOffset()).toBe(4);
  await one.stop();
  expect(one.given).toEqual(['a1', 'a2', 'a3', 'a4']);
  expect(one.feed.placeOf(one.at(3))).toEqual({ offset: 3, position: one.at(3) });
});

test('it begins at the offset that was committed, where that is behind what is remembered; else at what is there', async () => {
  const first = await feedOf(0);
  await first.stop();
  const position = (number: number) => String(number).padStart(20, '0') as Position;
  const known = await feedOf(4, { high: 4, after: position(3), committed: { offset: 2, position: position(2) } });
  expect(known.asked).toEqual(['read 2']);
  known.come(2, 3, 4);
  await until('the rest is given', () => known.given.length >= 1);
  await known.stop();
  expect(known.given).toEqual(['a4']);
  // Of a topic that was made anew, or whose beginning is gone; or from before the memory was set back.
  for (const committed of [{ offset: 9, position: position(2) }, { offset: 0, position: position(2) }, { offset: 3, position: position(4) }]) {
    const unknown = await feedOf(4, { low: 1, high: 4, after: position(3), committed });
    await unknown.stop();
    expect(unknown.asked).toEqual(['read 1']);
  }
});

test('a partition where nothing happens goes on with the relay, and not before it has read what the relay has written there', async () => {
  const one = await feedOf(3, { after: BEGINNING });
  one.come(0, 1);
  await until('the first is given', () => one.given.length === 1);
  one.feed.tellRelayed({ position: one.at(3), end: 2 });
  one.come(1, 2);
  await until('it is where the relay is', () => one.reached() === one.at(3));
  expect(one.given).toEqual(['a1', 'a2']);
  expect(one.feed.placeOf(one.at(2))).toEqual({ offset: 2, position: one.at(2) });
  expect(one.feed.placeOf(one.at(3))).toEqual({ offset: 2, position: one.at(3) });
  await one.stop();
});

test('what was emptied while it was read is read from the log, though nothing stands behind it', async () => {
  const one = await feedOf(3);
  one.come(0, 1);
  await until('the first is given', () => one.given.length === 1);
  one.feed.tellRelayed({ position: one.at(3), end: 3 });
  await until('it is known to be behind', () => one.feed.isBehind());
  expect(one.feed.isStuckAt({ low: 1, high: 3 })).toBe(false);
  expect(one.feed.isStuckAt({ low: 3, high: 3 })).toBe(true);
  one.feed.skipTo({ low: 3, high: 3 });
  await until('all are given', () => one.given.length === 3);
  await one.stop();
  expect(one.given).toEqual(['a1', 'a2', 'a3']);
});
