import type pg from 'pg';
import { BEGINNING, type FactId, type Position } from '#schemas/brand.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { freshDatabase, type FreshDatabase } from '../../tests/harness/postgres.ts';
import { eventLogContract } from './event-log.contract.ts';
import { follow, hasFacts, idsOf, isCaughtUp, newFact, newFacts, newFamily } from './event-log-facts.contract.ts';
import { eventLogProperties } from './event-log-properties.contract.ts';
import type { AppendOutcome, EventLog } from './event-log.ts';
import { createPostgresEventLog, eventLogMigrations } from './postgres-event-log.ts';

let database: FreshDatabase;
let pool: pg.Pool;
let log: EventLog;

beforeAll(async () => {
  database = await freshDatabase();
  await migrate({ url: database.url, owners: [eventLogMigrations] });
  pool = openPool();
  log = createPostgresEventLog({ pool });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

eventLogContract('the Postgres log', async () => log);
eventLogProperties('the Postgres log', async () => log, { runs: 40 });

function openPool(): pg.Pool {
  return createPool(database.url, { connectionsMax: 8, applicationName: 'log-test' });
}

/** While it runs nobody can append: what is begun meanwhile waits, the first alone, all others together for the next flush. */
async function whileLocked<T>(work: () => Promise<T> | T): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query('select from log_head for update');
    return await work();
  } finally {
    await client.query('rollback');
    client.release();
  }
}

/** Until a statement of ours that names this waits for a lock. */
async function untilWaitsForLock(name: string): Promise<void> {
  for (;;) {
    const { rowCount } = await pool.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%' || $1 || '%'`, [name]);
    if (rowCount) return;
  }
}

const positionsIn = async () => (await pool.query<{ position: string }>('select position from log_facts order by position')).rows.map(({ position }) => Number(position));

describe('one flush', () => {
  test('each append of a flush is answered for itself: new ones, copies, refused ones and one that the database does not take', async () => {
    const family = newFamily();
    const copies = newFacts(2);
    await log.append(family.of('taken'), 'noStream', newFacts(3));
    await pool.query(`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not this one'; end $$`);
    await pool.query(`create trigger refuse before insert on log_facts for each row when (new.fact like '%unwanted%') execute function refuse()`);

    const outcomes = await whileLocked(async () => {
      void log.append(family.of('first'), 'noStream', newFacts(1));
      await untilWaitsForLock('es_append');
      return [
        log.append(family.of('a'), 'noStream', newFacts(2)),
        log.append(family.of('taken'), 1, newFacts(1)),
        log.append(family.of('b'), 'noStream', copies),
        log.append(family.of('unwanted'), 'noStream', [newFact({ data: 'unwanted' })]).catch((error: Error) => error.message),
        log.append(family.of('b'), 'noStream', copies),
        log.append(family.of('a'), 1, newFacts(1)),
        log.append(family.of('b'), 'noStream', newFacts(2)),
      ];
    });

    const appended = (revision: number) => ({ kind: 'appended', revision, position: expect.any(String) as Position });
    expect(await Promise.all(outcomes)).toEqual([
      appended(1), { kind: 'wrongRevision', actual: 2 }, appended(1), 'not this one', appended(1), appended(2), { kind: 'wrongRevision', actual: 1 },
    ]);
    expect(idsOf(await log.readStream(family.of('b'), { limit: 10 }))).toEqual(idsOf(copies));
    await pool.query('drop function refuse cascade');
  });

  test('more than a flush may hold are all appended, in the order in which they were asked for', async () => {
    const family = newFamily();
    const outcomes = await Promise.all(Array.from({ length: 1_500 }, (_, index) => log.append(family.of(index), 'noStream', newFacts(1))));
    const positions = outcomes.map((outcome) => (outcome.kind === 'appended' ? outcome.position : outcome.kind));
    expect(positions).toEqual([...new Set(positions)].sort());
  });

  test('more bytes than may wait are refused as unavailable, and those that wait are appended', async () => {
    const family = newFamily();
    const waiting = await whileLocked(() => Array.from({ length: 70 }, (_, index) => log
      .append(family.of(index), 'noStream', [newFact({ data: 'x'.repeat(1_000_000) })])
      .catch((error: unknown) => error)));
    const outcomes = await Promise.all(waiting);
    expect(outcomes.filter((outcome) => outcome instanceof Unavailable)).toHaveLength(3);
    expect(outcomes.filter((outcome) => (outcome as AppendOutcome).kind === 'appended')).toHaveLength(67);
  });
});

