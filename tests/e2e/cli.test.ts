import { setTimeout as sleepFor } from 'node:timers/promises';
import { tekai as runTekai, type Ran } from '../../services/cli/cli-run.fixture.ts';
import { makeRepository, type Repository } from '../harness/repository.ts';
import { startSystem, until, type System } from '../harness/system.ts';

// The commands of people against a real engine: what they decide about sources, codebases and projects, and that programs can read each answer.

let system: System;
let repository: Repository;
beforeAll(async () => {
  system = await startSystem();
  repository = await makeRepository();
  repository.commit('main', [{ path: 'src/a.ts', content: 'export {};\n' }], { message: 'Begin' });
  await system.gitlab.admin('POST', '/projects', { path: 'web', import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote('root/web'));
  await good('source', 'add', system.gitlab.url, '--name', 'work');
  await good('codebase', 'add', 'work', 'root/web');
});
afterAll(async () => { await system.stop(); });

const tekai = (...words: string[]) => runTekai(words, {
  env: { TEKAI_URL: system.url, TEKAI_TOKEN: system.token, TEKAI_GITLAB_TOKEN: system.gitlab.token }, now: () => new Date(), sleep: (ms, signal) => sleepFor(ms, undefined, { signal }).catch(() => undefined),
});

/** It must succeed; once the tables have what was decided before, which may take a moment. */
async function good(...words: string[]): Promise<Ran> {
  let last: Ran | undefined;
  return until(`tekai ${words.join(' ')}`, async () => {
    last = await tekai(...words);
    return last.code === 0 ? last : undefined;
  }, 60_000).catch((error: unknown) => { throw new Error(last?.stderr, { cause: error }); });
}

test('a project is begun, filled, renamed, archived, removed and brought back', async () => {
  expect((await good('project', 'add', 'Shop')).stdout).toContain('Project Shop begins.');
  expect((await good('project', 'add-codebase', 'shop', 'web')).stdout).toBe('Project Shop has root/web now.\n');
  await until('it is in it', async () => (await good('project', 'show', 'shop')).stdout.includes('root/web'));
  expect((await good('project', 'rename', 'shop', 'Till')).stdout).toBe('Project Shop is Till now.\n');
  expect((await good('project', 'archive', 'till')).stdout).toBe('Project Till is archived.\n');
  await until('it is listed as such', async () => /^Till +1 +archived/m.test((await good('project', 'ls')).stdout));
  await good('project', 'restore', 'till');
  await until('it is active', async () => /^Till +1 +active/m.test((await good('project', 'ls')).stdout));
  expect((await good('project', 'remove-codebase', 'till', 'web')).stdout).toBe('Project Till has root/web no longer.\n');
  await until('it is empty', async () => /^Till +0 /m.test((await good('project', 'ls')).stdout));
  await good('project', 'rm', 'till');
  await until('it is hidden', async () => !(await good('project', 'ls')).stdout.includes('Till'));
  expect((await good('project', 'restore', 'till')).stdout).toBe('Project Till is back.\n');
});

test('a codebase follows other refs, is archived, removed and brought back', async () => {
  expect((await good('codebase', 'follow', 'web', '--branches', 'main', '--tags', 'v*')).stdout).toBe('Codebase root/web follows main, tag v*.\n');
  repository.git('push', '-q', 'origin', 'main:side', 'main:refs/tags/v1');
  await until('the tag comes', async () => (await good('refs', 'web')).stdout.includes('v1'));
  expect((await good('refs', 'web')).stdout).not.toContain('side');
  await good('codebase', 'archive', 'web');
  await until('it is archived', async () => (JSON.parse((await good('codebase', 'ls', '--json')).stdout) as { state: string }[])[0]?.state === 'archived');
  expect((await good('cat', 'web', 'src/a.ts')).stdout).toBe('export {};\n');
  await good('codebase', 'restore', 'web');
  await until('it is active', async () => (JSON.parse((await good('codebase', 'ls', '--json')).stdout) as { state: string }[])[0]?.state === 'active');
  expect((await good('codebase', 'rm', 'web')).stdout).toMatch(/^Codebase root\/web is removed\. Until \S+Z "tekai codebase restore" undoes it\.\n$/);
  await until('it is hidden', async () => (await tekai('cat', 'web', 'src/a.ts')).code === 1);
  expect((await good('codebase', 'restore', 'web')).stdout).toContain('is back');
  await until('it is read', async () => (await tekai('cat', 'web', 'src/a.ts')).code === 0);
});

test('a source is renamed, and goes when nothing of it is left', async () => {
  expect((await good('source', 'change', 'work', '--name', 'home', '--token')).stdout).toBe('Source home: name changed.\n');
  await until('it is called so', async () => (await good('source', 'ls')).stdout.includes('home'));
  const refused = await tekai('source', 'rm', 'home');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('root/web (active)')]);
});

test.each([
  ['source', 'ls'], ['source', 'show', 'home'], ['source', 'check', 'home'], ['codebase', 'ls'], ['project', 'ls'], ['project', 'show', 'till'], ['status'], ['status', 'web'], ['ls', 'web'],
  ['stats', 'web'], ['diff', 'web', 'main', 'main'], ['where', 'web:src/a.ts'], ['versions', 'web'], ['refs', 'web'], ['syncs', 'web'], ['deliveries', 'web'], ['events', 'web'], ['parked'], ['follow', 'ls'],
])('programs can read "tekai %s %s %s"', async (...words) => {
  const { stdout } = await good(...words, '--json');
  expect(typeof JSON.parse(stdout)).toBe('object');
});

test('what there is not is told with what was probably meant', async () => {
  expect(await tekai('ls', 'wbe')).toMatchObject({ code: 1, stderr: expect.stringContaining('Did you mean "web"?') as string });
  expect(await tekai('project', 'show', '00000000-0000-4000-8000-000000000000')).toMatchObject({ code: 1, stderr: expect.stringContaining('"tekai project ls" lists them') as string });
  expect((await tekai('deliveries', 'show', 'nope')).code).toBe(1);
  expect((await tekai('versions', 'web', '--commit', 'xyz')).stderr).toMatch(/commit/);
  expect((await tekai('where', 'web')).code).toBe(64);
  expect((await tekai('redrive', 'fetcher', 'web')).stderr).toContain('GET /v1/parked');
});
