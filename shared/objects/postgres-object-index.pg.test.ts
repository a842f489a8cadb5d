import { Unavailable } from '#shared/runtime/unavailable.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { migrationsDirectory } from '#shared/postgres/migrations-directory.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { freshDatabase } from '../../tests/harness/postgres.ts';
import { nthPlace, objectIndexContract } from './object-index.contract.ts';
import { FEW_MAX } from './postgres-few-objects.ts';
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
    const many = (from: number) => Array.from({ length: FEW_MAX + 1 }, (_, n) => nthPlace(from + n));
    await index.record(many(1_000), new Map());
    const first = await incoming();
    for (let n = 1; n < 5; n++) await index.record(many(1_000 + n * 1_000), new Map());
    expect(await incoming()).toEqual(first);
    await pool.end();
  });

  test('a pack that another records at the same moment is not missed: the few objects are recorded all the same', async () => {
    const [first, ...others] = [400, 401, 402].map((n) => nthPlace(n, { pack: 'at once' }));
    const other = await opened.pool.connect();
    await other.query('begin');
    await other.query('insert into object_packs (sha256) values ($1)', [Buffer.from(first!.pack, 'hex')]);
    const recorded = opened.index.record([first!, ...others], new Map());
    const isWaiting = async () => (await opened.pool.query('select from pg_stat_activity where wait_event_type = $1 and datname = current_database()', ['Lock'])).rowCount === 1;
    for (const end = performance.now() + 30_000; !(await isWaiting()) && performance.now() < end;);
    await other.query('commit');
    other.release();
    expect(await recorded).toEqual({ added: 3 });
    expect(await opened.index.places([first!.id])).toEqual(new Map([[first!.id, first]]));
  });

  test.each([['few', FEW_MAX], ['many', FEW_MAX + 1]])('of %s, a finding that does not fit leaves nothing behind', async (_what, count) => {
    const places = Array.from({ length: count }, (_, n) => nthPlace(20_000 + n, { pack: 'unfit' }));
    const unfit = new Map([[places.at(-1)!.id, { kind: 'blob', language: 'Go', lines: 2 ** 40, isBinary: false, isGenerated: false, isVendored: false, isLfsPointer: false } as const]]);
    await expect(opened.index.record(places, unfit)).rejects.toThrow(/out of range/);
    expect((await opened.index.known(places.map(({ id }) => id))).size).toBe(0);
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
