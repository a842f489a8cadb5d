import { execFile } from 'node:child_process';
import path from 'node:path';
import pg from 'pg';
import { makeRepository } from '../harness/repository.ts';
import { startSystem, untilStored, type System } from '../harness/system.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
let system: System;
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });

/** The program as an operator runs it, beside the engine. */
function tekai(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], TEKAI_STATE_DIR: system.stateDir, TEKAI_DATABASE_URL: system.databaseUrl };
  const argv = ['--conditions=source', '--import', path.join(ROOT, 'tests/harness/ts-loader.mjs'), path.join(ROOT, 'services/main.ts'), ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, argv, { cwd: ROOT, env, timeout: 60_000 }, (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }));
  });
}

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

test('a replay that is not told what for says what there is', async () => {
  expect(await tekai('replay')).toMatchObject({ code: 64, stderr: expect.stringContaining('tekai replay --verify') });
});
