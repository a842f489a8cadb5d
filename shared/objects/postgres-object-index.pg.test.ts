import { Unavailable } from '#shared/runtime/unavailable.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { migrationsDirectory } from '#shared/postgres/migrations-directory.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { freshDatabase } from '../../tests/harness/postgres.ts';
import { nthPlace, objectIndexContract } from './object-index.contract.ts';
import { createPostgresObjectIndex } from './postgres-object-index.ts';

async function openIndex() {
  const database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'objects', directory: migrationsDirectory(import.meta.url) }] });
  const pool = createPool(database.url, { connectionsMax: 6, applicationName: 'object-index-test' });
  return { pool, index: createPostgresObjectIndex({ pool }), database, close: async () => { await pool.end(); await database.drop(); } };
}

objectIndexContract('postgres', openIndex);

describe('the object index in Postgres', () => {
  let opened: Awaited<ReturnType<typeof openIndex>>;
  beforeAll(async () => { opened = await openIndex(); });
  afterAll(() => opened.close());

  test('packs and languages use up no number when they are known already', async () => {
    for (let n = 0; n < 20; n++) {
      const place = nthPlace(n, { pack: 'same' });
      await opened.index.record([place], new Map([[place.id, { kind: 'blob', language: 'Go', lines: 1, isBinary: false, isGenerated: false, isVendored: false, isLfsPointer: false }]]));
    }
    const { rows } = await opened.pool.query(`
      select (select last_value from object_packs_pack_no_seq) as packs, (select last_value from object_languages_language_no_seq) as languages`);
    expect(rows).toEqual([{ packs: '1', languages: '1' }]);
  });

  test('records leave no dead rows in the system catalogs', async () => {
    const pool = createPool(opened.database.url, { connectionsMax: 1, applicationName: 'object-index-test' });
    const index = createPostgresObjectIndex({ pool });
    const incoming = async () => (await pool.query(`select 'pg_temp.incoming_objects_1'::regclass::oid as oid`)).rows;
    await index.record([nthPlace(200)], new Map());
    const first = await incoming();
    for (let n = 201; n < 205; n++) await index.record([nthPlace(n)], new Map());
    expect(await incoming()).toEqual(first);
    await pool.end();
  });

  test('a large record lets others work between its pieces', async () => {
    const place = nthPlace(300);
    let rowsThisTurn = 0;
    let rowsMax = 0;
    let isRecording = true;
    const turn = () => {
      rowsThisTurn = 0;
      if (isRecording) setImmediate(turn);
    };
    turn();
    await opened.index.record((function* () {
      for (let n = 0; n < 100_000; n++) {
        rowsMax = Math.max(rowsMax, ++rowsThisTurn);
        yield place;
      }
    })(), new Map());
    isRecording = false;
    // A piece has 600 rows. Without a pause between pieces it was 20,000 and more.
    expect(rowsMax).toBeLessThan(3_000);
  });

  test('a database that goes away while objects are recorded is Unavailable, and nothing is recorded', async () => {
    const places = Array.from({ length: 50_000 }, (_, n) => nthPlace(10_000 + n));
    let isEnded = false;
    // Goes on until the server has ended the connection that is copying.
    const ending = function* () {
      yield* places;
      void opened.pool.query(`select pg_terminate_backend(pid) from pg_stat_activity where query like 'copy %' and pid <> pg_backend_pid()`).then(() => { isEnded = true; });
      while (!isEnded) yield places[0]!;
      yield* places;
    };
    await expect(opened.index.record(ending(), new Map())).rejects.toThrow(Unavailable);
    expect((await opened.index.known(places.slice(0, 10).map(({ id }) => id))).size).toBe(0);
    expect(await opened.index.record(places.slice(0, 10), new Map())).toEqual({ added: 10 });
  });

  test('a server that is not there is Unavailable', async () => {
    const pool = createPool('postgres://nobody@127.0.0.1:1/none', { connectionsMax: 1, applicationName: 'object-index-test' });
    const index = createPostgresObjectIndex({ pool });
    await expect(index.known([nthPlace(1).id])).rejects.toThrow(Unavailable);
    await expect(index.record([nthPlace(1)], new Map())).rejects.toThrow(/^object index: /);
    await pool.end();
  });
});
