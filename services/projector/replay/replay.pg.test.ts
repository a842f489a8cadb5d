import { setTimeout as sleepFor } from 'node:timers/promises';
import type pg from 'pg';
import type { Position } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import type { Appendable, EventLog } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createPositionSignal } from '#shared/runtime/position-signal.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { NO_TRACING } from '#shared/runtime/tracing.ts';
import { freshDatabase, type FreshDatabase } from '#tests/harness/postgres.ts';
import { anyHistory, History } from '../history.fixture.ts';
import { start } from '../service.ts';
import { atOneMoment } from './compare-models.ts';
import { switchModel } from './switch-model.ts';
import { verifyModel } from './verify-model.ts';

const never = new AbortController().signal;
let database: FreshDatabase;
let pool: pg.Pool;
let log: EventLog;
let projector: RunningService | undefined;

beforeEach(async () => {
  database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'projector', directory: new URL('../migrations/', import.meta.url).pathname }] });
  pool = createPool(database.url, { connectionsMax: 10, applicationName: 'replay-test' });
  log = createMemoryEventLog();
});
afterEach(async () => {
  await projector?.stop();
  projector = undefined;
  await pool.end();
  await database.drop();
});

const startProjector = async () => { projector = await start({ log, pool, projected: createPositionSignal(), tracing: NO_TRACING, logger: createLogger('silent'), sleep: async () => void (await sleepFor(1)) }); };
const position = async () => (await pool.query<{ position: Position }>('select position from read_model.progress')).rows[0]?.position;

async function append(facts: readonly Fact[]): Promise<void> {
  for (const { stream, revision, position: _position, ...fact } of facts) await log.append(stream, revision === 0 ? 'noStream' : revision - 1, [fact as Appendable]);
}

async function untilFolded(): Promise<void> {
  const head = await log.head();
  for (const end = performance.now() + 30_000; (await position()) !== head; await sleepFor(5)) if (performance.now() > end) throw new Error('the projector does not get to the head');
}

const someHistory = (count: number) => anyHistory(Array.from({ length: count }, (_, n) => n * 104_729)).facts;

async function live(count = 300): Promise<void> {
  await append(someHistory(count));
  await startProjector();
  await untilFolded();
}

const schemas = async () => (await pool.query<{ name: string }>(`select nspname as name from pg_namespace where nspname ~ '^(replay_|switching_|read_model)' order by 1`)).rows.map(({ name }) => name);

test('a model that nobody touched is equal: rows and one digest a table, at one stated position, and nothing is left behind', async () => {
  await live();
  const verdict = await verifyModel({ log, pool }, never);
  expect(verdict).toMatchObject({ kind: 'equal', position: await log.head(), facts: someHistory(300).length, differences: [], unfolded: 0 });
  expect(verdict.tables.map(({ table }) => table)).toEqual(expect.arrayContaining(['codebases', 'fact_index', 'refs', 'sources', 'syncs', 'unfolded', 'versions']));
  for (const { table, live: one, rebuilt } of verdict.tables) expect([table, one]).toEqual([table, rebuilt]);
  expect(verdict.tables.find(({ table }) => table === 'versions')!.live.rows).toBeGreaterThan(5);
  expect(await schemas()).toEqual(['read_model']);
});

test.each([
  ['a changed cell', 'refs', `update read_model.refs set commit_id = 'x' where (codebase_id, ref) = (select codebase_id, ref from read_model.refs where state = 'stored' order by 1, 2 limit 1)`, 'both'],
  ['a cell that was null', 'codebases', `update read_model.codebases set hook_reason = '' where codebase_id = (select max(codebase_id) from read_model.codebases)`, 'both'],
  ['a dropped row', 'syncs', 'delete from read_model.syncs where sync_id = (select max(sync_id) from read_model.syncs)', 'rebuilt'],
  ['an added row', 'sources', `insert into read_model.sources select 'zzz', name, base_url, registered_at from read_model.sources limit 1`, 'live'],
  ['a fact that the index forgot', 'fact_index', 'delete from read_model.fact_index where position = (select max(position) from read_model.fact_index)', 'rebuilt'],
])('%s is found: its table and its key are named', async (_what, table, change, where) => {
  await live();
  await pool.query(change);
  const verdict = await verifyModel({ log, pool }, never);
  expect(verdict.kind).toBe('unequal');
  expect(verdict.tables.filter(({ live: one, rebuilt }) => one.digest !== rebuilt.digest).map((one) => one.table)).toEqual([table]);
  const [difference, ...others] = verdict.differences;
  expect(others).toEqual([]);
  expect(difference).toMatchObject({ table, live: where === 'rebuilt' ? null : expect.any(String), rebuilt: where === 'live' ? null : expect.any(String) });
  expect(difference!.key.join()).not.toBe('');
});

