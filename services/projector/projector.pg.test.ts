import { setTimeout as sleepFor } from 'node:timers/promises';
import fc from 'fast-check';
import type pg from 'pg';
import type { PoolClient } from 'pg';
import { BEGINNING, type Position, type StreamName } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import type { Appendable, Batch, EventLog, Recorded } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createPositionSignal } from '#shared/runtime/position-signal.ts';
import { NO_TRACING } from '#shared/runtime/tracing.ts';
import { freshDatabase, type FreshDatabase } from '#tests/harness/postgres.ts';
import { VIEWS } from './fold-facts.ts';
import { foldPage } from './fold-page.ts';
import { anyHistory, History } from './history.fixture.ts';
import { start, type ProjectorDeps } from './service.ts';

const logger = createLogger('silent');
const TABLES = [...VIEWS.map((view) => view.table), 'fact_index', 'unfolded'];

let database: FreshDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'projector', directory: new URL('migrations/', import.meta.url).pathname }] });
  pool = createPool(database.url, { connectionsMax: 6, applicationName: 'projector-test' });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});
beforeEach(async () => { await emptied(); });

/** As somebody would who wants it built again. */
async function emptied(): Promise<void> {
  await pool.query(`truncate ${[...TABLES, 'progress'].map((table) => `read_model.${table}`).join(', ')}`);
}

/** Every row of every table, whole. */
async function model(): Promise<Record<string, unknown[]>> {
  const tables: Record<string, unknown[]> = {};
  for (const table of TABLES) tables[table] = (await pool.query(`select t.*, t::text as whole from read_model.${table} t order by 1, 2, 3`)).rows;
  return tables;
}

async function position(): Promise<Position> {
  const { rows } = await pool.query<{ position: Position }>('select position from read_model.progress');
  return rows[0]?.position ?? BEGINNING;
}

async function foldedOneByOne(facts: readonly Recorded[]): Promise<Record<string, unknown[]>> {
  await emptied();
  const client = await pool.connect();
  try {
    for (const fact of facts) {
      await client.query('begin');
      await foldPage(client, 'read_model', { facts: [fact], position: fact.position });
      await client.query('commit');
    }
  } finally {
    client.release();
  }
  return model();
}

/** Runs as many projectors as there are logs until the tables have everything. */
async function projected(logs: readonly ProjectorDeps['log'][], last: Position, onPool: pg.Pool = pool): Promise<Record<string, unknown[]>> {
  const signal = createPositionSignal();
  const deps = { pool: onPool, projected: signal, tracing: NO_TRACING, logger, sleep: async () => void (await sleepFor(1)) };
  const services = await Promise.all(logs.map((log) => start({ ...deps, log })));
  const patience = AbortSignal.timeout(20_000);
  while (await position() !== last && !patience.aborted) await signal.next(20, patience);
  await Promise.all(services.map((service) => service.stop()));
  expect(await position()).toBe(last);
  return model();
}

/** A log that gives its pages in these sizes, over and over. */
function logOf(facts: readonly Recorded[], sizes: readonly number[]): ProjectorDeps['log'] {
  return {
    async *subscribe({ after, signal }): AsyncGenerator<Batch> {
      let at = facts.findIndex((fact) => fact.position > after);
      for (let page = 0; at >= 0 && at < facts.length && !signal.aborted; page += 1) {
        const some = facts.slice(at, at + (sizes[page % sizes.length] ?? 1));
        at += some.length;
        // An empty page in between, as when nothing matched.
        if (page % 3 === 0) yield { facts: [], position: some[0]!.position, isCaughtUp: false };
        yield { facts: some, position: some.at(-1)!.position, isCaughtUp: at === facts.length };
      }
      if (!signal.aborted) await new Promise((resolve) => { signal.addEventListener('abort', resolve, { once: true }); });
    },
  };
}

/** Connections that break as told: before a statement is sent, or after it was done, its answer lost. */
function breaking(faults: () => 'before' | 'after' | undefined): pg.Pool {
  return { query: pool.query.bind(pool), connect: async () => {
    const client = await pool.connect();
    return { release: (isBroken?: boolean) => client.release(isBroken), query: async (...args: Parameters<PoolClient['query']>) => {
      const fault = faults();
      if (fault === 'before') throw new Error('Connection terminated');
      const answer = await (client.query as (...all: unknown[]) => Promise<unknown>)(...args);
      if (fault === 'after') throw new Error('Connection terminated');
      return answer;
    } };
  } } as unknown as pg.Pool;
}

const choices = fc.array(fc.nat({ max: 1 << 20 }), { minLength: 1, maxLength: 70 });

test('any history, in pages of any size, with connections that break anywhere and two projectors at once, gives the tables of folding it fact by fact', async () => {
  let broken = 0;
  await fc.assert(fc.asyncProperty(choices, fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 }), fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 6, maxLength: 12 }), async (steps, sizes, faults) => {
    const { facts } = anyHistory(steps);
    fc.pre(facts.length > 0);
    const expected = await foldedOneByOne(facts);
    expect(expected['fact_index']).toHaveLength(facts.length);
    expect(expected['unfolded']).toEqual([]);

    await emptied();
    let statement = 0;
    const faulty = breaking(() => {
      const chance = faults[(statement += 1) % faults.length];
      // Fewer as time goes by, so that it ends.
      if (statement > 600 || (chance !== 0 && chance !== 1)) return undefined;
      broken += 1;
      return chance === 0 ? 'before' : 'after';
    });
    expect(await projected([logOf(facts, sizes), logOf(facts, [...sizes].reverse())], facts.at(-1)!.position, faulty)).toEqual(expected);
  }), { numRuns: 15 });
  expect(broken).toBeGreaterThan(3);
});

