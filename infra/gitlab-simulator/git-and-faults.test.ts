import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';

import { must, openSimulator, type Clone, type OpenSimulator } from './testing/open-simulator.ts';

let simulator: OpenSimulator;
let projects = 0;

beforeAll(async () => {
  simulator = await openSimulator();
});

afterEach(() => simulator.admin('DELETE', '/faults'));

afterAll(() => simulator.close());

async function pushedProject(more: Record<string, unknown> = {}): Promise<{ id: number; path: string; clone: Clone; sha: string }> {
  const name = `git-${(projects += 1)}`;
  const { body } = await simulator.admin('POST', '/projects', { path: name, ...more });
  const clone = await simulator.clone(body.path_with_namespace);
  const sha = await clone.commit('first', { 'a.txt': 'a' });
  await must(clone.git('push', '-q', 'origin', 'main'));
  return { id: body.id, path: body.path_with_namespace, clone, sha };
}

async function lsRemote(url: string): Promise<string> {
  const { code, stdout, stderr } = await simulator.git(simulator.dir, 'ls-remote', url);
  return code === 0 ? stdout : stderr;
}

async function statusOf(projectPath: string, token: string | null, service = 'git-upload-pack'): Promise<number> {
  const headers: Record<string, string> = token === null ? {} : { authorization: `Basic ${Buffer.from(`oauth2:${token}`).toString('base64')}` };
  const response = await fetch(`${simulator.url}/${projectPath}.git/info/refs?service=${service}`, { headers, redirect: 'manual' });
  await response.arrayBuffer();
  return response.status;
}

test('git is told 401, 403 and 404 as GitLab tells it', async () => {
  const { id, path: hidden } = await pushedProject();
  const { path: open } = await pushedProject({ visibility: 'public' });
  const { body: person } = await simulator.admin('POST', '/users', { username: 'person', scopes: ['read_repository'] });
  const { body: bot } = await simulator.admin('POST', '/users', { username: 'bot', bot: true, scopes: ['read_repository'], tokenKind: 'project' });
  const { body: unfit } = await simulator.admin('POST', '/tokens', { user: 'root', scopes: ['read_user'] });

  expect(await statusOf(hidden, null)).toBe(401);
  expect(await statusOf('root/absent', null)).toBe(401);
  expect(await statusOf(open, null)).toBe(200);
  expect(await statusOf(open, 'dead')).toBe(401);
  expect(await statusOf(hidden, person.token)).toBe(404);
  expect(await statusOf(hidden, bot.token)).toBe(401);
  expect(await statusOf(hidden, unfit.secret)).toBe(403);
  await simulator.admin('POST', '/members', { project: String(id), user: 'person', accessLevel: 10 });
  expect(await statusOf(hidden, person.token)).toBe(403);
  await simulator.admin('POST', '/members', { project: String(id), user: 'bot', accessLevel: 20 });
  expect(await statusOf(hidden, bot.token)).toBe(200);
  expect(await statusOf(hidden, bot.token, 'git-receive-pack')).toBe(403);
});

test('an old path is served in place, and a URL without .git is redirected', async () => {
  const { id, path: before, sha } = await pushedProject();
  await simulator.api('PUT', `/projects/${id}`, { path: 'moved-on' });
  expect(await lsRemote(simulator.gitUrl(before))).toContain(sha);
  const response = await fetch(`${simulator.url}/root/moved-on/info/refs?service=git-upload-pack`, { redirect: 'manual' });
  expect([response.status, response.headers.get('location')]).toEqual([302, `${simulator.url}/root/moved-on.git/info/refs?service=git-upload-pack`]);
});

test('whoever waited for git push finds REST on the new state', async () => {
  const { body } = await simulator.admin('POST', '/projects', { path: 'awaited', defaultBranch: 'trunk' });
  const clone = await simulator.clone('root/awaited');
  const sha = await clone.commit('first', {});
  await must(clone.git('push', '-q', 'origin', 'HEAD:refs/heads/main'));
  expect((await simulator.api('GET', `/projects/${body.id}`)).body).toMatchObject({ empty_repo: false, default_branch: 'main' });
  expect((await simulator.api('GET', `/projects/${body.id}/repository/branches/main`)).body).toMatchObject({ default: true, commit: { id: sha } });
});