describe('positions', () => {
  test('they have no holes, whatever was refused or broken off', async () => {
    const client = await pool.connect();
    await client.query('begin');
    await client.query(`select es_append('{x-broken}', '{-1}', '{1}', '{1}', '{1}', '{7b0f8a2e-7f1c-4d0b-9a53-000000000001}', '{2}', '{1}')`);
    await client.query('rollback');
    client.release();
    await log.append(newFamily().of('a'), 'noStream', newFacts(1));

    const positions = await positionsIn();
    expect(positions).toEqual(positions.map((_, index) => index + 1));
  });

  test('while an append elsewhere is not committed, no later one is seen before it', async () => {
    const family = newFamily();
    const after = await log.head();
    const reading = follow(log, { after, prefixes: [family.prefix] }, hasFacts(2));
    const [early, late] = newFacts(2) as [ReturnType<typeof newFact>, ReturnType<typeof newFact>];

    const other = await pool.connect();
    await other.query('begin');
    await other.query(`select es_append(array[$1], '{-1}', '{1}', '{1}', '{1}', array[$2]::uuid[], array[$3]::int[], array[$4])`,
      [family.of('early'), early.id, JSON.stringify(early).length, JSON.stringify(early)]);
    const appending = log.append(family.of('late'), 'noStream', [late]);
    await untilWaitsForLock('es_append');
    await other.query('commit');
    other.release();

    expect(await appending).toMatchObject({ kind: 'appended' });
    expect(idsOf((await reading).facts)).toEqual([early.id, late.id]);
  });

  test('an idle transaction elsewhere, with writes and a snapshot of its own, hides nothing', async () => {
    const idle = await pool.connect();
    await idle.query('begin isolation level repeatable read');
    await idle.query('create table held (a int)');
    await idle.query('select * from log_facts limit 1');

    const family = newFamily();
    const facts = newFacts(50);
    const reading = follow(log, { after: await log.head(), prefixes: [family.prefix] }, hasFacts(50));
    for (const fact of facts) await log.append(family.of(fact.id), 'noStream', [fact]);
    expect(idsOf((await reading).facts)).toEqual(idsOf(facts));

    await idle.query('rollback');
    idle.release();
  });
});

describe('other processes', () => {
  test('what another process appends is seen by the poll', async () => {
    const family = newFamily();
    const elsewhere = openPool();
    const facts = newFacts(3);
    const reading = follow(log, { after: await log.head(), prefixes: [family.prefix] }, hasFacts(3));
    for (const fact of facts) await createPostgresEventLog({ pool: elsewhere }).append(family.of(fact.id), 'noStream', [fact]);
    expect(idsOf((await reading).facts)).toEqual(idsOf(facts));
    await elsewhere.end();
  });

  test('what another process appends is told, and after a lost connection told again', async () => {
    const family = newFamily();
    const unpolled = createPostgresEventLog({ pool, pollMs: 3_600_000 });
    const elsewhere = openPool();
    const other = createPostgresEventLog({ pool: elsewhere });
    const listener = async () => (await pool.query<{ pid: number }>(`select pid from pg_stat_activity where datname = current_database() and query = 'listen tekai_log_head' and state = 'idle'`)).rows.map(({ pid }) => pid);
    const untilListening = async (others: readonly number[]) => {
      for (;;) {
        const found = (await listener()).find((pid) => !others.includes(pid));
        if (found !== undefined) return found;
      }
    };
    const others = await listener();
    const facts = newFacts(2);
    const reading = follow(unpolled, { after: await log.head(), prefixes: [family.prefix] }, hasFacts(2));
    const pid = await untilListening(others);
    await other.append(family.of('first'), 'noStream', facts.slice(0, 1));
    await pool.query('select pg_terminate_backend($1)', [pid]);
    await untilListening([...others, pid]);
    await other.append(family.of('second'), 'noStream', facts.slice(1));
    expect(idsOf((await reading).facts)).toEqual(idsOf(facts));
    await elsewhere.end();
    // Nobody reads any more: its connection is given back.
    while ((await listener()).some((found) => !others.includes(found)));
  });

  test('what this process appends is seen without the poll', async () => {
    const family = newFamily();
    const unpolled = createPostgresEventLog({ pool, pollMs: 3_600_000 });
    const facts = newFacts(3);
    const reading = follow(unpolled, { after: await log.head(), prefixes: [family.prefix] }, hasFacts(3));
    for (const fact of facts) await unpolled.append(family.of(fact.id), 'noStream', [fact]);
    expect(idsOf((await reading).facts)).toEqual(idsOf(facts));
  });

  test('processes that append to the same streams leave no doubles and no holes', async () => {
    const family = newFamily();
    const pools = [openPool(), openPool(), openPool()];
    const logs = pools.map((own) => createPostgresEventLog({ pool: own }));
    let taken = 0;
    await Promise.all(logs.flatMap((own) => Array.from({ length: 5 }, async () => {
      for (let round = 0; round < 20; round += 1) {
        const stream = family.of(round % 3);
        const tail = (await own.readStream(stream, { limit: 1_000 })).length - 1;
        const outcome = await own.append(stream, tail < 0 ? 'noStream' : tail, newFacts(1));
        if (outcome.kind === 'appended') taken += 1;
      }
    })));

    const { facts } = await follow(log, { after: BEGINNING, prefixes: [family.prefix] }, hasFacts(taken));
    expect(facts).toHaveLength(taken);
    for (const id of [0, 1, 2]) {
      const own = facts.filter(({ stream }) => stream === family.of(id));
      expect(own.map(({ revision }) => revision)).toEqual(own.map((_, index) => index));
    }
    await Promise.all(pools.map((own) => own.end()));
  });
});