test('the index names every fact, where it stands', async () => {
  const { facts } = anyHistory(Array.from({ length: 120 }, (_, n) => n * 7_919));
  const { fact_index: index } = await projected([logOf(facts, [7])], facts.at(-1)!.position);
  expect(index).toMatchObject(facts.map(({ position: at, key, stream, revision, type }) => ({ position: at, key, stream, revision, type })));
});

test('a page that comes again changes nothing', async () => {
  const { facts } = anyHistory(Array.from({ length: 120 }, (_, n) => n * 7_919));
  const client = await pool.connect();
  for (let at = 0; at < facts.length; at += 9) {
    const page = { facts: facts.slice(at, at + 9), position: facts.slice(at, at + 9).at(-1)!.position };
    await foldPage(client, 'read_model', page);
    const once = await model();
    await foldPage(client, 'read_model', page);
    expect(await model()).toEqual(once);
  }
  client.release();
});

test.each<[string, (fact: Fact) => Recorded]>([
  ['of a kind that nobody knows', (fact) => ({ ...fact, type: 'codebase.teleported' })],
  ['whose data is of another shape', (fact) => ({ ...fact, data: { codebaseId: 7 } })],
  ['without a time', (fact) => ({ ...fact, time: 'yesterday' })],
  ['that the database will not take: a NUL', (fact) => ({ ...fact, correlationId: 'a\u0000b' })],
  ['that the database will not take: half of a surrogate pair', (fact) => ({ ...fact, correlationId: 'a\ud800b' })],
  ['whose complaint the database would not take', (fact) => ({ ...fact, type: 'a\ud800b' })],
  ['that the database will not take: a number out of its range', (fact) => ({ ...fact, data: { ...fact.data, attempt: 2 ** 40 } }) as Recorded],
])('a fact %s is marked, and everything else is folded, before and after it', async (_what, spoil) => {
  const history = new History();
  const cause = history.codebaseRegistered() as unknown as Fact;
  const sync = history.sync(cause);
  history.fetched(sync, 'a');
  const victim = history.facts.length;
  history.fetched(history.sync(cause, 'refs/heads/side'), 'b');
  history.scanned(sync, 'a');
  history.stored(sync, 'a');
  const facts: Recorded[] = [...history.facts];
  const expected = await foldedOneByOne(facts.filter((_fact, n) => n !== victim));
  facts[victim] = spoil(history.facts[victim]!);

  for (const sizes of [[1], [20], [2]]) {
    await emptied();
    const found = await projected([logOf(facts, sizes)], facts.at(-1)!.position);
    expect(found['unfolded']).toMatchObject([{ position: facts[victim]!.position, fact_id: facts[victim]!.id, key: cause.key }]);
    expect((found['unfolded']?.[0] as { error: string }).error.length).toBeGreaterThan(10);
    expect(found['fact_index']).toHaveLength(facts.length);
    for (const { table } of VIEWS) expect([table, found[table]]).toEqual([table, expected[table]]);
  }
});

/** I6. */
test('a read model emptied and built again from the log equals the live one, and both go on alike', async () => {
  const log = createMemoryEventLog();
  const { facts } = anyHistory(Array.from({ length: 400 }, (_, n) => n * 104_729));
  const half = Math.floor(facts.length / 2);
  await append(log, facts.slice(0, half));
  const early = await projected([log], await log.head());
  await append(log, facts.slice(half));
  const live = await projected([log], await log.head());
  expect(live).not.toEqual(early);

  await emptied();
  expect(await projected([log], await log.head())).toEqual(live);
  await emptied();
  expect(await projected([log, log], await log.head())).toEqual(live);
});

test('whoever is told of a position can read it', async () => {
  const { facts } = anyHistory(Array.from({ length: 60 }, (_, n) => n * 7_919));
  const seen: [Position, Position][] = [];
  let isLast = () => {};
  const last = new Promise<void>((resolve) => { isLast = resolve; });
  const service = await start({ log: logOf(facts, [5]), pool, tracing: NO_TRACING, logger, sleep: async () => {}, projected: {
    next: async () => {}, tell: (told) => { void position().then((at) => { seen.push([told, at]); if (told === facts.at(-1)!.position) isLast(); }); },
  } });
  await last;
  await service.stop();
  for (const [told, at] of seen) expect(at >= told).toBe(true);
});

test('a projector that is told to stop while the database is away stops', async () => {
  const { facts } = anyHistory([1, 2, 3]);
  let tries = 0;
  const away = { query: async () => { tries += 1; throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }); } } as unknown as pg.Pool;
  const service = await start({ log: logOf(facts, [1]), pool: away, tracing: NO_TRACING, logger, projected: createPositionSignal(), sleep: async () => void (await sleepFor(1)) });
  while (tries < 3) await sleepFor(1);
  await service.stop();
});

async function append(log: EventLog, facts: readonly Fact[]): Promise<void> {
  for (const { stream, revision, position: _position, ...fact } of facts) {
    const outcome = await log.append(stream as StreamName, revision === 0 ? 'noStream' : revision - 1, [fact as Appendable]);
    expect(outcome.kind).toBe('appended');
  }
}
