import { jest } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { startEventstoreDouble, type EventstoreDouble } from '../../tests/harness/eventstore-double.ts';
import { follow, hasFacts, idsOf, isCaughtUp, newFact, newFacts, newFamily, type Family } from './event-log-facts.contract.ts';
import type { AppendOutcome, EventLog } from './event-log.ts';
import { createEventstoredbEventLog, type EventstoredbEventLog } from './eventstoredb-event-log.ts';

// What a server does that fails, stops or dies, on a double that does it when told to.

let directory: string;
let double: EventstoreDouble;
let log: EventstoredbEventLog;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'eventstore-double-'));
  double = await startEventstoreDouble({ directory });
  log = createEventstoredbEventLog({ connectionString: double.url });
});

afterEach(() => double.noFaults());

afterAll(async () => {
  log.close();
  await double.program.stop();
  await rm(directory, { recursive: true });
});

/** A log that hears soon that a subscription is silent. */
function impatient(): EventstoredbEventLog {
  return createEventstoredbEventLog({ connectionString: double.url, silentMsMax: 300 });
}

/** Each in a stream of its own. */
async function appendEach(family: Family, count: number): Promise<string[]> {
  const facts = newFacts(count);
  for (const fact of facts) await untilAnswered(() => log.append(family.of(fact.id), 'noStream', [fact]));
  return idsOf(facts);
}

async function untilAnswered(append: () => Promise<AppendOutcome>): Promise<AppendOutcome> {
  for (;;) {
    try {
      return await append();
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
    }
  }
}

const idsIn = async (on: EventLog, family: Family, stream = 'a') => idsOf(await on.readStream(family.of(stream), { limit: 1_000 }));

describe('an append', () => {
  test.each([
    ['is stored, and answered with a time-out', { kind: 'time-out-after-storing', times: 1 }],
    ['is stored, and its connection ends before the answer', { kind: 'cut-after-storing', times: 1 }],
    ['meets a server that is not ready', { kind: 'not-ready', on: 'append', times: 1 }],
  ])('that %s is repeated with the same ids, and stored once', async (_what, fault) => {
    const family = newFamily();
    const facts = newFacts(2);
    const id = await double.fault(fault);
    const outcome = await log.append(family.of('a'), 'noStream', facts);
    expect(await double.hits(id)).toBe(1);
    expect(outcome).toMatchObject({ kind: 'appended', revision: 1 });
    expect(await log.readStream(family.of('a'), { limit: 10 })).toMatchObject(facts.map((fact, revision) => ({ id: fact.id, revision })));
    expect(outcome).toMatchObject({ position: (await log.readStream(family.of('a'), { limit: 10 })).at(-1)?.position });
  });

  test('that many ask for at once goes to the server once: its copies would be told that they timed out', async () => {
    const family = newFamily();
    const facts = newFacts(1);
    await double.fault({ kind: 'slow-commit', delayMs: 300, times: 1 });
    const before = (await double.state()).calls['append'] ?? 0;
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => log.append(family.of('a'), 'noStream', facts)));
    expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome))).size).toBe(1);
    expect((await double.state()).calls['append']).toBe(before + 1);
  });

  test('that meets its own copy of another process is repeated until it is known to be stored', async () => {
    const family = newFamily();
    const facts = newFacts(1);
    const elsewhere = createEventstoredbEventLog({ connectionString: double.url });
    await double.fault({ kind: 'slow-commit', delayMs: 500, times: 1 });
    const outcomes = await Promise.all([log, elsewhere].map((own) => own.append(family.of('a'), 'noStream', facts)));
    expect(outcomes[0]).toEqual(outcomes[1]);
    expect(await idsIn(log, family)).toEqual(idsOf(facts));
    elsewhere.close();
  });

  test('takes the unary call, and never the batch, in whose answers the client loses its way', async () => {
    await log.append(newFamily().of('a'), 'noStream', newFacts(1));
    expect((await double.state()).calls).not.toHaveProperty('batch-append');
  });

  test('to a server that stays silent is given up as unavailable', async () => {
    await double.fault({ kind: 'silent', on: 'append' });
    await expect(log.append(newFamily().of('a'), 'noStream', newFacts(1))).rejects.toMatchObject({ name: 'Unavailable', dependency: 'event log' });
  }, 20_000);

  test('goes to the leader that a follower names', async () => {
    const leader = await startEventstoreDouble();
    const follower = createEventstoredbEventLog({ connectionString: double.url });
    const family = newFamily();
    await double.fault({ kind: 'not-leader', host: '127.0.0.1', port: leader.port });
    expect(await follower.append(family.of('a'), 'noStream', newFacts(1))).toMatchObject({ kind: 'appended', revision: 0 });
    const there = createEventstoredbEventLog({ connectionString: leader.url });
    expect(await idsIn(there, family)).toHaveLength(1);
    follower.close();
    there.close();
    await leader.program.stop();
  });
});

