import { BEGINNING, type FactId, type StreamName } from '#schemas/brand.ts';
import { APPEND_BYTES_MAX, AppendRefused, type AppendOutcome, type Appendable, type EventLog, type ExpectedRevision } from './event-log.ts';
import { idsOf, newFact, newFacts, newFamily, withoutPlace } from './event-log-facts.contract.ts';
import { subscriptionContract } from './event-log-subscriptions.contract.ts';

/**
 * What every event log must do, and nothing that a real EventStoreDB cannot: positions may have holes, the log may hold other
 * facts than the suite's. `open` is called once; who opens closes.
 */
export function eventLogContract(name: string, open: () => Promise<EventLog>): void {
  describe(`${name} is an event log`, () => {
    let log: EventLog;
    beforeAll(async () => { log = await open(); });

    describe('appending', () => appendContract(() => log));
    describe('appending again', () => retryContract(() => log));
    describe('refusing', () => refusalContract(() => log));
    describe('keeping', () => fidelityContract(() => log));
    describe('following', () => subscriptionContract(() => log));
  });
}

type Appended = Extract<AppendOutcome, { kind: 'appended' }>;

async function appended(outcome: Promise<AppendOutcome>): Promise<Appended> {
  const settled = await outcome;
  if (settled.kind !== 'appended') throw new Error(`refused: the stream is at ${settled.actual}`);
  return settled;
}

const readAll = (log: EventLog, stream: StreamName) => log.readStream(stream, { limit: 10_000 });

function appendContract(log: () => EventLog): void {
  test('facts stand in their stream in the order in which they were appended, revisions from 0', async () => {
    const stream = newFamily().of('a');
    const facts = newFacts(5);
    await log().append(stream, 'noStream', facts.slice(0, 2));
    await log().append(stream, 1, facts.slice(2));

    const recorded = await readAll(log(), stream);
    expect(recorded.map(withoutPlace)).toEqual(facts);
    expect(recorded.map(({ revision }) => revision)).toEqual([0, 1, 2, 3, 4]);
    expect(recorded.every((fact) => fact.stream === stream)).toBe(true);
  });

  test('the answer names the revision and the position of the last fact', async () => {
    const stream = newFamily().of('a');
    await log().append(stream, 'noStream', newFacts(2));
    const outcome = await appended(log().append(stream, 1, newFacts(3)));
    expect((await readAll(log(), stream)).at(-1)).toMatchObject({ revision: outcome.revision, position: outcome.position });
    expect(outcome.revision).toBe(4);
  });

  test('a later append has a greater position, compared as a string', async () => {
    const family = newFamily();
    const positions: string[] = [BEGINNING];
    for (let index = 0; index < 20; index += 1) positions.push((await appended(log().append(family.of(index), 'noStream', newFacts(1)))).position);
    expect(positions).toEqual([...new Set(positions)].sort());
  });

  test.each<[string, number, ExpectedRevision, ExpectedRevision]>([
    ['no stream, where there is one', 3, 'noStream', 2],
    ['a revision that is passed', 3, 1, 2],
    ['a revision that is not reached', 3, 7, 2],
    ['a revision of a stream that does not exist', 0, 0, 'noStream'],
  ])('expecting %s is answered with the actual revision and writes nothing', async (_what, standing, expected, actual) => {
    const stream = newFamily().of('a');
    if (standing > 0) await log().append(stream, 'noStream', newFacts(standing));
    expect(await log().append(stream, expected, newFacts(2))).toEqual({ kind: 'wrongRevision', actual });
    expect(await readAll(log(), stream)).toHaveLength(standing);
  });

  test('of many writers at one revision exactly one is taken', async () => {
    const stream = newFamily().of('a');
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => log().append(stream, 'noStream', newFacts(2))));
    expect(outcomes.filter(({ kind }) => kind === 'appended')).toHaveLength(1);
    expect(outcomes.filter(({ kind }) => kind === 'wrongRevision')).toEqual(Array(19).fill({ kind: 'wrongRevision', actual: 1 }));
    expect(await readAll(log(), stream)).toHaveLength(2);
  });

  test('one that is refused does not fail those beside it', async () => {
    const family = newFamily();
    await log().append(family.of('taken'), 'noStream', newFacts(1));
    const outcomes = await Promise.all([
      log().append(family.of('a'), 'noStream', newFacts(1)),
      log().append(family.of('taken'), 'noStream', newFacts(1)),
      log().append(family.of('b'), 'noStream', newFacts(1)),
      log().append('$all' as StreamName, 'noStream', newFacts(1)).catch((error: unknown) => error),
      log().append(family.of('c'), 'noStream', newFacts(1)),
    ]);
    expect(outcomes.map((outcome) => (outcome as AppendOutcome).kind ?? outcome)).toEqual([
      'appended', 'wrongRevision', 'appended', expect.any(AppendRefused), 'appended',
    ]);
  });
}