test('each cell of each table counts, but for positions: whichever is changed, that table\'s digest is another', async () => {
  await live();
  await projector!.stop();
  const { rows: columns } = await pool.query<{ table: string; column: string; type: string }>(
    `select table_name as table, column_name as column, data_type as type from information_schema.columns
     where table_schema = 'read_model' and table_name <> 'progress' and column_name not in ('position', 'began_at') order by 1, ordinal_position`);
  const changed = (type: string, column: string) => (type === 'boolean' ? `not coalesce(${column}, false)` : type.includes('int') ? `coalesce(${column}, 0) + 1`
    : /json/.test(type) ? `'{"changed": true}'` : type === 'ARRAY' ? `'{4711}'` : `coalesce(${column}, '') || 'x'`);
  const digests = async () => new Map((await atOneMoment(pool, 'read_model', (model) => model.digests())).map(({ table, digest }) => [table, digest]));
  const missed: string[] = [];
  let before = await digests();
  for (const { table, column, type } of columns) {
    const { rowCount } = await pool.query(`update read_model.${table} set ${column} = ${changed(type, column)} where ctid = (select min(ctid) from read_model.${table})`);
    if (rowCount !== 1) continue;
    const after = await digests();
    const others = [...after].filter(([name, digest]) => before.get(name) !== digest).map(([name]) => name);
    if (others.join() !== table) missed.push(`${table}.${column}: ${others.join()}`);
    before = after;
  }
  expect(missed).toEqual([]);
  expect(columns.length).toBeGreaterThan(60);
});

test('the switch waits for whoever reads in several statements, and they read one model', async () => {
  await live(40);
  await projector!.stop();
  const reader = await pool.connect();
  try {
    await reader.query('begin');
    await reader.query('select position from read_model.progress');
    // Only the live model has it: the rebuilt one is what the log says.
    await pool.query(`insert into read_model.sources select 'zzz', name, base_url, registered_at from read_model.sources limit 1`);
    let isDone = false;
    const switching = switchModel({ log, pool }, never).then(() => { isDone = true; });
    const isWaiting = async () => (await pool.query(`select from pg_locks where not granted and relation = 'read_model.progress'::regclass`)).rowCount === 1;
    for (const end = performance.now() + 30_000; !isDone && !(await isWaiting()) && performance.now() < end;) await sleepFor(5);
    const { rows } = await reader.query(`select from read_model.sources where source_id = 'zzz'`);
    expect([rows.length, isDone]).toEqual([1, false]);
    await reader.query('commit');
    await switching;
  } finally {
    reader.release();
  }
});

test('an empty log proves nothing, and says so; an emptied model is unequal', async () => {
  expect(await verifyModel({ log, pool }, never)).toMatchObject({ kind: 'empty', facts: 0 });
  await live(40);
  await projector!.stop();
  await pool.query('truncate read_model.versions');
  expect(await verifyModel({ log, pool }, never)).toMatchObject({ kind: 'unequal' });
});

test('it is proved while the log goes on: both sides stand at one position', async () => {
  await live();
  const writing = new AbortController();
  const more = (async () => {
    for (let n = 0; !writing.signal.aborted; n += 1) { await append(anyHistory([1, 17 + n, 4, 8, 9, 10, 11].map((choice) => choice + 16 * n)).facts); await sleepFor(25); }
  })();
  for (let time = 0; time < 5; time += 1) expect(await verifyModel({ log, pool }, never)).toMatchObject({ kind: 'equal', differences: [] });
  writing.abort();
  await more;
});

