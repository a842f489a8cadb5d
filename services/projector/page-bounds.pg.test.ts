import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import type pg from 'pg';
import type { Position } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { freshDatabase, type FreshDatabase } from '#tests/harness/postgres.ts';
import { VIEWS } from './fold-facts.ts';
import { foldOrMark } from './fold-page.ts';
import { anyHistory, History } from './history.fixture.ts';
import { createFreshFold } from './replay/fold-fresh.ts';

// I6: rows and marks follow from the log alone, wherever it is cut into pages, and by whichever of the two ways it is folded.

const SCHEMA = 'read_model';
const TABLES = [...VIEWS.map((view) => view.table), 'fact_index', 'unfolded'];

let database: FreshDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'projector', directory: new URL('migrations/', import.meta.url).pathname }] });
  pool = createPool(database.url, { connectionsMax: 4, applicationName: 'page-bounds-test' });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

interface Page { readonly facts: readonly Recorded[]; readonly position: Position }
type Model = Readonly<Record<string, readonly string[]>>;

/** In pages of these sizes, over and over. */
function cut(facts: readonly Recorded[], sizes: readonly number[]): Page[] {
  const pages: Page[] = [];
  for (let at = 0; at < facts.length; at += pages.at(-1)!.facts.length) {
    const some = facts.slice(at, at + (sizes[pages.length % sizes.length] ?? 1));
    pages.push({ facts: some, position: some.at(-1)!.position });
  }
  return pages;
}

async function emptied(): Promise<void> {
  await pool.query(`truncate ${TABLES.map((table) => `${SCHEMA}.${table}`).join(', ')}`);
  await pool.query(`update ${SCHEMA}.progress set position = ''`);
}

/** Every row of every table, positions too. */
async function model(): Promise<Model> {
  const tables: Record<string, string[]> = {};
  for (const table of TABLES) tables[table] = (await pool.query<{ row: string }>(`select t::text as row from ${SCHEMA}.${table} t`)).rows.map(({ row }) => row).sort();
  return tables;
}

/** As the projector does. */
async function foldedLive(pages: readonly Page[]): Promise<Model> {
  await emptied();
  for (const page of pages) await inTransaction(pool, (client) => foldOrMark(client, SCHEMA, page));
  return model();
}

/** As a replay does. */
async function foldedFresh(pages: readonly Page[], rowsKept: number): Promise<Model> {
  await emptied();
  const fresh = createFreshFold(pool, { schema: SCHEMA, rowsKept });
  for (const page of pages) await fresh.fold(page);
  await fresh.settle();
  return model();
}

async function marked(): Promise<{ position: string; error: string }[]> {
  return (await pool.query<{ position: string; error: string }>(`select position, error from ${SCHEMA}.unfolded order by position`)).rows;
}

/** Three bytes a character, and nothing in it to press together. */
const NO_INDEX_TAKES = Array.from({ length: 2_000 }, (_, n) => String.fromCharCode(0x4e00 + (n * 7_919) % 20_000)).join('');

/** What no service of ours says, and JSON can. */
const ABSURD = {
  string: ['a\u0000b', 'a\ud800b', 'yesterday', '\\u0000 \\ud800', 'a\tb\\c\nd\re\u0007', `refs/heads/${NO_INDEX_TAKES.slice(0, 1_000)}`, `2026-01-01T12:00:00.${'73914'.repeat(3_000)}Z`, '', null, 7],
  number: [2 ** 31 - 1, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER, -1, 1.5, 1e21, '7', null],
} as const;
/** Where schemas let pass what a table that is asked does not take. Most of these a later fact of the row may write over. */
const TENDER = /^data\.(attempt|objectsAdded|detail|followed\..*|path|name|reason)$/;
const REFUSED = { string: ['a\u0000b', 'a\ud800b'], number: [2 ** 31, 2 ** 40] } as const;
/** These are the log's, which sees to them. */
const OF_THE_LOG = new Set(['id', 'stream', 'revision', 'position']);

function placesIn(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value === 'string' || typeof value === 'number') return [[...path]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).filter(([name]) => path.length > 0 || !OF_THE_LOG.has(name)).flatMap(([name, one]) => placesIn(one, [...path, name]));
}

interface Spoil { readonly fact: number; readonly isTender: boolean; readonly place: number; readonly value: number }

/** In the facts' place, with one absurd value more. Gives back where. */
function spoil(facts: Recorded[], { fact, isTender, place, value }: Spoil): string | undefined {
  const placesOf = (one: Recorded) => placesIn(one).filter((path) => !isTender || TENDER.test(path.join('.')));
  const some = facts.filter((one) => placesOf(one).length > 0);
  const chosen = some[fact % Math.max(1, some.length)];
  if (chosen === undefined) return undefined;
  const places = placesOf(chosen);
  facts[facts.indexOf(chosen)] = spoiled(chosen, { path: places[place % places.length]!, absurd: isTender ? REFUSED : ABSURD, value });
  return chosen.position;
}