describe('pages', () => {
  test('big facts come in small pages', async () => {
    const family = newFamily();
    const facts = Array.from({ length: 12 }, () => newFact({ data: 'x'.repeat(1_000_000) }));
    for (const fact of facts) await log.append(family.of(fact.id), 'noStream', [fact]);
    const taken = await follow(log, { after: BEGINNING, prefixes: [family.prefix] }, hasFacts(12));
    expect(idsOf(taken.facts)).toEqual(idsOf(facts));
    expect(taken.batches.filter(({ facts: page }) => page.length > 0).map(({ facts: page }) => page.length)).toEqual([5, 5, 2]);
  });

  test('a subscription that matches hardly anything moves on through a long log, in steps', async () => {
    const family = newFamily();
    const before = await log.head();
    await pool.query(`
      insert into log_facts (position, revision, id, bytes, stream, fact)
      select h.head + n, 0, gen_random_uuid(), 2, $1 || n, '{}' from (select max(position) as head from log_facts) h, generate_series(1, 45000) n`, [newFamily().prefix]);
    const [fact] = newFacts(1);
    await log.append(family.of('a'), 'noStream', fact ? [fact] : []);

    const taken = await follow(log, { after: before, prefixes: [family.prefix] }, hasFacts(1));
    expect(idsOf(taken.facts)).toEqual([fact?.id]);
    expect(taken.batches.map(({ position, isCaughtUp }) => [Number(position) - Number(before), isCaughtUp])).toEqual([[20_000, false], [40_000, false], [45_001, true]]);
  });

  test('a log that was small when its statements were planned is read by its indexes when it has grown', async () => {
    const another = await freshDatabase();
    await migrate({ url: another.url, owners: [eventLogMigrations] });
    // One connection: it plans, remembers, and counts its own scans.
    const one = createPool(another.url, { connectionsMax: 1, applicationName: 'log-test' });
    const growing = createPostgresEventLog({ pool: one });
    const family = newFamily();
    const scans = async () => {
      await one.query('select pg_stat_force_next_flush()');
      return (await one.query<{ seq_scan: string }>(`select seq_scan from pg_stat_user_tables where relname = 'log_facts'`)).rows[0]?.seq_scan;
    };
    await growing.append(family.of('small'), 'noStream', newFacts(40));
    await one.query('vacuum analyze log_facts');

    const before = await scans();
    // Postgres settles on one plan for all values at the sixth execution.
    for (let index = 0; index < 12; index += 1) {
      await growing.append(family.of(index), 'noStream', newFacts(2));
      await growing.readStream(family.of(index), { limit: 2 });
      await follow(growing, { after: BEGINNING, prefixes: [family.prefix] }, isCaughtUp);
      await growing.head();
    }
    expect(await scans()).toBe(before);
    await one.end();
    await another.drop();
  });

  test('a position beyond the head waits there, and is never given back smaller', async () => {
    const after = '00000000000999999999' as Position;
    const { batches } = await follow(log, { after, prefixes: [] }, () => true);
    expect(batches).toEqual([{ facts: [], position: after, isCaughtUp: true }]);
  });
});

