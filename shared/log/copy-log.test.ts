import { BEGINNING, type FactId } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { compareLogs, copyLog, LogsDiffer, type SamePlace } from './copy-log.ts';
import type { EventLog } from './event-log.ts';
import { follow, isCaughtUp, newFact, newFacts, newFamily } from './event-log-facts.contract.ts';
import { createMemoryEventLog } from './memory-event-log.ts';

const signal = new AbortController().signal;
const sleep = () => Promise.resolve();
const copy = (from: EventLog, to: EventLog, more: object = {}) => copyLog({ from, to, sleep, ...more }, signal);
const allOf = async (log: EventLog) => (await follow(log, { after: BEGINNING }, isCaughtUp)).facts;

/** Streams that grow by turns, one fact or some at a time. */
async function filled(appends = 300): Promise<EventLog> {
  const log = createMemoryEventLog();
  const family = newFamily();
  const revisions = new Map<number, number>();
  for (let n = 0; n < appends; n += 1) {
    const stream = (n * 7919) % 41;
    const before = revisions.get(stream) ?? -1;
    const facts = newFacts(1 + (n % 3));
    await log.append(family.of(stream), before < 0 ? 'noStream' : before, facts);
    revisions.set(stream, before + facts.length);
  }
  return log;
}

test('every fact comes over, in its order, with its stream, revision, id and time; the places of each are told', async () => {
  const [from, to] = [await filled(), createMemoryEventLog()];
  await copy(from, to);
  const places: SamePlace[] = [];
  const { facts, digest } = await compareLogs({ from, to, sleep }, { pageFacts: 50, onPage: async (page) => { places.push(...page); } }, signal);
  const [left, right] = [await allOf(from), await allOf(to)];
  expect(right).toEqual(left);
  expect([facts, digest]).toEqual([left.length, expect.stringMatching(/^[0-9a-f]{64}$/)]);
  expect(places).toEqual(left.map(({ position }, n) => ({ from: position, to: right[n]?.position })));
});

test('a copy that ended in the middle is gone on with, and nothing of it is appended again', async () => {
  const [from, to] = [await filled(), createMemoryEventLog()];
  const stopping = new AbortController();
  await expect(copyLog({ from, to, sleep, onFact: (_, facts) => { if (facts === 100) stopping.abort(); } }, stopping.signal)).rejects.toThrow();
  expect(await allOf(to)).toHaveLength(100);
  let appends = 0;
  await copy(from, { ...to, append: (...words) => { appends += 1; return to.append(...words); } });
  expect(appends).toBe((await allOf(from)).length - 100);
  expect(await allOf(to)).toEqual(await allOf(from));
});

test('a log that is away is asked until it is back, and what it had taken without an answer is there once', async () => {
  const [from, to] = [await filled(40), createMemoryEventLog()];
  let [calls, away] = [0, 0];
  await copy(from, { ...to, append: async (...words) => {
    calls += 1;
    if (calls % 3 === 0) throw new Unavailable('event log', 'refused');
    const outcome = await to.append(...words);
    if (calls % 5 === 0) throw new Unavailable('event log', 'taken, and not answered');
    return outcome;
  } }, { onAway: () => { away += 1; } });
  expect(away).toBeGreaterThan(10);
  expect(await allOf(to)).toEqual(await allOf(from));
});

describe('a log that holds anything else is not written to', () => {
  test.each([
    ['facts of another engine', async (to: EventLog) => { await to.append(newFamily().of('a'), 'noStream', newFacts(1)); }],
    ['the same facts and one more', async (to: EventLog, from: EventLog) => { await copy(from, to); await to.append(newFamily().of('a'), 'noStream', newFacts(1)); }],
    ['the same fact with other data', async (to: EventLog, from: EventLog) => {
      const [first] = await allOf(from);
      await to.append(first!.stream, 'noStream', [{ ...first!, data: { changed: true } }]);
    }],
  ])('%s', async (_, prepare) => {
    const [from, to] = [await filled(20), createMemoryEventLog()];
    await prepare(to, from);
    const before = await to.head();
    await expect(copy(from, to)).rejects.toThrow(LogsDiffer);
    expect(await to.head()).toBe(before);
  });
});

test('a fact that was lost, changed or added is found by comparing', async () => {
  const compare = (from: EventLog, to: EventLog) => compareLogs({ from, to, sleep }, { pageFacts: 1_000, onPage: () => Promise.resolve() }, signal);
  const [from, to, shorter] = [createMemoryEventLog(), createMemoryEventLog(), createMemoryEventLog()];
  const stream = newFamily().of('a');
  const facts = newFacts(3);
  await from.append(stream, 'noStream', facts);
  await shorter.append(stream, 'noStream', facts.slice(0, 2));
  await to.append(stream, 'noStream', [...facts.slice(0, 2), newFact({ id: facts[2]!.id as FactId, time: '2026-01-02T03:04:05.679Z' })]);
  await expect(compare(from, shorter)).rejects.toThrow('is not there');
  await expect(compare(shorter, from)).rejects.toThrow('Behind the last fact');
  await expect(compare(from, to)).rejects.toThrow('was to stand');
  expect(await compare(from, from)).toMatchObject({ facts: 3 });
});
