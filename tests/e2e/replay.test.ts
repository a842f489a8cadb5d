import pg from 'pg';
import { makeRepository } from '../harness/repository.ts';
import { startSystem, untilStored, type System } from '../harness/system.ts';
import { tekai as runTekai } from '../harness/tekai.ts';

/** The program is started from its sources time and again: on a busy machine 12 s each. */
const MANY_RUNS_MS_MAX = 300_000;
let system: System;
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });

/** The program as an operator runs it, beside the engine. */
const tekai = (...words: readonly string[]) => runTekai(system, ...words);

test('an empty log proves nothing: the program says so, and ends with 1', async () => {
  expect(await tekai('replay', '--verify')).toMatchObject({ code: 1, stdout: expect.stringContaining('nothing to prove anything by') });
});

test('the read models of a running engine are proved, found wrong by one cell, and replaced while they are read (I6)', async () => {
  const repository = await makeRepository();
  repository.commit('main', [{ path: 'a', content: 'first' }]);
  const project = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'replayed', import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote('root/replayed'));
  const codebase = await system.follow(project.id);
  for (let n = 0; n < 5; n += 1) {
    const pushed = repository.commit('main', [{ path: 'a', content: String(n) }]);
    repository.git('push', '-q', 'origin', 'main');
    await untilStored(system, codebase, 'refs/heads/main', pushed);
  }
  const equal = await tekai('replay', '--verify');
  expect(equal).toMatchObject({ code: 0, stdout: expect.stringMatching(/^equal {4}codebases +1 rows {2}[0-9a-f]{64}$/m) });
  expect(equal.stdout).toMatch(/The read models are what \d+ facts say, at position [0-9a-f]{8}-/);

  const client = new pg.Client({ connectionString: system.databaseUrl });
  await client.connect();
  await client.query('update read_model.refs set tree_id = $1 where codebase_id = $2', ['0'.repeat(40), codebase]);
  await client.end();
  const unequal = await tekai('replay', '--verify');
  expect(unequal.code).toBe(1);
  expect(unequal.stdout).toContain(`refs ${codebase} refs/heads/main\n`);
  expect(unequal.stdout).toContain('NOT what');

  let isDone = false;
  const reading = (async () => {
    for (let reads = 0; ; reads += 1) {
      expect((await system.ask('GET', `/v1/codebases/${codebase}/refs`)).status).toBe(200);
      if (isDone) return reads;
    }
  })();
  expect(await tekai('replay', '--switch')).toMatchObject({ code: 0, stdout: expect.stringContaining('are live, at position') });
  isDone = true;
  expect(await reading).toBeGreaterThan(10);

  // The engine goes on with the new tables.
  const head = repository.commit('main', [{ path: 'a', content: 'after' }]);
  repository.git('push', '-q', 'origin', 'main');
  await untilStored(system, codebase, 'refs/heads/main', head);
  expect(JSON.parse((await tekai('replay', '--verify', '--json')).stdout)).toMatchObject({ kind: 'equal', unfolded: 0 });
});

/** A codebase that is pushed to until `work` is done. */
async function amongPushes(name: string, work: (told: { codebase: string; first: string; client: pg.Client }) => Promise<void>): Promise<void> {
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: 'one' }]);
  const project = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: name, import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/${name}`));
  const codebase = await system.follow(project.id);
  await untilStored(system, codebase, 'refs/heads/main', first);
  const going = new AbortController();
  let pushes = 0;
  const pushing = (async () => {
    for (; !going.signal.aborted; pushes += 1) {
      const pushed = repository.commit('main', [{ path: 'b', content: String(pushes) }]);
      repository.git('push', '-q', 'origin', 'main');
      await untilStored(system, codebase, 'refs/heads/main', pushed);
    }
  })();
  const client = new pg.Client({ connectionString: system.databaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await work({ codebase, first, client });
  } finally {
    going.abort();
    await pushing;
    await client.end();
  }
  expect(pushes).toBeGreaterThan(2);
}

test('while pushes go on, a changed cell, a dropped row, an added row and an emptied table are each found, by table and key', async () => {
  await amongPushes('busy', async ({ codebase, first, client }) => {
    const sync = (await client.query<{ id: string }>('select sync_id as id from read_model.syncs where codebase_id = $1 and commit_id = $2', [codebase, first])).rows[0]!.id;
    // Each with its undoing, so that the next is found alone.
    for (const [table, key, spoil, mend] of [
      ['syncs', sync, `update read_model.syncs set bytes = bytes + 1 where sync_id = '${sync}'`, `update read_model.syncs set bytes = bytes - 1 where sync_id = '${sync}'`],
      ['syncs', sync, `create table kept as select * from read_model.syncs where sync_id = '${sync}'; delete from read_model.syncs where sync_id = '${sync}'`, 'insert into read_model.syncs select * from kept'],
      ['sources', 'zzz', `insert into read_model.sources select 'zzz', name, base_url, registered_at from read_model.sources limit 1`, `delete from read_model.sources where source_id = 'zzz'`],
      ['sources', await system.sourceId(), 'create table gone as select * from read_model.sources; truncate read_model.sources', 'insert into read_model.sources select * from gone'],
    ]) {
      await client.query(spoil!);
      const found = await tekai('replay', '--verify');
      expect(found.stdout.match(/^UNEQUAL +\w+/gm)?.map((line) => line.split(/ +/)[1])).toEqual([table]);
      expect([found.code, found.stdout]).toEqual([1, expect.stringContaining(`\n${table} ${key}\n`)]);
      await client.query(mend!);
    }
  });
}, MANY_RUNS_MS_MAX);

test('while pushes go on, an object that the index has at a wrong place, in a wrong pack or not at all is found, with its pack', async () => {
  await amongPushes('indexed', async ({ first, client }) => {
    const its = `id = decode('${first}', 'hex')`;
    const { rows: [object] } = await client.query<{ pack: string }>(`select encode(sha256, 'hex') as pack from objects join object_packs using (pack_no) where ${its}`);
    await client.query(`create table had as select * from objects where ${its}`);
    for (const [spoil, what] of [
      [`update objects set block_offset = block_offset + 1 where ${its}`, 'the pack at block'],
      [`update objects set pack_no = (select max(pack_no) from objects) where ${its}`, 'where it is not'],
      [`delete from objects where ${its}`, 'the index does not know it'],
    ]) {
      await client.query(spoil!);
      const found = await tekai('replay', '--verify');
      expect([found.code, found.stdout]).toEqual([1, expect.stringMatching(new RegExp(`^UNEQUAL {2}object index[^]*\\nobject index: pack ${object!.pack}, object ${first}\\n.*${what}`, 'm'))]);
      await client.query(`delete from objects where ${its}; insert into objects select * from had`);
    }
    expect(JSON.parse((await tekai('replay', '--verify', '--json')).stdout)).toMatchObject({ kind: 'equal', index: { problems: 0, first: [] } });
  });
}, MANY_RUNS_MS_MAX);

test('a replay that is not told what for says what there is', async () => {
  expect(await tekai('replay')).toMatchObject({ code: 64, stderr: expect.stringContaining('tekai replay --verify') });
});