function retryContract(log: () => EventLog): void {
  test('the same ids at the same revision are answered as the first time, however much came after', async () => {
    const stream = newFamily().of('a');
    const [first, second] = [newFacts(2), newFacts(3)];
    const outcomes = [await log().append(stream, 'noStream', first), await log().append(stream, 1, second)];
    await log().append(stream, 4, newFacts(4));

    expect([await log().append(stream, 'noStream', first), await log().append(stream, 1, second)]).toEqual(outcomes);
    expect(await readAll(log(), stream)).toHaveLength(9);
  });

  test('fifty copies at once are stored once, and all are told so', async () => {
    const stream = newFamily().of('a');
    const facts = newFacts(2);
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => log().append(stream, 'noStream', facts)));
    const [last] = (await readAll(log(), stream)).slice(-1);
    expect(outcomes).toEqual(Array(50).fill({ kind: 'appended', revision: 1, position: last?.position }));
    expect(idsOf(await readAll(log(), stream))).toEqual(idsOf(facts));
  });

  test.each<[string, (facts: readonly Appendable[]) => Appendable[]]>([
    ['an old fact and a new one', ([first]) => [first as Appendable, newFact()]],
    ['a new fact and an old one', ([, second]) => [newFact(), second as Appendable]],
    ['the old facts in another order', (facts) => facts.slice(0, 2).reverse()],
    ['the old facts and one more', (facts) => [...facts, newFact()]],
    ['old facts that stand elsewhere in the stream', (facts) => facts.slice(1)],
  ])('%s is no retry', async (_what, change) => {
    const stream = newFamily().of('a');
    const facts = newFacts(3);
    await log().append(stream, 'noStream', facts);
    expect(await log().append(stream, 'noStream', change(facts))).toEqual({ kind: 'wrongRevision', actual: 2 });
    expect(idsOf(await readAll(log(), stream))).toEqual(idsOf(facts));
  });

  test('an id is looked at only where its revision is: at the next revision it is another fact', async () => {
    const stream = newFamily().of('a');
    const facts = newFacts(1);
    await log().append(stream, 'noStream', facts);
    expect(await log().append(stream, 0, facts)).toMatchObject({ kind: 'appended', revision: 1 });
    expect(await readAll(log(), stream)).toHaveLength(2);
  });
}

function refusalContract(log: () => EventLog): void {
  /** An id is 36 characters in every fact, so what a fact takes beside its padding is always the same. */
  const bytesAround = Buffer.byteLength(JSON.stringify(newFact({ data: { padding: '' } })));
  const factOf = (bytes: number) => newFact({ data: { padding: 'x'.repeat(bytes - bytesAround) } });

  test('an append of exactly the largest size is taken, one byte more is refused', async () => {
    const family = newFamily();
    expect(await log().append(family.of('a'), 'noStream', [factOf(APPEND_BYTES_MAX)])).toMatchObject({ kind: 'appended' });
    await expect(log().append(family.of('b'), 'noStream', [factOf(APPEND_BYTES_MAX + 1)])).rejects.toThrow(AppendRefused);
  });

  test('the size is that of all facts together, in bytes', async () => {
    const family = newFamily();
    const half = APPEND_BYTES_MAX / 2;
    expect(await log().append(family.of('a'), 'noStream', [factOf(half), factOf(half)])).toMatchObject({ kind: 'appended', revision: 1 });
    await expect(log().append(family.of('b'), 'noStream', [factOf(half), factOf(half + 1)])).rejects.toThrow(AppendRefused);
    await expect(log().append(family.of('c'), 'noStream', [newFact({ data: 'ü'.repeat(half) })])).rejects.toThrow(AppendRefused);
  });

  test('two thousand small facts are one append', async () => {
    const stream = newFamily().of('a');
    const facts = newFacts(2_000);
    expect(await log().append(stream, 'noStream', facts)).toMatchObject({ kind: 'appended', revision: 1_999 });
    expect(idsOf(await readAll(log(), stream))).toEqual(idsOf(facts));
  });

  const twice = newFact();
  const circle: { self?: unknown } = {};
  circle.self = circle;
  test.each<[string, { stream?: string; expected?: ExpectedRevision; facts?: Appendable[] }]>([
    ['no facts', { facts: [] }],
    ['a stream of the store\'s own', { stream: '$all' }],
    ['a stream without a name', { stream: '' }],
    ['a stream name with a space', { stream: 'sync-a b' }],
    ['a stream name that is too long', { stream: `sync-${'a'.repeat(252)}` }],
    ['an id that is no UUID', { facts: [newFact({ id: '1234' as FactId })] }],
    ['one bad id among good ones', { facts: [newFact(), newFact({ id: '' as FactId }), newFact()] }],
    ['one id twice', { facts: [twice, twice] }],
    ['a type of the store\'s own', { facts: [newFact({ type: '$metadata' })] }],
    ['no type', { facts: [newFact({ type: '' })] }],
    ['what JSON cannot say', { facts: [newFact({ data: circle })] }],
    ['no data', { facts: [newFact({ data: undefined })] }],
    ['a revision below 0', { expected: -1 }],
    ['half a revision', { expected: 0.5 }],
  ])('%s is refused before anything is sent', async (_what, { stream = newFamily().of('a'), expected = 'noStream', facts = newFacts(1) }) => {
    await expect(log().append(stream as StreamName, expected, facts)).rejects.toThrow(AppendRefused);
    expect(await log().readStream(stream as StreamName, { limit: 10 }).catch(() => [])).toEqual([]);
  });
}