function spoiled(fact: Recorded, { path, absurd, value }: { path: readonly string[]; absurd: { readonly [Type in 'string' | 'number']: readonly unknown[] }; value: number }): Recorded {
  const copy = structuredClone(fact);
  const holder = path.slice(0, -1).reduce((at, name) => at[name] as Record<string, unknown>, copy as unknown as Record<string, unknown>);
  const name = path.at(-1)!;
  const values = typeof holder[name] === 'number' ? absurd.number : absurd.string;
  holder[name] = values[value % values.length];
  return copy;
}

/** Every other one is about a hook: why it is refused is written over as soon as it stands. */
const choices = fc.array(fc.oneof(fc.nat({ max: 1 << 20 }), fc.nat({ max: 1 << 16 }).map((choice) => choice * 16 + 2)), { minLength: 1, maxLength: 50 });
const sizes = fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1, maxLength: 6 });
const spoils = fc.array(fc.record({ fact: fc.nat(), isTender: fc.boolean(), place: fc.nat({ max: 999 }), value: fc.nat({ max: 999 }) }), { maxLength: 40 });

test('any history, with absurd values in it, has the same rows and the same marks wherever it is cut, and what is marked is folded nowhere', async () => {
  let marks = 0;
  await fc.assert(fc.asyncProperty(choices, spoils, sizes, sizes, fc.integer({ min: 0, max: 30 }), async (steps, all, some, others, rowsKept) => {
    const facts: Recorded[] = [...anyHistory(steps).facts];
    fc.pre(facts.length > 0);
    const spoiledOnes = new Set(all.map((one) => spoil(facts, one)));

    const expected = await foldedLive(cut(facts, [1]));
    const found = await marked();
    marks += found.length;
    expect(expected['fact_index']).toHaveLength(facts.length);
    expect(found.filter(({ position }) => !spoiledOnes.has(position))).toEqual([]);

    expect(await foldedLive(cut(facts, some))).toEqual(expected);
    expect(await foldedLive(cut(facts, [facts.length]))).toEqual(expected);
    expect(await foldedFresh(cut(facts, others), rowsKept)).toEqual(expected);
    expect(await foldedFresh(cut(facts, [1]), 1)).toEqual(expected);

    const positions = new Set(found.map(({ position }) => position));
    const without = await foldedLive(cut(facts.filter(({ position }) => !positions.has(position)), [facts.length]));
    for (const { table } of VIEWS) expect([table, without[table]]).toEqual([table, expected[table]]);
  }), { numRuns: Number(process.env['SEEDS'] ?? 20) });
  expect(marks).toBeGreaterThan(10);
}, 3_600_000);

test('what the tables refuse is marked at the fact that brings it, also when the next of its row makes it good in the same page', async () => {
  const history = new History();
  const sync = history.sync(history.codebaseRegistered() as unknown as Fact);
  const absurd = history.fetched(sync, 'a', { attempt: 2 ** 40 });
  history.failed(sync, { attempt: 1 });
  const expected = await foldedLive(cut(history.facts, [1]));
  expect((await marked()).map(({ position }) => position)).toEqual([absurd.position]);
  expect(await foldedLive(cut(history.facts, [3]))).toEqual(expected);
  expect(await foldedFresh(cut(history.facts, [3]), 10)).toEqual(expected);
});

test('a fact that one view cannot take is folded in none of the others', async () => {
  const history = new History();
  const cause = history.codebaseRegistered() as unknown as Fact;
  const before = await foldedLive(cut(history.facts, [1]));
  const push = history.pushReceived(history.sync(cause).codebase, ['refs/heads/main']);
  // The codebase has it as a text of any length, the sync where an index holds it.
  history.facts[1] = { ...push, time: `2026-01-01T12:00:00.${'73914'.repeat(3_000)}Z` } as unknown as Fact;
  const after = await foldedLive(cut(history.facts, [1]));
  expect(await marked()).toEqual([{ position: push.position, error: 'TypeError: syncs.begun_at does not take this as indexed text' }]);
  for (const { table } of VIEWS) expect([table, after[table]]).toEqual([table, before[table]]);
  expect(await foldedFresh(cut(history.facts, [2]), 10)).toEqual(after);
});

