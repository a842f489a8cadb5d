import fc from 'fast-check';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BEGINNING, type Position, type StreamName } from '#schemas/brand.ts';
import { follow, hasFacts, idsOf, newFact, newFamily, type Family } from './event-log-facts.contract.ts';
import type { AppendOutcome, Appendable, EventLog, ExpectedRevision, Recorded } from './event-log.ts';

/*
 * Random histories against the plainest model there is: a list of ids a stream. Stricter than event-log.contract.ts in one
 * point that a real EventStoreDB was not asked about: the beginning of an append, alone, counts as its retry.
 */

/** Few streams and few pools of facts, so that writers meet and repeat each other all the time. */
const STREAMS = 3;
const WRITERS_MAX = 6;
/** Runs take 2 s; the rest is for making a failing history small. */
const SHRINK_MS_MAX = 20_000;

interface Step {
  readonly stream: number;
  /** Added to the revision that the writer believes in: mostly 0, sometimes a mistake. */
  readonly mistake: number;
  readonly facts: number;
  /** Sends the writer's append of so many steps ago again, instead of a new one. */
  readonly repeat: number | null;
  /** So many copies at once. */
  readonly copies: number;
  /** Turns of the event loop before it. */
  readonly pause: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  stream: fc.nat(STREAMS - 1),
  mistake: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.integer({ min: -2, max: 2 }) }),
  facts: fc.integer({ min: 1, max: 4 }),
  repeat: fc.option(fc.nat(4), { freq: 2 }),
  copies: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 2, max: 5 }) }),
  pause: fc.nat(3),
});

interface Asked { readonly stream: StreamName; readonly expected: ExpectedRevision; readonly facts: readonly Appendable[] }
interface Answered extends Asked { readonly outcome: AppendOutcome; readonly startedAt: number; readonly endedAt: number }

const numberOf = (expected: ExpectedRevision) => (expected === 'noStream' ? -1 : expected);
const revisionOf = (revision: number): ExpectedRevision => (revision < 0 ? 'noStream' : revision);

export function eventLogProperties(name: string, open: () => Promise<EventLog>, { runs }: { readonly runs: number }): void {
  describe(`${name}, whatever is asked of it`, () => {
    let log: EventLog;
    beforeAll(async () => { log = await open(); });
    // On a failure fast-check prints the seed and the smallest history; `fc.assert(…, { seed, path })` plays it again.
    const check = async <T>(arbitrary: fc.Arbitrary<T>, holds: (value: T) => Promise<void>) => {
      let underWay = Promise.resolve();
      const asserted = fc.assert(fc.asyncProperty(arbitrary, (value) => (underWay = holds(value))), { numRuns: runs, interruptAfterTimeLimit: SHRINK_MS_MAX });
      // On a busy machine the limit comes in the middle of a history, which is gone on with: it counts too, and its reader must not meet a closed log.
      await asserted.catch(async (error: unknown) => { await underWay.catch(() => undefined); throw error; });
      await underWay;
    };

    test('one writer gets the answers that a list of ids a stream would give', () =>
      check(fc.array(step, { maxLength: 30 }), async (steps) => { await agreesWithModel(log, newFamily(), steps); }), 60_000);

    test('many writers at once lose nothing, double nothing, and every reader sees the same', () =>
      check(fc.tuple(fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: WRITERS_MAX }), fc.array(fc.nat(20), { maxLength: 3 })),
        async ([writers, readersAt]) => { await keepsItsWord(log, writers, readersAt); }), 60_000);
  });
}

async function agreesWithModel(log: EventLog, family: Family, steps: readonly Step[]): Promise<void> {
  const model = new Map<StreamName, string[]>();
  const asked: Asked[] = [];
  for (const one of steps) {
    const next = askFor(family, one, asked, (stream) => (model.get(stream)?.length ?? 0) - 1);
    asked.push(next);
    const standing = model.get(next.stream) ?? [];
    const expected = numberOf(next.expected);
    const ids = idsOf(next.facts);
    const isRetry = ids.every((id, index) => standing[expected + 1 + index] === id);
    if (standing.length - 1 === expected) model.set(next.stream, [...standing, ...ids]);

    const outcome = await log.append(next.stream, next.expected, next.facts);
    if (isRetry || standing.length - 1 === expected) expect(outcome).toMatchObject({ kind: 'appended', revision: expected + ids.length });
    else expect(outcome).toEqual({ kind: 'wrongRevision', actual: revisionOf(standing.length - 1) });
  }
  for (const [stream, ids] of model) expect(idsOf(await log.readStream(stream, { limit: 1_000 }))).toEqual(ids);
}

function askFor(family: Family, { stream, mistake, facts, repeat }: Step, asked: readonly Asked[], tailOf: (stream: StreamName) => number): Asked {
  const again = repeat === null ? undefined : asked.at(-1 - repeat);
  if (again) return mistake === 0 ? again : { ...again, facts: again.facts.slice(0, Math.abs(mistake)) };
  const own = family.of(stream);
  return { stream: own, expected: revisionOf(Math.max(-1, tailOf(own) + mistake)), facts: Array.from({ length: facts }, () => newFact()) };
}

