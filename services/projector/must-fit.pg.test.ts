import fc from 'fast-check';
import type pg from 'pg';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { freshDatabase, type FreshDatabase } from '#tests/harness/postgres.ts';
import { History } from './history.fixture.ts';
import { rowMustFit } from './must-fit.ts';
import type { ColumnType, Row, View } from './view.ts';
import { versions } from './views/refs.ts';

let database: FreshDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'projector', directory: new URL('migrations/', import.meta.url).pathname }] });
  pool = createPool(database.url, { connectionsMax: 1, applicationName: 'must-fit-test' });
  await pool.query('create unlogged table judged (a text, b integer, c bigint, d bigint[], e boolean, f json)');
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const COLUMNS = { a: 'text', b: 'integer', c: 'bigint', d: 'bigint[]', e: 'boolean', f: 'json' } as const satisfies Record<string, ColumnType>;
const VIEW = { table: 'judged', columns: COLUMNS } as unknown as View;

const fits = (view: View, row: Row) => { try { rowMustFit(view, undefined, row); return true; } catch { return false; } };

/** As the projector writes. */
async function isTaken(table: string, row: Row): Promise<boolean> {
  try {
    await pool.query(`insert into ${table} select * from json_populate_recordset(null::${table}, $1::json)`, [JSON.stringify([row])]);
    return true;
  } catch {
    return false;
  }
}

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', 'a\0b', 'a\ud800b', '\\u0000', '\\ud800'));
const number = fc.oneof(fc.integer(), fc.constantFrom(2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 40, Number.MAX_SAFE_INTEGER, 1.5));
const json = fc.letrec((tie) => ({ any: fc.oneof({ depthSize: 'small' }, text, number, fc.array(tie('any'), { maxLength: 3 }), fc.dictionary(text, tie('any'), { maxKeys: 3, noNullPrototype: true })) })).any;
const cells = { a: text, b: number, c: number, d: fc.array(number, { maxLength: 3 }), e: fc.boolean(), f: fc.dictionary(text, json, { maxKeys: 3, noNullPrototype: true }) };

test('whatever may be said is judged as Postgres judges it', async () => {
  const judged = { taken: 0, refused: 0 };
  await fc.assert(fc.asyncProperty(fc.record(cells), fc.constantFrom(...Object.keys(COLUMNS)), async (all, column) => {
    const row: Row = { a: null, b: null, c: null, d: null, e: null, f: null, [column]: all[column as keyof typeof all] };
    const isFit = fits(VIEW, row);
    judged[isFit ? 'taken' : 'refused'] += 1;
    expect([row, await isTaken('judged', row)]).toEqual([row, isFit]);
  }), { numRuns: 400 });
  expect(judged.taken).toBeGreaterThan(100);
  expect(judged.refused).toBeGreaterThan(50);
});

test('the longest text that is let into an index goes in beside the longest others that a row has, in three bytes a character', async () => {
  const history = new History();
  const fact = history.stored(history.sync(history.codebaseRegistered() as never), 'a');
  const view = versions as unknown as View;
  const row = { ...versions.fold(undefined, fact as never, [])!, position: '0123456789'.repeat(4) };
  const refOf = (characters: number) => Array.from({ length: characters }, (_, n) => String.fromCharCode(0x4e00 + (n * 7_919) % 20_000)).join('');
  const longest = Array.from({ length: 2_000 }, (_, n) => n).findLast((characters) => fits(view, { ...row, ref: refOf(characters) }))!;
  expect(longest).toBeGreaterThan(800);
  expect(await isTaken('read_model.versions', { ...row, ref: refOf(longest) })).toBe(true);
  expect(await isTaken('read_model.versions', { ...row, ref: refOf(longest + 100) })).toBe(false);
});

test('what is not said at all does not fit, null does', () => {
  expect(fits(VIEW, { a: null, b: null, c: null, d: null, e: null, f: null })).toBe(true);
  expect(fits(VIEW, { a: null, b: null, c: null, d: null, e: null })).toBe(false);
});