test('partial clones, fetches by id and commits that a force push left behind are served', async () => {
  const { path: projectPath, clone, sha } = await pushedProject();
  await must(clone.git('commit', '-q', '--amend', '-m', 'again'));
  await must(clone.git('push', '-q', '--force', 'origin', 'main'));
  const cache = path.join(simulator.dir, 'partial');
  await must(simulator.git(simulator.dir, 'init', '-q', '--bare', cache));
  await must(simulator.git(cache, 'fetch', '-q', '--depth', '1', '--filter=blob:none', simulator.gitUrl(projectPath), sha));
  expect((await must(simulator.git(cache, 'rev-parse', 'FETCH_HEAD'))).stdout.trim()).toBe(sha);
  const missing = await must(simulator.git(cache, 'rev-list', '--objects', '--missing=print', 'FETCH_HEAD'));
  expect(missing.stdout).toMatch(/^\?/m);
});

test('a SHA-256 repository is made, pushed to, cloned and shown with long ids', async () => {
  const { body } = await simulator.api('POST', '/projects', { name: 'long', repository_object_format: 'sha256' });
  expect(body.repository_object_format).toBe('sha256');
  const dir = await mkdtemp(path.join(simulator.dir, 'sha256-'));
  await must(simulator.git(dir, 'init', '-q', '--object-format=sha256'));
  await must(simulator.git(dir, 'commit', '-q', '--allow-empty', '-m', 'first'));
  await must(simulator.git(dir, 'push', '-q', simulator.gitUrl('root/long'), 'main'));
  const branch = await simulator.api('GET', `/projects/${body.id}/repository/branches/main`);
  expect(branch.body.commit.id).toMatch(/^[0-9a-f]{64}$/);
  expect(await lsRemote(simulator.gitUrl('root/long'))).toContain(branch.body.commit.id);
});