describe('the database', () => {
  test('an empty log has its head at the beginning, and an epoch that no other log has', async () => {
    const another = await freshDatabase();
    await migrate({ url: another.url, owners: [eventLogMigrations] });
    const anotherPool = createPool(another.url, { connectionsMax: 2, applicationName: 'log-test' });
    const empty = createPostgresEventLog({ pool: anotherPool });
    expect(await empty.head()).toBe(BEGINNING);
    expect(await empty.epoch()).not.toBe(await log.epoch());
    await anotherPool.end();
    await another.drop();
  });

  test('when it is away, everything but a subscription says so', async () => {
    const nowhere = createPool('postgres://nobody@127.0.0.1:1/none', { connectionsMax: 2, applicationName: 'log-test' });
    const away = createPostgresEventLog({ pool: nowhere });
    const stream = newFamily().of('a');
    for (const asked of [away.append(stream, 'noStream', newFacts(1)), away.readStream(stream, { limit: 1 }), away.head(), away.epoch()]) {
      await expect(asked).rejects.toMatchObject({ name: 'Unavailable', dependency: 'event log' });
    }

    const stopping = new AbortController();
    const batches = away.subscribe({ after: BEGINNING, prefixes: [], signal: stopping.signal })[Symbol.asyncIterator]();
    const next = batches.next();
    await expect(away.head()).rejects.toThrow(Unavailable);
    stopping.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    await nowhere.end();
  });

  test('an abort ends a subscription at once, though the database does not answer it', async () => {
    const client = await pool.connect();
    await client.query('begin');
    await client.query('lock table log_facts in access exclusive mode');
    const stopping = new AbortController();
    const next = log.subscribe({ after: BEGINNING, prefixes: [], signal: stopping.signal })[Symbol.asyncIterator]().next();
    await untilWaitsForLock('es_page');
    stopping.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    await client.query('rollback');
    client.release();
    // The read itself is given up after 10 s only.
  }, 5_000);

  test('a fault that waiting does not mend ends the subscription with it', async () => {
    const another = await freshDatabase();
    const anotherPool = createPool(another.url, { connectionsMax: 2, applicationName: 'log-test' });
    const unmigrated = createPostgresEventLog({ pool: anotherPool });
    await expect(follow(unmigrated, { after: BEGINNING }, () => true)).rejects.toThrow(/es_page/);
    await anotherPool.end();
    await another.drop();
  });

  test('an append is durable on a server that is set to answer before it has written', async () => {
    const client = await pool.connect();
    await client.query('begin');
    await client.query(`set local synchronous_commit = off`);
    await client.query(`select es_append('{x-sync}', '{-1}', '{1}', '{1}', '{1}', '{7b0f8a2e-7f1c-4d0b-9a53-000000000002}', '{2}', '{1}')`);
    const { rows } = await client.query<{ synchronous_commit: string }>('show synchronous_commit');
    await client.query('rollback');
    client.release();
    expect(rows).toEqual([{ synchronous_commit: 'on' }]);
  });

  test('an append in an isolation that would not see the newest facts is refused', async () => {
    const client = await pool.connect();
    await client.query('begin isolation level repeatable read');
    await expect(client.query(`select es_append('{x-old}', '{-1}', '{1}', '{1}', '{1}', '{7b0f8a2e-7f1c-4d0b-9a53-000000000003}', '{2}', '{1}')`)).rejects.toThrow(/read committed/);
    await client.query('rollback');
    client.release();
  });

  test('an id is the same however it is spelled, and is given back as it was', async () => {
    const stream = newFamily().of('a');
    const [fact] = newFacts(1) as [ReturnType<typeof newFact>];
    const spelled = { ...fact, id: fact.id.toUpperCase() as FactId };
    const first = await log.append(stream, 'noStream', [spelled]);
    expect(await log.append(stream, 'noStream', [fact])).toEqual(first);
    expect(idsOf(await log.readStream(stream, { limit: 1 }))).toEqual([spelled.id]);
  });
});