test('the rebuilt tables become the live ones while facts come and readers read: no read fails, none sees an older or half a model', async () => {
  await live();
  await pool.query(`update read_model.refs set commit_id = 'x'`);
  const [first] = (await pool.query<{ codebase_id: string }>('select codebase_id from read_model.codebases order by 1 limit 1')).rows;
  const going = new AbortController();
  let reads = 0;
  const reader = async () => {
    for (let last = ''; !going.signal.aborted; reads += 1) {
      const { rows } = await pool.query<{ position: string; there: boolean }>('select position, exists (select 1 from read_model.codebases where codebase_id = $1) as there from read_model.progress', [first!.codebase_id]);
      expect(rows[0]!.there).toBe(true);
      expect(rows[0]!.position >= last).toBe(true);
      last = rows[0]!.position;
    }
  };
  const writer = async () => {
    for (let n = 0; !going.signal.aborted; n += 1) { await append(anyHistory([1, 4 + 16 * n, 8, 10, 11]).facts); await sleepFor(25); }
  };
  const all = Promise.all([reader(), reader(), writer()]);
  for (let time = 0; time < 5; time += 1) await switchModel({ log, pool }, never);
  going.abort();
  await all;
  expect(reads).toBeGreaterThan(50);
  await untilFolded();
  expect(await verifyModel({ log, pool }, never)).toMatchObject({ kind: 'equal' });
  expect(await schemas()).toEqual(['read_model']);
});

test('what a killed replay left is in nobody\'s way', async () => {
  await live(60);
  await pool.query(`create schema replay_${process.pid}`);
  await pool.query(`create table replay_${process.pid}.refs (x int)`);
  await pool.query('create schema read_model_replaced');
  expect(await verifyModel({ log, pool }, never)).toMatchObject({ kind: 'equal' });
  await switchModel({ log, pool }, never);
  expect(await schemas()).toEqual(['read_model']);
});

/** I6: the rebuild writes in another way than the live projector, and must come to the same. */
test.each([[1, 1], [7, 2], [13, 5], [50, 1_000], [5_000, 30_000]])('in pages of %i facts, with %i rows of each view kept in memory, the tables are the live ones', async (pageFacts, rowsKept) => {
  await live(400);
  expect(await verifyModel({ log, pool, bounds: { pageFacts, rowsKept } }, never)).toMatchObject({ kind: 'equal', differences: [], unfolded: 0 });
});

test('what the live tables refuse is refused by the rebuilt ones, and marked alike; everything around it is folded', async () => {
  const spoiled = someHistory(300).map((fact, n): Fact => (fact.type === 'codebase.fetched' && n % 3 === 0 ? { ...fact, data: { ...fact.data, attempt: 2 ** 40 } }
    : n % 41 === 5 ? { ...fact, correlationId: 'a\u0000b' } : n % 41 === 10 ? { ...fact, correlationId: 'a\ud800b' } : n % 41 === 15 ? { ...fact, correlationId: 'tab\tand \\ and\nline' }
      : fact.type === 'codebase.registered' && n % 2 === 0 ? { ...fact, data: { ...fact.data, followed: { branches: ['\u0000'], tags: [] } } } : n % 41 === 20 ? ({ ...fact, time: 'yesterday' }) : fact));
  await append(spoiled);
  await startProjector();
  await untilFolded();
  for (const bounds of [{ pageFacts: 11, rowsKept: 3 }, { pageFacts: 5_000, rowsKept: 30_000 }]) {
    const verdict = await verifyModel({ log, pool, bounds }, never);
    expect(verdict).toMatchObject({ kind: 'equal', differences: [] });
    expect(verdict.unfolded).toBeGreaterThan(20);
  }
});

test('the tables that were made live have the keys, indexes and columns of those before, by the same names', async () => {
  await live(60);
  const shape = async () => (await pool.query(
    `select tablename as table, indexname as name, indexdef as definition from pg_indexes where schemaname = 'read_model'
     union all select table_name, column_name, concat_ws(' ', ordinal_position, data_type, is_nullable, column_default) from information_schema.columns where table_schema = 'read_model'
     union all select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'read_model'::regnamespace and contype <> 'n'
     union all select relname, relpersistence::text, '' from pg_class where relnamespace = 'read_model'::regnamespace order by 1, 2, 3`)).rows;
  const before = await shape();
  await switchModel({ log, pool }, never);
  expect(await shape()).toEqual(before);
  expect(before.length).toBeGreaterThan(90);
});

test('facts that could not be folded are counted: what they say is proved by nothing', async () => {
  const history = new History();
  history.codebaseRegistered();
  await append(history.facts.map((fact) => ({ ...fact, type: 'codebase.teleported' }) as unknown as Fact));
  await startProjector();
  await untilFolded();
  expect(await verifyModel({ log, pool }, never)).toMatchObject({ kind: 'equal', unfolded: 1 });
});