describe('a status that says nothing of what went wrong', () => {
  test.each([2, 8, 13])('%i, is the log being away: what was to be appended or read is tried again, and kept meanwhile', async (code) => {
    const [family, [fact]] = [newFamily(), newFacts(1)];
    const stream = family.of('kept');
    await double.fault({ kind: 'wordless', on: 'append', stream, code, times: 1 });
    expect(await log.append(stream, 'noStream', [fact!])).toMatchObject({ kind: 'appended' });
    await double.fault({ kind: 'wordless', code });
    await expect(log.append(stream, 0, newFacts(1))).rejects.toThrow(Unavailable);
    await expect(log.readStream(stream, { limit: 1 })).rejects.toThrow(Unavailable);
    await expect(log.head()).rejects.toThrow(Unavailable);
  });
});

describe('a read', () => {
  test('that meets a follower says unavailable, and the next goes to the leader', async () => {
    const leader = await startEventstoreDouble();
    const there = createEventstoredbEventLog({ connectionString: leader.url });
    const follower = createEventstoredbEventLog({ connectionString: double.url });
    const family = newFamily();
    const facts = newFacts(2);
    await there.append(family.of('a'), 'noStream', facts);
    await double.fault({ kind: 'not-leader', on: 'read', host: '127.0.0.1', port: leader.port });
    await expect(idsIn(follower, family)).rejects.toThrow(Unavailable);
    expect(await idsIn(follower, family)).toEqual(idsOf(facts));
    follower.close();
    there.close();
    await leader.program.stop();
  });

  test('that the server ends in the middle gives no part of the stream for the whole', async () => {
    const family = newFamily();
    const facts = newFacts(20);
    await log.append(family.of('a'), 'noStream', facts);
    await double.fault({ kind: 'end-mid-stream', on: 'read', afterEvents: 7, times: 1 });
    await expect(idsIn(log, family)).rejects.toThrow(Unavailable);
    expect(await idsIn(log, family)).toEqual(idsOf(facts));
  });
});

