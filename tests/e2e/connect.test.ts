import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fetch, ProxyAgent } from 'undici';
import { startSimulator, type Simulator } from '../../infra/gitlab-simulator/server.ts';
import { startForwardProxy, type ForwardProxy } from '../harness/forward-proxy.ts';
import { hasOpenssl, makeAuthority, type PrivateAuthority } from '../harness/private-authority.ts';
import { programOf } from '../harness/program.ts';
import { startSystem, type System } from '../harness/system.ts';

// As a new user would: a GitLab of 3 groups and 30 projects, signed by a private authority, under a name that only the proxy knows.
const GITLAB = 'https://gitlab.internal';
const GROUPS = [{ path: 'shop', projects: 12 }, { path: 'shop/till', projects: 8 }, { path: 'tools', projects: 10 }];

let folder: string;
let authority: PrivateAuthority;
let simulator: Simulator;
let proxy: ForwardProxy;
let system: System;
let agent: ProxyAgent;

beforeAll(async () => {
  if (!hasOpenssl) return;
  folder = await mkdtemp(path.join(tmpdir(), 'tekai-connect-'));
  authority = makeAuthority(folder);
  simulator = await startSimulator({ port: 0, dir: path.join(folder, 'gitlab'), tls: authority.server('gitlab.internal'), settings: { externalUrl: GITLAB } });
  proxy = await startForwardProxy({ credentials: { user: 'build', password: 'p@ss' }, hosts: { 'gitlab.internal': { host: '127.0.0.1', port: Number(new URL(simulator.url).port) } } });
  agent = new ProxyAgent({ uri: proxy.url, requestTls: { ca: authority.certPem } });
  for (const { path: group } of GROUPS) await admin('POST', '/groups', { name: path.posix.basename(group), path: path.posix.basename(group), ...(group.includes('/') ? { parent: path.posix.dirname(group) } : {}) });
  for (const { path: group, projects } of GROUPS) for (let at = 1; at <= projects; at += 1) await admin('POST', '/projects', { path: `${path.posix.basename(group)}-${at}`, namespace: group, readme: true });
  system = await startSystem();
}, 120_000);
afterAll(async () => {
  if (!hasOpenssl) return;
  await system.stop();
  await agent.close();
  await proxy.stop();
  await simulator.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

async function admin<T = any>(method: string, where: string, body?: object): Promise<T> {
  const response = await fetch(`${GITLAB}/_simulator${where}`, { method, dispatcher: agent, headers: { 'x-simulator-token': simulator.adminToken, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${await response.text()}`);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

async function member(username: string, scopes: readonly string[]): Promise<string> {
  const { token } = await admin<{ token: string }>('POST', '/users', { username, scopes });
  for (const group of ['shop', 'tools']) await admin('POST', '/members', { user: username, group, accessLevel: 40 });
  return token;
}

/** `tekai` as a process of its own. */
async function tekai(words: readonly string[], { gitlabToken }: { gitlabToken?: string } = {}): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [...programOf('services/main.ts'), ...words], {
    stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], TEKAI_URL: system.url, TEKAI_TOKEN: system.token, ...(gitlabToken === undefined ? {} : { TEKAI_GITLAB_TOKEN: gitlabToken }) },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (piece: Buffer) => { stdout += piece.toString(); });
  child.stderr.on('data', (piece: Buffer) => { stderr += piece.toString(); });
  return new Promise((resolve, reject) => { child.on('error', reject); child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr })); });
}
const behindWalls = () => ['--ca', authority.certFile, '--proxy', proxy.url];

(hasOpenssl ? describe : describe.skip)('a GitLab behind a private authority and a proxy', () => {
  test('without its authority, without the proxy\'s password, or with a token of the wrong scope, it is said what to do, and nothing is kept', async () => {
    const token = await member('una', ['read_user']);
    const [noCa, noPassword, noScope] = await Promise.all([
      tekai(['connect', GITLAB, '--all', '--yes', '--proxy', proxy.url], { gitlabToken: token }),
      tekai(['connect', GITLAB, '--all', '--yes', '--ca', authority.certFile, '--proxy', `http://127.0.0.1:${proxy.port}`], { gitlabToken: token }),
      tekai(['connect', GITLAB, '--all', '--yes', ...behindWalls()], { gitlabToken: token }),
    ]);
    for (const ran of [noCa, noPassword, noScope]) expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining('Mend it, and run the same command again.') as string });
    expect(noCa.stderr).toContain('signed by an authority that this machine does not know. Give that authority as caPem (--ca), in PEM.');
    expect(noPassword.stderr).toContain('The proxy wants a login (407). Give it within proxyUrl: http://user:password@proxy:3128');
    expect(noScope.stderr).toMatch(/lets it read nothing over REST.*Make a token with the scope api \(webhooks are made for you\) or read_api \(reads only\)/s);
    expect(JSON.parse((await tekai(['source', 'ls', '--json'])).stdout)).toEqual([]);
    expect(noCa.stderr + noPassword.stderr + noScope.stderr).not.toContain(token);
  });

  test('from an address to 30 projects that can be read, and one command answers a question', async () => {
    const token = await member('ann', ['api', 'read_repository']);
    proxy.passed.length = 0;
    const ran = await tekai(['connect', GITLAB, '--group', 'shop', '--group', 'tools', '--yes', ...behindWalls()], { gitlabToken: token });
    expect({ code: ran.code, stderr: ran.stderr, stdout: ran.stdout }).toMatchObject({ code: 0 });
    expect(ran.stdout).toMatch(/^gitlab\.internal is GitLab 19\.\S+\.\nThe token is a personal access token of ann/);
    expect(ran.stdout).toMatch(/30 projects to follow, .* in GitLab with all history\./);
    expect(ran.stdout).toContain('30 of 30 projects can be read now.\n');
    // The engine of this test is told as 127.0.0.1, which a GitLab elsewhere cannot call.
    expect(ran.stdout).toMatch(/cannot reach http:\/\/127\.0\.0\.1:\d+: .* TEKAI_PUBLIC_URL .*\n(.*\n)*To make the webhook by hand:\n(.*\n)* {2}secret token {4}\S{16,}\n/);
    expect(ran.stderr).toMatch(/30 of 30 registered\n(.*\n)*.*30 of 30 synced\nNext: tekai ls \S+\n$/);
    expect(proxy.passed.length).toBeGreaterThan(30);
    expect(new Set(proxy.passed.map(({ method, target }) => `${method} ${target}`))).toEqual(new Set(['CONNECT gitlab.internal:443']));
    // Git as REST shows its login at once: a proxy that hangs up after its 407 would end it.
    expect(new Set(proxy.passed.map(({ status }) => status))).toEqual(new Set([200]));
    expect(await tekai(['cat', 'till-7', 'README.md'])).toMatchObject({ code: 0, stdout: expect.stringContaining('# ') as string });
    // 30 first syncs: a quarter of a minute on two free cores, several times that on busy ones.
  }, 300_000);

  test('a second run asks for no token, takes up what is new, and one project that GitLab cannot give stops no other', async () => {
    const broken = await admin<{ id: number }>('POST', '/projects', { path: 'broken', namespace: 'tools', readme: true });
    await admin('POST', '/projects', { path: 'sound', namespace: 'tools', readme: true });
    await admin('POST', '/faults', { kind: 'http', path: `tools/broken\\.git|/projects/${broken.id}/`, status: 500 });
    const ran = await tekai(['connect', GITLAB, '--group', 'tools', '--yes']);
    expect({ code: ran.code, stdout: ran.stdout, stderr: ran.stderr }).toMatchObject({ code: 1 });
    expect(ran.stdout).toContain('gitlab.internal (https://gitlab.internal) is known already; its token and settings stay as they are.\n2 projects to follow');
    expect(ran.stdout).toContain('  10 more are followed already.\n');
    expect(ran.stdout).toContain('11 of 12 projects can be read now.\n1 project not:\n  tools/broken: GitLab does not give it now, or is slow. The engine goes on trying by itself.\n    Look whether the project opens in GitLab\'s own pages. "tekai status tools/broken" shows how it stands.\n');
    await admin('DELETE', '/faults');
    expect((await tekai(['cat', 'sound', 'README.md'])).code).toBe(0);
  });

  test('with a token that may not make webhooks it says so, and how one is made by hand', async () => {
    const token = await member('rita', ['read_api', 'read_repository']);
    const ran = await tekai(['connect', GITLAB, '--name', 'reader', '--project', 'tools/tools-1', '--yes', ...behindWalls()], { gitlabToken: token });
    expect({ code: ran.code, stdout: ran.stdout, stderr: ran.stderr }).toMatchObject({ code: 0 });
    expect(ran.stdout).toMatch(/make webhooks +no: new pushes are found by asking GitLab again and again, unless you make the webhook by hand\n/);
    expect(ran.stdout).toMatch(/The webhook could not be made in 1 project: .*\nUntil then the engine asks GitLab for new pushes by itself: nothing is missed, it is only later than with a webhook\.\nTo make the webhook by hand:\n/);
    expect(ran.stdout).toContain('1 of 1 project can be read now.');
  });
});
