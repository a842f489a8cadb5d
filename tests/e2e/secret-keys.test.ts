import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { keyIdOf } from '#shared/secrets/secret-cipher.ts';
import { createCanaries, rowsOf } from '../harness/canaries.ts';
import { makeRepository } from '../harness/repository.ts';
import { startSystem, untilStored, type System } from '../harness/system.ts';
import { tekai as runTekai } from '../harness/tekai.ts';

// The key of the vault is changed under a running engine, while GitLab sends and syncs run; nothing of it is noticed but by whoever looks.

/** The program is started from its sources six times, an engine twice. */
const MANY_RUNS_MS_MAX = 400_000;
const MAIN = 'refs/heads/main';
const TOKEN = 'a-webhook-token-for-keys';

let system: System;
let other = '';
beforeAll(async () => {
  system = await startSystem({ webhookToken: TOKEN, settings: { TEKAI_LOG_LEVEL: 'debug' } });
  other = await mkdtemp(path.join(tmpdir(), 'tekai-old-keys-'));
}, 180_000);
afterAll(async () => {
  await system.stop();
  await rm(other, { recursive: true });
});

const printed: string[] = [];
async function tekai(...words: readonly string[]) {
  const ran = await runTekai(system, ...words);
  printed.push(ran.stdout, ran.stderr);
  return ran;
}
const keysOf = async (file: string) => (await readFile(file, 'utf8')).trim().split('\n');
const nameOf = (key = '') => keyIdOf(Buffer.from(key, 'hex'));

test('the key is changed while webhooks and syncs go on; the old one is taken away, all goes on after a restart, and a process with the old file is told what is missing', async () => {
  const file = path.join(system.stateDir, 'secrets.key');
  const [first] = await keysOf(file);
  await copyFile(file, path.join(other, 'secrets.key'));
  const source = await system.sourceId();
  const repository = await makeRepository();
  const begin = repository.commit('main', [{ path: 'a', content: 'one' }]);
  const { id: project } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'keys', import: repository.dir });
  const codebase = await system.follow(project);
  await untilStored(system, codebase, MAIN, begin);
  repository.git('remote', 'add', 'origin', system.gitlab.remote('root/keys'));
  const push = async (content: string) => {
    const pushed = repository.commit('main', [{ path: 'a', content }]);
    repository.git('push', '-q', 'origin', 'main');
    await untilStored(system, codebase, MAIN, pushed);
  };
  const deliver = async () => (await fetch(`${system.url}/webhooks/gitlab/${source}`, {
    method: 'POST', headers: { 'x-gitlab-token': TOKEN, 'x-gitlab-event': 'Push Hook' }, body: JSON.stringify({ object_kind: 'push', project_id: 999_999, ref: MAIN }),
  })).status;
  const command = { body: { name: 'of the same key' }, headers: { 'idempotency-key': 'said-before' } };
  const said = await system.ask('POST', '/v1/projects', command);
  expect(said.status).toBe(201);

  let isOver = false;
  const statuses: number[] = [];
  const pushing = (async () => { for (let n = 0; !isOver; n += 1) await push(String(n)); })();
  const delivering = (async () => { while (!isOver) statuses.push(await deliver()); })();
  const rotated = await tekai('secrets', 'rotate-key');
  const shown = await tekai('secrets', 'keys', '--json');
  const dropped = await tekai('secrets', 'drop-key', nameOf(first));
  isOver = true;
  await Promise.all([pushing, delivering]);

  const [second, ...more] = await keysOf(file);
  expect(rotated).toMatchObject({ code: 0, stdout: expect.stringMatching(new RegExp(`Phase 3 of 3: everything is enciphered with key ${nameOf(second)}\\. Key ${nameOf(first)} is needed by nothing`)) });
  const { phase, keys, processes } = JSON.parse(shown.stdout) as { phase: object; keys: { id: string; secrets: number }[]; processes: { keyIds: string[] }[] };
  expect(phase).toEqual({ kind: 'done', current: nameOf(second), old: nameOf(first) });
  expect(keys).toMatchObject([{ id: nameOf(first), secrets: 0 }, { id: nameOf(second), state: 'current' }]);
  expect(processes.length).toBeGreaterThan(0);
  for (const { keyIds } of processes) expect(keyIds).toEqual([nameOf(first), nameOf(second)]);
  expect([dropped.code, more, [...new Set(statuses)]]).toEqual([0, [], [202]]);

  await system.kill('SIGTERM');
  await system.startEngine();
  await push('after the restart');
  expect(await deliver()).toBe(202);
  expect((await system.ask('GET', `/v1/sources/${source}/check`)).status).toBe(200);
  // What was said before is known by its digest; with another body it is another command.
  expect((await system.ask('POST', '/v1/projects', command)).json()).toEqual(said.json());
  expect((await system.ask('POST', '/v1/projects', { ...command, body: { name: 'another' } })).status).toBe(422);
  expect(await tekai('secrets', 'keys')).toMatchObject({ code: 0, stdout: expect.stringContaining(`Everything is enciphered with key ${nameOf(second)}. No change of keys is under way.`) });

  await mkdir(path.join(other, 'state'));
  const refused = await runTekai({ ...system, stores: { ...system.stores, TEKAI_STATE_DIR: path.join(other, 'state'), TEKAI_KEYS_DIR: other, TEKAI_PORT: '0', TEKAI_INTERNAL_PORT: '0' } }, 'up');
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(`${other}/secrets.key holds key ${nameOf(first)}, and the vault's secrets are enciphered with key ${nameOf(second)}: bring back the file that belongs to this database`) });
  printed.push(refused.stdout, refused.stderr);

  const canaries = createCanaries();
  for (const [name, key = ''] of [['the first key', first], ['the second key', second]] as const) canaries.plantBytes(name, Buffer.from(key, 'hex'));
  expect(canaries.foundIn([...printed, system.log()].join('\n'))).toEqual([]);
  for (const { table, bytes } of await rowsOf(system.databaseUrl)) expect([table, canaries.foundIn(bytes)]).toEqual([table, []]);
}, MANY_RUNS_MS_MAX);