describe('a subscription', () => {
  test.each([2, 8, 13])('that ends with the status %i, which says nothing of what went wrong, is begun anew', async (code) => {
    const family = newFamily();
    const ids = await appendEach(family, 5);
    const id = await double.fault({ kind: 'wordless', on: 'subscribe', code, times: 3 });
    expect(idsOf((await follow(log, { after: BEGINNING, prefixes: [family.prefix] }, hasFacts(5))).facts)).toEqual(ids);
    expect(await double.hits(id)).toBe(3);
  });

  test('from a place where this log has no event is refused: another log, or an older one, does not get better by asking', async () => {
    const [fact] = newFacts(1);
    const { position } = await log.append(newFamily().of('place'), 'noStream', [fact!]) as { position: Position };
    const beside = String(BigInt(position) - 1n).padStart(position.length, '0') as Position;
    const stopping = AbortSignal.timeout(20_000);
    await expect(log.subscribe({ after: beside, prefixes: [], signal: stopping })[Symbol.asyncIterator]().next()).rejects.toThrow(/InvalidPosition/);
  });

  test('that the server drops, again and again, misses and doubles nothing', async () => {
    const family = newFamily();
    const following = follow(log, { after: BEGINNING, prefixes: [family.prefix] }, hasFacts(60));
    const ids: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      ids.push(...await appendEach(family, 15));
      await double.tell('drop-subscriptions');
    }
    expect(idsOf((await following).facts)).toEqual(ids);
  });

  test.each([
    ['ended', { kind: 'end-mid-stream', on: 'subscribe', afterEvents: 7, times: 3 }],
    ['silenced', { kind: 'stop-mid-stream', on: 'subscribe', afterEvents: 7, times: 3 }],
  ])('that is %s in the middle of catching up goes on from the last fact that was taken', async (_what, fault) => {
    const family = newFamily();
    const ids = await appendEach(family, 40);
    const id = await double.fault(fault);
    const own = impatient();
    expect(idsOf((await follow(own, { after: BEGINNING, prefixes: [family.prefix] }, hasFacts(40))).facts)).toEqual(ids);
    expect(await double.hits(id)).toBe(3);
    own.close();
  });

  test('to which everything is said twice gives it once', async () => {
    const family = newFamily();
    const ids = await appendEach(family, 20);
    await double.fault({ kind: 'answer-twice', on: 'subscribe' });
    expect(idsOf((await follow(log, { after: BEGINNING, prefixes: [family.prefix] }, (taken) => hasFacts(20)(taken) && isCaughtUp(taken))).facts)).toEqual(ids);
  });

  test('whose server does not say that it has caught up gives a first batch and what there is all the same', async () => {
    const family = newFamily();
    await double.fault({ kind: 'hold-back-caught-up' });
    const { batches } = await follow(log, { after: await log.head(), prefixes: [family.prefix] }, () => true);
    expect(batches).toMatchObject([{ facts: [], isCaughtUp: false }]);
    const ids = await appendEach(family, 3);
    expect(idsOf((await follow(log, { after: BEGINNING, prefixes: [family.prefix] }, hasFacts(3))).facts)).toEqual(ids);
  });

  test('with a slow reader gives no position before the facts that stand before it', async () => {
    const [family, others] = [newFamily(), newFamily()];
    const ids: string[] = [];
    for (let index = 0; index < 6; index += 1) {
      ids.push(...await appendEach(family, 10));
      // More than a window: a checkpoint follows, and is sent while the facts before it still wait to be taken.
      for (let more = 0; more < 3; more += 1) await log.append(others.of(`${index}-${more}`), 'noStream', newFacts(100));
    }
    const { batches, facts } = await follow(log, { after: BEGINNING, prefixes: [family.prefix] }, async (taken) => {
      await new Promise((resolve) => { setImmediate(resolve); });
      return hasFacts(60)(taken) && isCaughtUp(taken);
    });
    expect(idsOf(facts)).toEqual(ids);
    let before = '';
    for (const batch of batches) {
      for (const { position } of batch.facts) expect(position > before && position <= batch.position).toBe(true);
      before = batch.position;
    }
    for (const { position } of batches) {
      const rest = ids.slice(facts.filter((fact) => fact.position <= position).length);
      expect(idsOf((await follow(log, { after: position, prefixes: [family.prefix] }, isCaughtUp)).facts)).toEqual(rest);
    }
  });

  test('whose checkpoint is where the next event will begin does not miss that event', async () => {
    const [family, others] = [newFamily(), newFamily()];
    const own = await startEventstoreDouble();
    const there = createEventstoredbEventLog({ connectionString: own.url });
    // Whole windows, so that the page in which the end is found is empty, and begins at the end.
    const { events } = await own.state();
    await there.append(others.of('a'), 'noStream', newFacts(512 - events));
    await own.fault({ kind: 'checkpoint-at-end' });
    const { position } = await follow(there, { after: BEGINNING, prefixes: [family.prefix] }, isCaughtUp);
    expect(position > await there.head()).toBe(true);

    const fact = newFact();
    expect(await there.append(family.of('a'), 'noStream', [fact])).toMatchObject({ kind: 'appended' });
    expect(position < await there.head()).toBe(true);
    expect(idsOf((await follow(there, { after: position, prefixes: [family.prefix] }, hasFacts(1))).facts)).toEqual([fact.id]);
    there.close();
    await own.program.stop();
  });

  test('that caught up on a log where nothing matched is at no place from which it would miss what comes', async () => {
    const empty = await startEventstoreDouble();
    const own = createEventstoredbEventLog({ connectionString: empty.url });
    const family = newFamily();
    const { position } = await follow(own, { after: BEGINNING, prefixes: [family.prefix] }, isCaughtUp);
    const fact = newFact();
    await own.append(family.of('a'), 'noStream', [fact]);
    expect(idsOf((await follow(own, { after: position, prefixes: [family.prefix] }, hasFacts(1))).facts)).toEqual([fact.id]);
    own.close();
    await empty.program.stop();
  });
});

