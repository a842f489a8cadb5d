import fc from 'fast-check';
import type pg from 'pg';
import { freshDatabase, type FreshDatabase } from '#tests/harness/postgres.ts';
import { addRows, Unstorable } from './copy-rows.ts';
import { inTransaction } from './in-transaction.ts';
import { createPool } from './pool.ts';

let database: FreshDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await freshDatabase();
  pool = createPool(database.url, { connectionsMax: 1, applicationName: 'copy-rows-test' });
  for (const table of ['copied', 'inserted']) await pool.query(`create table ${table} (nth int, words text, small int, big bigint, flag boolean, many bigint[], said json)`);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const words = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', '\\N', '\\.', 'null', 'a\tb\nc\rd\\e', '\\u0000', '{1,2}', '"', 'NULL')).map((text) => text.replaceAll('\0', ''));
const row = fc.record({
  words: fc.option(words), small: fc.option(fc.integer()), big: fc.option(fc.maxSafeInteger()), flag: fc.option(fc.boolean()),
  many: fc.option(fc.array(fc.maxSafeInteger(), { maxLength: 4 })), said: fc.option(fc.dictionary(words, fc.oneof(words, fc.integer(), fc.constant(null), fc.array(words)), { noNullPrototype: true })),
});

test('rows that are added by COPY are those that an insert from JSON makes, whatever stands in them', async () => {
  await fc.assert(fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 20 }), async (some) => {
    const rows = some.map((one, nth) => ({ nth, ...one }));
    await pool.query('truncate copied, inserted');
    await inTransaction(pool, (client) => addRows(client, 'copied', rows));
    await pool.query('insert into inserted select * from json_populate_recordset(null::inserted, $1::json)', [JSON.stringify(rows)]);
    const [copied, inserted] = await Promise.all(['copied', 'inserted'].map(async (table) => (await pool.query(`select t::text as whole from ${table} t order by nth`)).rows as unknown[]));
    expect(copied).toEqual(inserted);
    expect(copied).toHaveLength(rows.length);
  }), { numRuns: 150 });
});

test.each([['a NUL', 'a\0b'], ['half of a surrogate pair', 'a\ud800b']])('%s is left to who asked, in a text and however deep in JSON', async (_what, text) => {
  for (const cell of [text, { one: ['two', { three: text }] }, { [text]: 1 }]) {
    await expect(inTransaction(pool, (client) => addRows(client, 'copied', [typeof cell === 'string' ? { words: cell } : { said: cell }]))).rejects.toThrow(Unstorable);
  }
});