async function keepsItsWord(log: EventLog, writers: readonly (readonly Step[])[], readersAt: readonly number[]): Promise<void> {
  const family = newFamily();
  const before = await log.head();
  let clock = 0;
  const answered: Answered[] = [];
  const write = async (asked: Asked) => {
    const startedAt = (clock += 1);
    const outcome = await log.append(asked.stream, asked.expected, asked.facts);
    answered.push({ ...asked, outcome, startedAt, endedAt: (clock += 1) });
    return outcome;
  };
  // Opened before the first append; closed when it has what is known, by then, to stand in the log.
  let total = Infinity;
  const live = follow(log, { after: before, prefixes: [family.prefix] }, ({ facts }) => facts.length >= total);

  await Promise.all(writers.map((steps) => runWriter(family, steps, write)));
  const readWhole = async (ids: readonly (number | string)[]) => (await Promise.all(ids.map((id) => log.readStream(family.of(id), { limit: 10_000 })))).flat();
  const written = await readWhole(Array.from({ length: STREAMS }, (_, index) => index));
  total = written.length + 1;
  // Wakes the live reader, should it have everything already; a fact of others would not, on a log that tells positions by the hundred.
  await write({ stream: family.of('end'), expected: 'noStream', facts: [newFact()] });
  const stored = [...written, ...await readWhole(['end'])];

  const all = await follow(log, { after: BEGINNING, prefixes: [family.prefix] }, hasFacts(total));
  expect((await live).facts).toEqual(all.facts);
  expectOneOrder(all.facts, stored);
  expectEveryAnswerTrue(answered, all.facts);
  for (const at of readersAt) {
    const after = all.facts[at]?.position ?? before;
    const rest = all.facts.filter(({ position }) => position > after);
    expect((await follow(log, { after, prefixes: [family.prefix] }, hasFacts(rest.length))).facts).toEqual(rest);
  }
}

async function runWriter(family: Family, steps: readonly Step[], write: (asked: Asked) => Promise<AppendOutcome>): Promise<void> {
  const believed = new Map<StreamName, number>();
  const asked: Asked[] = [];
  for (const one of steps) {
    for (let turn = 0; turn < one.pause; turn += 1) await nextTurn();
    const next = askFor(family, one, asked, (stream) => believed.get(stream) ?? -1);
    asked.push(next);
    for (const outcome of await Promise.all(Array.from({ length: one.copies }, () => write(next)))) {
      believed.set(next.stream, outcome.kind === 'appended' ? outcome.revision : numberOf(outcome.actual));
    }
  }
}

/** Positions ascend and are nobody else's; revisions of a stream ascend by one along them; streams read alone hold the same. */
function expectOneOrder(all: readonly Recorded[], stored: readonly Recorded[]): void {
  const positions = all.map(({ position }) => position);
  expect(positions).toEqual([...new Set(positions)].sort());
  expect([...stored].sort((a, b) => (a.position < b.position ? -1 : 1))).toEqual(all);
  const next = new Map<StreamName, number>();
  for (const { stream, revision } of all) {
    expect(revision).toBe(next.get(stream) ?? 0);
    next.set(stream, revision + 1);
  }
}

function expectEveryAnswerTrue(answered: readonly Answered[], all: readonly Recorded[]): void {
  const at = new Map(all.map((fact) => [`${fact.stream} ${fact.revision}`, fact]));
  const tails = new Map(all.map(({ stream, revision }) => [stream, revision]));
  /** When a fact was first asked for, and first acknowledged. */
  const known = new Map<Position, { asked: number; acknowledged: number }>();

  for (const { stream, expected, facts, outcome, startedAt, endedAt } of answered) {
    const places = facts.map((_, index) => at.get(`${stream} ${numberOf(expected) + 1 + index}`));
    const stands = places.every((place, index) => place?.id === facts[index]?.id);
    if (outcome.kind === 'wrongRevision') {
      const actual = numberOf(outcome.actual);
      expect(actual).not.toBe(numberOf(expected));
      expect(actual).toBeLessThanOrEqual(tails.get(stream) ?? -1);
      // What stood there already when it was refused was something else.
      if (actual >= numberOf(expected) + facts.length) expect(stands).toBe(false);
      continue;
    }
    expect(stands).toBe(true);
    expect(outcome).toEqual({ kind: 'appended', revision: places.at(-1)?.revision, position: places.at(-1)?.position });
    for (const { position } of places.filter((place) => place !== undefined)) {
      const { asked = Infinity, acknowledged = Infinity } = known.get(position) ?? {};
      known.set(position, { asked: Math.min(asked, startedAt), acknowledged: Math.min(acknowledged, endedAt) });
    }
  }

  // Nothing stands there that was acknowledged to nobody.
  expect([...known.keys()].sort()).toEqual(all.map(({ position }) => position));
  // What was acknowledged before another was asked for stands before it.
  let acknowledgedLater = Infinity;
  for (const { position } of all.toReversed()) {
    const { asked, acknowledged } = known.get(position) ?? { asked: 0, acknowledged: 0 };
    expect(asked).toBeLessThan(acknowledgedLater);
    acknowledgedLater = Math.min(acknowledgedLater, acknowledged);
  }
}