describe('a server', () => {
  test('that is stopped for a while and continued: writers and readers go on, nothing is lost or doubled', async () => {
    const family = newFamily();
    const following = follow(log, { after: await log.head(), prefixes: [family.prefix] }, hasFacts(40));
    const first = await appendEach(family, 20);
    double.program.child.kill('SIGSTOP');
    const appending = appendEach(family, 20);
    await expect(log.readStream(family.of('a'), { limit: 1 })).rejects.toThrow(Unavailable);
    double.program.child.kill('SIGCONT');
    const ids = [...first, ...await appending];
    expect(idsOf((await following).facts)).toEqual(ids);
  }, 60_000);

  test('that is killed and started again, without its recent ids: writers and readers go on, nothing is lost or doubled', async () => {
    const family = newFamily();
    const following = follow(log, { after: await log.head(), prefixes: [family.prefix] }, hasFacts(8 * 60));
    let isWriting = true;
    const writers = Promise.all(Array.from({ length: 8 }, async (_, writer) => {
      for (let revision = -1; revision < 59; revision += 1) {
        const facts = newFacts(1);
        const outcome = await untilAnswered(() => log.append(family.of(writer), revision < 0 ? 'noStream' : revision, facts));
        expect(outcome).toMatchObject({ kind: 'appended', revision: revision + 1 });
      }
    })).finally(() => { isWriting = false; });

    let kills = 0;
    while (isWriting && kills < 3) {
      const { events } = await double.state();
      while (isWriting && (await double.state()).events < events + 60);
      const { port } = double;
      await double.program.kill();
      kills += 1;
      double = await startEventstoreDouble({ directory, port });
    }
    await writers;
    expect(kills).toBe(3);
    const { facts } = await following;
    expect(new Set(idsOf(facts)).size).toBe(8 * 60);
    for (let writer = 0; writer < 8; writer += 1) {
      expect(facts.filter(({ stream }) => stream === family.of(writer)).map(({ revision }) => revision)).toEqual(Array.from({ length: 60 }, (_, index) => index));
    }
  });

  test('that is away: everything but a subscription says so', async () => {
    const away = createEventstoredbEventLog({ connectionString: 'esdb://127.0.0.1:1?tls=false' });
    const stream = newFamily().of('a');
    for (const asked of [away.append(stream, 'noStream', newFacts(1)), away.readStream(stream, { limit: 1 }), away.head(), away.epoch()]) {
      await expect(asked).rejects.toMatchObject({ name: 'Unavailable', dependency: 'event log' });
    }
    const stopping = new AbortController();
    const next = away.subscribe({ after: BEGINNING, prefixes: [], signal: stopping.signal })[Symbol.asyncIterator]().next();
    await expect(away.head()).rejects.toThrow(Unavailable);
    stopping.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    away.close();
  });

  test('with events of others in it: they are no facts, the newest fact is the head, and another database has another epoch', async () => {
    const empty = await startEventstoreDouble();
    const own = createEventstoredbEventLog({ connectionString: empty.url });
    expect(await own.epoch()).not.toBe(await log.epoch());
    expect(await own.epoch()).toBe(await own.epoch());
    expect(await own.head()).toBe(BEGINNING);
    expect((await follow(own, { after: BEGINNING }, isCaughtUp)).facts).toEqual([]);
    own.close();
    await empty.program.stop();
  });
});

test.each([
  ['an option that is not known', 'esdb://someone:canary-word@127.0.0.1:2113?tls=false&colour=red'],
  ['no server in it', 'esdb://someone:canary-word@'],
  ['another protocol', 'postgres://someone:canary-word@127.0.0.1'],
])('a connection string with %s is refused, and neither said nor printed (I9)', (_what, connectionString) => {
  const warn = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
  let said = '';
  try {
    createEventstoredbEventLog({ connectionString });
  } catch (error) {
    said = String(error);
  }
  expect(said).toMatch(/connection string/);
  expect(said + JSON.stringify(warn.mock.calls)).not.toContain('canary-word');
  warn.mockRestore();
});