test('a gzipped request body is understood', async () => {
  const { path: projectPath, clone } = await pushedProject();
  // Haves beyond a kilobyte make git compress what it asks.
  for (let at = 0; at < 60; at += 1) await clone.commit(`local ${at}`, {});
  const { id } = (await simulator.api('GET', `/projects/${encodeURIComponent(projectPath)}`)).body;
  const { body: made } = await simulator.api('POST', `/projects/${id}/repository/branches`, { branch: 'other', ref: 'main' });
  expect(made.name).toBe('other');
  await must(clone.git('-c', 'fetch.negotiationAlgorithm=skipping', 'fetch', '-q', 'origin'));
  const { body } = await simulator.admin('GET', '/requests?path=/git-upload-pack$');
  expect(body.requests.at(-1).status).toBe(200);
  const { gzipSync } = await import('node:zlib');
  const response = await fetch(`${simulator.url}/${projectPath}.git/git-upload-pack`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`x:${simulator.token}`).toString('base64')}`, 'content-encoding': 'gzip', 'git-protocol': 'version=2' },
    body: gzipSync('0014command=ls-refs\n0000'),
  });
  expect(await response.text()).toContain('refs/heads/other');
});

test('concurrent pushes to one repository all arrive, and each is told once', async () => {
  const { path: projectPath, id } = await pushedProject();
  const clones = await Promise.all([1, 2, 3, 4].map(() => simulator.clone(projectPath)));
  await simulator.idle();
  const { body: hook } = await simulator.api('POST', `/projects/${id}/hooks`, { url: 'http://127.0.0.1:9/closed' });
  await Promise.all(clones.map(async (clone, at) => {
    await clone.commit(`from ${at}`, {});
    await must(clone.git('push', '-q', 'origin', `HEAD:refs/heads/parallel-${at}`));
  }));
  await simulator.idle();
  const { body: deliveries } = await simulator.admin('GET', `/deliveries?hook=${hook.id}`);
  expect(deliveries.map((delivery: any) => JSON.parse(delivery.requestBody).ref).sort()).toEqual([0, 1, 2, 3].map((at) => `refs/heads/parallel-${at}`));
  expect((await simulator.api('GET', `/projects/${id}/repository/branches`)).body).toHaveLength(5);
});

test('an imported repository brings all branches and tags, and the default branch', async () => {
  const { clone, sha } = await pushedProject();
  await must(clone.git('tag', 'v1'));
  await must(clone.git('checkout', '-q', '-b', 'trunk'));
  const { body } = await simulator.admin('POST', '/projects', { path: 'imported', import: clone.dir });
  expect(body).toMatchObject({ default_branch: 'trunk', empty_repo: false });
  expect((await simulator.api('GET', `/projects/${body.id}/repository/tags/v1`)).body).toMatchObject({ name: 'v1', target: sha, commit: { id: sha } });
});

test('deleting the default branch by push is refused, an archived project takes no push at all', async () => {
  const { id, clone } = await pushedProject();
  expect((await clone.git('push', 'origin', '--delete', 'main')).stderr).toContain('remote rejected');
  await simulator.api('PUT', `/projects/${id}`, { archived: true });
  await clone.commit('more', {});
  expect((await clone.git('push', 'origin', 'main')).stderr).toContain('403');
});

test('200 branches of a wide tree are pushed and listed with two processes, not one each', async () => {
  const { id, clone } = await pushedProject();
  const files = Object.fromEntries(Array.from({ length: 2_000 }, (_unused, at) => [`dir-${at % 40}/file-${at}`, `${at}`]));
  await clone.commit('wide', files);
  const refspecs = Array.from({ length: 200 }, (_unused, at) => `HEAD:refs/heads/branch-${at}`);
  await must(clone.git('push', '-q', 'origin', 'main', ...refspecs));
  await simulator.idle();
  const began = performance.now();
  for (let n = 0; n < 5; n += 1) await must(clone.git('rev-parse', 'HEAD'));
  const started = performance.now();
  const { body, headers } = await simulator.api('GET', `/projects/${id}/repository/branches?per_page=100`);
  expect([body.length, headers.get('x-total')]).toEqual([100, '201']);
  // Of a process for each branch it would be 200 times one; it is some five times. However slow the machine is.
  expect(performance.now() - started).toBeLessThan(100 * (started - began) / 5);
});

test('an HTTP fault answers the next matching requests and then lets them pass', async () => {
  const { id } = await pushedProject();
  await simulator.admin('POST', '/faults', { kind: 'http', path: `^/api/v4/projects/${id}$`, method: 'GET', status: 429, retryAfterSeconds: 7, times: 2 });
  await simulator.admin('POST', '/faults', { kind: 'http', path: '^/api/v4/version', html: true, times: 1 });
  await simulator.admin('POST', '/faults', { kind: 'http', path: '^/api/v4/user$', redirectTo: 'http://other.example', times: 1 });
  const seen: [number, string | null][] = [];
  for (let at = 0; at < 3; at += 1) {
    const { status, headers } = await simulator.api('GET', `/projects/${id}`);
    seen.push([status, headers.get('retry-after')]);
  }
  expect(seen).toEqual([[429, '7'], [429, '7'], [200, null]]);
  expect((await simulator.api('GET', '/version')).headers.get('content-type')).toContain('text/html');
  expect((await simulator.api('GET', '/user')).headers.get('location')).toBe('http://other.example/api/v4/user');
  expect((await simulator.admin('GET', '/faults')).body.map((fault: any) => [fault.hits, fault.left])).toEqual([[2, 0], [1, 0], [1, 0]]);
});

test('git meets a load refusal, a cut pack and a sign-in page', async () => {
  const { path: projectPath } = await pushedProject();
  const text = 'GitLab is currently unable to handle this request due to load.';
  await simulator.admin('POST', '/faults', { kind: 'http', path: '/git-upload-pack$', gitError: text, times: 1 });
  expect(await lsRemote(simulator.gitUrl(projectPath))).toContain(`remote error: ${text}`);
  await simulator.admin('POST', '/faults', { kind: 'http', path: '/git-upload-pack$', cutAfterBytes: 10, skip: 1, times: 1 });
  const cut = await simulator.git(simulator.dir, 'clone', '-q', simulator.gitUrl(projectPath), 'cut');
  expect(cut.code).not.toBe(0);
  expect((await simulator.admin('GET', '/requests?path=/git-upload-pack$')).body.requests.at(-1).isCut).toBe(true);
  // The dumb fallback that follows from HTML finds nothing, and says nothing.
  await simulator.admin('POST', '/faults', { kind: 'http', path: '\\.git/', html: true });
  expect(await lsRemote(simulator.gitUrl(projectPath))).toBe('');
});

test('a slow body comes at the rate asked for, and silence never answers', async () => {
  const { path: projectPath, id, clone } = await pushedProject();
  await clone.commit('random', { big: Array.from({ length: 4_000 }, (_unused, at) => Math.sin(at)).join('') });
  await must(clone.git('push', '-q', 'origin', 'main'));
  await simulator.admin('POST', '/faults', { kind: 'http', path: '/git-upload-pack$', bytesPerSecond: 60_000, skip: 1, times: 1 });
  const started = performance.now();
  await must(simulator.git(simulator.dir, 'clone', '-q', simulator.gitUrl(projectPath), 'slow'));
  expect(performance.now() - started).toBeGreaterThan(400);

  await simulator.admin('POST', '/faults', { kind: 'http', path: `/projects/${id}`, silent: true, times: 1 });
  const silence = fetch(`${simulator.url}/api/v4/projects/${id}`, { signal: AbortSignal.timeout(300) });
  await expect(silence).rejects.toThrow(/timeout/);
});

test('with a lag REST shows the state before the push, and git the state after it', async () => {
  const { id, path: projectPath, clone, sha } = await pushedProject();
  await simulator.admin('POST', '/faults', { kind: 'lag', project: id, milliseconds: 60_000, times: 1 });
  const fresh = await clone.commit('second', { b: '2' });
  await must(clone.git('push', '-q', 'origin', 'main', 'HEAD:refs/heads/new'));
  await simulator.idle();
  expect((await simulator.api('GET', `/projects/${id}/repository/branches/main`)).body.commit.id).toBe(sha);
  expect((await simulator.api('GET', `/projects/${id}/repository/branches/new`)).status).toBe(404);
  expect((await simulator.api('GET', `/projects/${id}/repository/commits/${fresh}`)).status).toBe(404);
  expect((await simulator.api('GET', `/projects/${id}/repository/commits/${sha}`)).status).toBe(200);
  expect(await lsRemote(simulator.gitUrl(projectPath))).toContain(fresh);
  await simulator.admin('DELETE', '/faults');
  expect((await simulator.api('GET', `/projects/${id}/repository/commits/${fresh}`)).status).toBe(200);
});

test('the request log counts what was asked and what it cost', async () => {
  const { id, path: projectPath } = await pushedProject();
  await simulator.admin('DELETE', '/requests');
  await simulator.api('GET', `/projects/${id}`);
  await mkdir(path.join(simulator.dir, 'counted'));
  await must(simulator.git(path.join(simulator.dir, 'counted'), 'clone', '-q', simulator.gitUrl(projectPath), '.'));
  const { body } = await simulator.admin('GET', '/requests');
  expect(body.requests.map((request: any) => [request.method, request.status])).toEqual([['GET', 200], ['GET', 401], ['GET', 200], ['POST', 200], ['POST', 200]]);
  expect(body.bytesOut).toBeGreaterThan(2_000);
  await rm(path.join(simulator.dir, 'counted'), { recursive: true });
});

test('a ref moved behind everybody is seen by all, and told to nobody', async () => {
  const { id, clone, sha } = await pushedProject();
  await clone.commit('second', {});
  await must(clone.git('push', '-q', 'origin', 'main'));
  // As at GitLab, a hook made while the work after a push goes on may still hear of that push.
  await simulator.idle();
  const { body: hook } = await simulator.api('POST', `/projects/${id}/hooks`, { url: 'http://127.0.0.1:9/closed' });
  expect((await simulator.admin('POST', `/projects/${id}/refs`, { ref: 'refs/heads/main', sha, hooks: false })).status).toBe(204);
  await simulator.idle();
  expect((await simulator.api('GET', `/projects/${id}/repository/branches/main`)).body.commit.id).toBe(sha);
  expect((await simulator.admin('GET', `/deliveries?hook=${hook.id}`)).body).toEqual([]);
  expect((await simulator.admin('POST', `/projects/${id}/refs`, { ref: 'refs/heads/main' })).status).toBe(204);
  expect((await simulator.api('GET', `/projects/${id}/repository/branches/main`)).status).toBe(404);
});