test('a key that cannot be asked for is marked, also by a replay that no longer has everything in memory', async () => {
  const history = new History();
  const ids = ['\u0000', '\ud800', 'somebody'].map((user, n) => {
    const projectId = `5b6f0a8e-55cd-4a8e-9c39-0a3f5d8d1f1${n}`;
    const created = history.decided(`project-${projectId}`, 'project.created', { projectId, name: 'all' });
    history.facts[n] = { ...created, actor: { kind: 'user', id: user } } as unknown as Fact;
    return created.position as string;
  });
  const expected = await foldedLive(cut(history.facts, [1]));
  expect((await marked()).map(({ position }) => position)).toEqual(ids.slice(0, 2));
  expect(expected['projects']).toHaveLength(1);
  for (const size of [1, 2, 3]) expect(await foldedFresh(cut(history.facts, [size]), 0)).toEqual(expected);
});

test('columns are of the types that the fold judges by, and what an index holds is known to be short', async () => {
  const { rows } = await pool.query<{ table: string; column: string; type: string; isIndexed: boolean }>(
    `select c.relname as table, a.attname as column, format_type(a.atttypid, a.atttypmod) as type,
       exists (select from pg_index i where i.indrelid = c.oid and a.attnum = any(i.indkey)) as "isIndexed"
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = $1::regnamespace and c.relkind = 'r'`, [SCHEMA]);
  for (const { table, columns } of VIEWS) {
    const found = rows.filter((row) => row.table === table).map(({ column, type, isIndexed }) => [column, type === 'text' && isIndexed ? 'indexed text' : type]);
    expect([table, columns]).toEqual([table, Object.fromEntries(found)]);
  }
});

/** The last net: no table of ours is like this. */
test.each([
  ['a constraint', `alter table ${SCHEMA}.sources add constraint unforeseen check (length(base_url) < 1000)`, `alter table ${SCHEMA}.sources drop constraint unforeseen`, 'violates check constraint'],
  ['an index', `create index unforeseen on ${SCHEMA}.sources (base_url)`, `drop index ${SCHEMA}.unforeseen`, 'exceeds btree version 4 maximum'],
])('what %s refuses that nobody foresaw is marked, and everything around it is folded, by both ways', async (_what, make, drop, said) => {
  const history = new History();
  const long = `https://gitlab.example.com/${NO_INDEX_TAKES.slice(0, 1_900)}`;
  const [, refused] = ['https://one.example.com', long, 'https://two.example.com'].map((baseUrl) => history.sourceRegistered(undefined, { baseUrl }));
  await emptied();
  await pool.query(make);
  try {
    const expected = await foldedLive(cut(history.facts, [1]));
    expect(await marked()).toEqual([{ position: refused!.position, error: expect.stringContaining(said) }]);
    expect(expected['sources']).toHaveLength(2);
    expect(await foldedLive(cut(history.facts, [3]))).toEqual(expected);
    expect(await foldedFresh(cut(history.facts, [3]), 10)).toEqual(expected);
  } finally {
    await pool.query(drop);
  }
});

test('a replay adds what a whole page brings without asking fact by fact', async () => {
  const { facts } = anyHistory(Array.from({ length: 200 }, (_, n) => n * 104_729));
  expect(new Set(facts.map(({ type }) => type)).has('codebase.readers-observed')).toBe(true);
  const said: string[] = [];
  const listening = { ...pool, query: pool.query.bind(pool), connect: async () => {
    const client = await pool.connect();
    return { release: (isBroken?: boolean) => client.release(isBroken), query: (...args: unknown[]) => {
      if (typeof args[0] === 'string') said.push(args[0]);
      return (client.query as (...all: unknown[]) => unknown)(...args);
    } };
  } } as unknown as pg.Pool;
  await emptied();
  const fresh = createFreshFold(listening, { schema: SCHEMA, rowsKept: 1_000 });
  for (const page of cut(facts, [50])) await fresh.fold(page);
  await fresh.settle();
  expect(said.filter((one) => one.includes('savepoint'))).toEqual([]);
  expect(said.filter((one) => one === 'commit')).toHaveLength(Math.ceil(facts.length / 50));
});

const REFOLD = new URL('migrations/0010-judged-by-the-fold.sql', import.meta.url);

test('a model in which something is marked is folded again by this release, any other is left as it is', async () => {
  const history = new History();
  const sync = history.sync(history.codebaseRegistered() as unknown as Fact);
  const [sql, whole] = [await readFile(REFOLD, 'utf8'), await foldedLive(cut(history.facts, [1]))];
  await pool.query(sql);
  expect(await model()).toEqual(whole);

  history.fetched(sync, 'a', { attempt: 2 ** 40 });
  await foldedLive(cut(history.facts, [1]));
  await pool.query(sql);
  expect(Object.values(await model()).flat()).toEqual([]);
  expect((await pool.query(`select position from ${SCHEMA}.progress`)).rows).toEqual([{ position: '' }]);
});
