import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { CodebaseAccess } from '#schemas/api/access.ts';
import { startOpenIdProvider, type OpenIdProvider } from '../harness/openid-provider.ts';
import { programOf } from '../harness/program.ts';
import { makeRepository } from '../harness/repository.ts';
import { startSystem, until, untilStored, type System } from '../harness/system.ts';

// A GitLab that lets people read, and signs them in: whoever reads there reads here from their first sign-in on.

const ROOT = path.resolve(import.meta.dirname, '../..');
const MAIN = 'refs/heads/main';
const SECRET = 'a-secret-of-the-application';
let system: System;
let gitlab: OpenIdProvider;
let folder: string;
let source: string;

beforeAll(async () => {
  [system, folder] = await Promise.all([startSystem(), mkdtemp(path.join(tmpdir(), 'tekai-sign-in-'))]);
  gitlab = await startOpenIdProvider(system.gitlab);
  source = (await system.ask('POST', '/v1/sources', { body: { baseUrl: gitlab.url, token: system.gitlab.token, name: 'work' } })).json<{ id: string }>().id;
  await writeFile(path.join(folder, 'secret'), `${SECRET}\n`);
}, 180_000);
afterAll(async () => {
  await Promise.all([system.stop(), gitlab.stop()]);
  await rm(folder, { recursive: true, force: true });
});

/** As somebody at a terminal of their own; without a home, as who runs the engine. */
function cli(home: string | undefined, ...words: string[]) {
  const env = { PATH: process.env['PATH'], TEKAI_URL: system.url, ...(home === undefined ? { TEKAI_TOKEN: system.token } : { HOME: path.join(folder, home) }) };
  const child = spawn(process.execPath, [...programOf('services/main.ts'), ...words], { cwd: ROOT, env });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => { said.stdout += chunk.toString(); });
  child.stderr.on('data', (chunk: Buffer) => { said.stderr += chunk.toString(); });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number, ...said }));
  return { said, ended, type: (line: string) => child.stdin.write(`${line}\n`) };
}

/** As this user of GitLab, with a browser that may be anywhere. */
async function signIn(home: string, gitlabUser: number) {
  const { said, ended, type } = cli(home, 'login', '--gitlab', 'work');
  const url = await until('the address is shown', () => /^ {2}(http\S+)$/m.exec(said.stderr)?.[1]);
  const page = await fetch(await gitlab.browse(url, gitlabUser), { headers: { accept: 'text/html' } });
  const code = /<strong>([\w-]+)<\/strong>/.exec(await page.text())?.[1];
  type(code ?? '');
  return ended;
}

test('a GitLab user who waits among the readers reads from their first sign-in on, one who is not there does not, and both without GitLab from then on', async () => {
  const repository = await makeRepository();
  const commit = repository.commit('main', [{ path: 'a', content: 'for readers' }]);
  const [reader, stranger] = [await system.gitlab.admin<{ id: number }>('POST', '/users', { username: 'reads' }), await system.gitlab.admin<{ id: number }>('POST', '/users', { username: 'does-not' })];
  const { id: project } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'theirs', import: repository.dir });
  await system.gitlab.admin('POST', '/members', { project: String(project), user: 'reads', accessLevel: 20 });
  const id = (await system.ask('POST', '/v1/codebases', { body: { sourceId: source, gitlabProject: project } })).json<{ id: string }>().id;
  await untilStored(system, id, MAIN, commit);
  const access = async () => (await system.ask('GET', `/v1/codebases/${id}/access`)).json<CodebaseAccess>();
  await until('GitLab says who reads', async () => (await access()).askedAt !== null);

  // Nobody is sent to a GitLab that nobody decided about.
  expect(await cli('nobody', 'login', '--gitlab', 'work').ended).toMatchObject({ code: 1, stderr: expect.stringContaining('Nobody signs in by a GitLab here') });
  const set = await cli(undefined, 'source', 'sign-in', 'work', '--client-id', 'tekai', '--client-secret-file', path.join(folder, 'secret')).ended;
  const redirectUri = `${system.url}/v1/auth/gitlab/${source}/callback`;
  expect(set).toMatchObject({ code: 0, stdout: expect.stringContaining(`exactly so: ${redirectUri}\n`) });
  await gitlab.addClient({ clientId: 'tekai', clientSecret: SECRET, redirectUri });

  // Whom nobody here is, is refused, until somebody decides otherwise.
  expect(await signIn('reader', reader.id)).toMatchObject({ code: expect.any(Number), stdout: '', stderr: expect.stringContaining('nobody who may sign in here is that user') });
  expect((await access()).readers).toEqual([]);
  expect((await cli(undefined, 'source', 'sign-in', 'work', '--client-id', 'tekai', '--unknown-users', 'create').ended).code).toBe(0);

  expect(await signIn('reader', reader.id)).toMatchObject({ code: 0, stdout: expect.stringContaining(`You are gitlab-${reader.id} at ${system.url}`) });
  expect(await signIn('stranger', stranger.id)).toMatchObject({ code: 0 });
  await gitlab.fault({ away: true });
  await until('the reader reads', async () => (await access()).readers.length > 0);
  expect(await access()).toMatchObject({ readers: [{ name: `gitlab-${reader.id}`, because: 'gitlab', gitlabUserId: reader.id }] });
  expect(await cli('reader', 'cat', 'theirs', 'a').ended).toMatchObject({ code: 0, stdout: 'for readers' });
  expect(await cli('stranger', 'cat', 'theirs', 'a').ended).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('There is no codebase') });
  await gitlab.fault({});

  // Who is a reader here by GitLab is so by the same fact as by a system admin's word; and nothing of it is secret.
  const events = (await system.ask('GET', '/v1/events?type=user.gitlab-bound')).json<{ events: { data: object }[] }>().events;
  expect(events.map(({ data }) => (data as { gitlabUserId: number }).gitlabUserId)).toEqual([reader.id, stranger.id]);
  for (const secret of [SECRET, 'tekai_sih_', 'tekai_sis_', 'code_verifier=']) expect(system.log()).not.toContain(secret);
  expect(await cli(undefined, 'source', 'sign-in', 'work', '--off').ended).toMatchObject({ code: 0 });
  expect((await system.ask('GET', '/v1/auth/providers')).json()).toEqual({ providers: [] });
  // Who signed in stays so.
  expect(await cli('reader', 'whoami').ended).toMatchObject({ code: 0, stdout: expect.stringContaining(`gitlab-${reader.id}`) });
}, 240_000);