function fidelityContract(log: () => EventLog): void {
  const deep = (levels: number): unknown => (levels === 0 ? 'bottom' : { down: [deep(levels - 1)] });

  test.each<[string, unknown]>([
    ['every script, emoji and combining marks', { text: 'Grüße, 你好, 🧑‍🚀, e\u0301, \u{10ffff}' }],
    ['NUL and other control characters', { text: 'a\u0000b\u001f\u007f\u0085\u2028\r\n\t' }],
    ['half a surrogate pair', { text: 'a\ud800b' }],
    ['quotes, backslashes and braces', { text: '"\\\'{},NULL,\\u0000' }],
    ['the greatest and the smallest numbers', [Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, Number.MAX_VALUE, Number.MIN_VALUE, 1e21, 0.1 + 0.2]],
    ['deep nesting', deep(200)],
    ['odd keys', { '': 1, ' ': 2, __proto__x: 3, constructor: 4, 'ü\u0000': 5 }],
    ['null', null],
    ['a string', 'just this'],
    ['an empty array', []],
  ])('data is given back as it was: %s', async (_what, data) => {
    const stream = newFamily().of('a');
    await log().append(stream, 'noStream', [newFact({ data })]);
    expect((await readAll(log(), stream))[0]?.data).toEqual(data);
  });

  test('keys keep their order', async () => {
    const stream = newFamily().of('a');
    await log().append(stream, 'noStream', [newFact({ data: { z: 1, a: { y: 2, b: 3 }, m: 4 } })]);
    expect(JSON.stringify((await readAll(log(), stream))[0]?.data)).toBe('{"z":1,"a":{"y":2,"b":3},"m":4}');
  });

  test('the envelope is given back as it was, with a trace and without', async () => {
    const stream = newFamily().of('a');
    const cause = newFact();
    const facts = [
      newFact({
        type: 'some.type', schemaVersion: 7, key: 'ключ\u0000', time: '2001-02-03T04:05:06.007Z', actor: { kind: 'gitlab', id: '"x"' },
        correlationId: 'c\\', causationId: cause.id, traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      }),
      cause,
    ];
    await log().append(stream, 'noStream', facts);
    const recorded = (await readAll(log(), stream)).map(withoutPlace);
    expect(recorded).toEqual(facts);
    expect(recorded[1]).not.toHaveProperty('traceparent');
  });

  test('whoever changes a fact after it was appended or read changes no other', async () => {
    const stream = newFamily().of('a');
    const data = { list: ['as it was'] };
    await log().append(stream, 'noStream', [newFact({ data })]);
    data.list.push('changed by the writer');
    const [read] = await readAll(log(), stream);
    (read?.data as typeof data).list.push('changed by a reader');
    expect((await readAll(log(), stream))[0]?.data).toEqual({ list: ['as it was'] });
  });

  test('a stream is read from any revision, in as many facts as asked for', async () => {
    const stream = newFamily().of('a');
    const facts = newFacts(10);
    await log().append(stream, 'noStream', facts);
    expect(idsOf(await log().readStream(stream, { from: 3, limit: 4 }))).toEqual(idsOf(facts.slice(3, 7)));
    expect(idsOf(await log().readStream(stream, { from: 8, limit: 100 }))).toEqual(idsOf(facts.slice(8)));
    expect(await log().readStream(stream, { from: 10, limit: 10 })).toEqual([]);
  });

  test('a stream that does not exist is empty', async () => {
    expect(await log().readStream(newFamily().of('none'), { limit: 10 })).toEqual([]);
  });

  test('a stream whose name begins with that of another is another', async () => {
    const family = newFamily();
    await log().append(family.of('a'), 'noStream', newFacts(1));
    await log().append(family.of('ab'), 'noStream', newFacts(2));
    expect(await readAll(log(), family.of('a'))).toHaveLength(1);
  });

  test('the head is the position of the newest fact', async () => {
    const outcome = await appended(log().append(newFamily().of('a'), 'noStream', newFacts(3)));
    expect(await log().head()).toBe(outcome.position);
  });

  test('the epoch stays what it is', async () => {
    const epoch = await log().epoch();
    await log().append(newFamily().of('a'), 'noStream', newFacts(1));
    expect(await log().epoch()).toBe(epoch);
    expect(epoch).not.toBe('');
  });
}
