import { gunzipSync } from 'node:zlib';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { must, openSimulator, type Clone, type OpenSimulator, type Reply } from './testing/open-simulator.ts';

let simulator: OpenSimulator;

beforeAll(async () => {
  simulator = await openSimulator();
});

afterAll(() => simulator.close());

async function newProject(name: string, more: Record<string, unknown> = {}): Promise<{ id: number; clone: Clone }> {
  const { body } = await simulator.admin('POST', '/projects', { path: name, ...more });
  return { id: body.id, clone: await simulator.clone(body.path_with_namespace) };
}

async function newUser(username: string, scopes = ['api']): Promise<{ id: number; token: string; tokenId: number }> {
  return (await simulator.admin('POST', '/users', { username, scopes })).body;
}

/** The path and query of the next page, as a client behind another address must take it. */
function nextOf(reply: Reply): string | null {
  const match = /<[^>]*\/api\/v4([^>]*)>; rel="next"/.exec(reply.headers.get('link') ?? '');
  return match?.[1] ?? null;
}

async function everyPage(path: string): Promise<Reply[]> {
  const pages: Reply[] = [];
  for (let next: string | null = path; next !== null; ) {
    const page: Reply = await simulator.api('GET', next);
    pages.push(page);
    next = nextOf(page);
  }
  return pages;
}

test('an unknown token is 401, a private project is 404 without and for a stranger, and a narrow scope is 403 by name', async () => {
  const { id } = await newProject('hidden');
  const stranger = await newUser('stranger');
  const narrow = await newUser('narrow', ['read_user']);
  expect(await simulator.api('GET', `/projects/${id}`, undefined, 'nonsense')).toMatchObject({ status: 401, body: { message: '401 Unauthorized' } });
  expect(await simulator.api('GET', `/projects/${id}`, undefined, '')).toMatchObject({ status: 404, body: { message: '404 Project Not Found' } });
  expect(await simulator.api('GET', `/projects/${id}`, undefined, stranger.token)).toMatchObject({ status: 404, body: { message: '404 Project Not Found' } });
  expect(await simulator.api('GET', `/projects/${id}`, undefined, narrow.token)).toMatchObject({ status: 403, body: { error: 'insufficient_scope', scope: 'api read_api' } });
  expect(await simulator.api('GET', '/user', undefined, narrow.token)).toMatchObject({ status: 200, body: { username: 'narrow' } });
  expect(await simulator.api('GET', '/nothing')).toMatchObject({ status: 404, body: { error: '404 Not Found' } });
});

test('revoked, expired and blocked callers are told apart', async () => {
  const user = await newUser('leaving');
  const asked = (): Promise<Reply> => simulator.api('GET', '/user', undefined, user.token);
  await simulator.admin('PATCH', `/users/${user.id}`, { state: 'blocked' });
  expect(await asked()).toMatchObject({ status: 403 });
  await simulator.admin('PATCH', `/users/${user.id}`, { state: 'active' });
  expect(await asked()).toMatchObject({ status: 200 });
  await simulator.admin('PATCH', `/tokens/${user.tokenId}`, { expiresAt: '2020-01-01' });
  expect(await asked()).toMatchObject({ status: 401, body: { error: 'invalid_token', error_description: expect.stringContaining('expired') } });
  await simulator.admin('PATCH', `/tokens/${user.tokenId}`, { revoked: true });
  expect(await asked()).toMatchObject({ status: 401, body: { error: 'invalid_token', error_description: expect.stringContaining('revoked') } });
});

test('a guest sees a private project but not its code, and read_repository opens only its files', async () => {
  const { id, clone } = await newProject('guarded');
  await clone.commit('first', { 'a b/ü.txt': 'text' });
  await must(clone.git('push', '-q', 'origin', 'main'));
  const guest = await newUser('guest');
  await simulator.admin('POST', '/members', { project: String(id), user: 'guest', accessLevel: 10 });
  expect((await simulator.api('GET', `/projects/${id}`, undefined, guest.token)).status).toBe(200);
  expect((await simulator.api('GET', `/projects/${id}/repository/branches`, undefined, guest.token)).status).toBe(403);

  const { body: token } = await simulator.admin('POST', '/tokens', { user: 'root', scopes: ['read_repository'] });
  expect((await simulator.api('GET', `/projects/${id}/repository/files/a%20b%2F%C3%BC.txt/raw?ref=main`, undefined, token.secret)).body).toBe('text');
  expect((await simulator.api('GET', `/projects/${id}/repository/tree`, undefined, token.secret)).body).toMatchObject({ error: 'insufficient_scope' });
});

test('an old path leads GET to the number and refuses other methods, until somebody takes the path', async () => {
  const { id } = await newProject('before');
  await simulator.api('PUT', `/projects/${id}`, { path: 'after' });
  const moved = await simulator.api('GET', '/projects/root%2Fbefore/repository/branches?per_page=5');
  expect([moved.status, moved.headers.get('location')]).toEqual([302, `${simulator.url}/api/v4/projects/${id}/repository/branches?per_page=5`]);
  expect(await simulator.api('POST', '/projects/root%2Fbefore/hooks', { url: 'http://x.example' })).toMatchObject({ status: 405, body: { message: 'Non GET methods are not allowed for moved projects' } });
  expect((await simulator.api('GET', '/projects/root%2Fafter')).body.id).toBe(id);
  const { id: successor } = await newProject('before');
  expect((await simulator.api('GET', '/projects/root%2Fbefore')).body.id).toBe(successor);
});

test('offset pages carry the X headers and links, and keyset pages only a Link that ends with an empty page', async () => {
  const { body: group } = await simulator.admin('POST', '/groups', { name: 'Paged', path: 'paged' });
  for (let at = 0; at < 5; at += 1) await simulator.admin('POST', '/projects', { path: `p${at}`, namespace: 'paged' });
  const page = await simulator.api('GET', `/groups/${group.id}/projects?per_page=2&page=2&order_by=id&sort=asc`);
  expect(page.body.map((project: any) => project.path)).toEqual(['p2', 'p3']);
  expect(Object.fromEntries(page.headers)).toMatchObject({ 'x-page': '2', 'x-per-page': '2', 'x-next-page': '3', 'x-prev-page': '1', 'x-total': '5', 'x-total-pages': '3' });
  expect(page.headers.get('link')).toContain('rel="last"');

  const pages = await everyPage('/projects?pagination=keyset&order_by=id&sort=asc&per_page=3&search=p&id_after=0');
  const ids = pages.flatMap(({ body }) => body.map((project: any) => project.id));
  expect(ids).toEqual([...ids].sort((a, b) => a - b));
  expect(pages.at(-1)?.body).toEqual([]);
  expect(pages[0]?.headers.get('x-total')).toBeNull();
});

test('keyset by anything but the id, and offsets beyond 50,000, are 405', async () => {
  expect((await simulator.api('GET', '/projects?pagination=keyset&order_by=name')).status).toBe(405);
  const tooFar = await simulator.api('GET', '/projects?per_page=100&page=501');
  expect([tooFar.status, tooFar.body.error]).toEqual([405, expect.stringContaining('maximum allowed offset of 50000 for requests that return objects of type Project')]);
});

test('branches with slashes, hashes and percent signs are found by their encoded names, and paged by token', async () => {
  const { id, clone } = await newProject('branchy');
  await clone.commit('first', { a: '1' });
  const names = ['feature/a#b', '100%25', 'ümläut', 'main'];
  await must(clone.git('push', '-q', 'origin', ...names.map((name) => `HEAD:refs/heads/${name}`)));
  for (const name of names) {
    expect((await simulator.api('GET', `/projects/${id}/repository/branches/${encodeURIComponent(name)}`)).body).toMatchObject({ name, default: name === 'main', commit: { title: 'first', parent_ids: [] } });
  }
  expect(await simulator.api('GET', `/projects/${id}/repository/branches/feature`)).toMatchObject({ status: 404, body: { message: '404 Branch Not Found' } });
  const pages = await everyPage(`/projects/${id}/repository/branches?pagination=keyset&per_page=3`);
  expect(pages.map(({ body }) => body.length)).toEqual([3, 1]);
});

test('an empty repository has no default branch and no tree', async () => {
  const { id } = await newProject('empty');
  expect((await simulator.api('GET', `/projects/${id}`)).body).toMatchObject({ default_branch: null, empty_repo: true });
  expect(await simulator.api('GET', `/projects/${id}/repository/tree`)).toMatchObject({ status: 404, body: { message: '404 Tree Not Found' } });
  expect((await simulator.api('GET', `/projects/${id}/repository/branches`)).body).toEqual([]);
});

test('the tree is paged by an opaque token, and a missing path is told from a missing ref', async () => {
  const { id, clone } = await newProject('leafy');
  await clone.commit('first', { 'dir/one': '1', 'dir/two': '2', top: '3', 'ä b': '4' });
  await must(clone.git('push', '-q', 'origin', 'main'));
  const pages = await everyPage(`/projects/${id}/repository/tree?recursive=true&pagination=keyset&per_page=2`);
  expect(pages.flatMap(({ body }) => body.map((entry: any) => `${entry.mode} ${entry.type} ${entry.path}`))).toEqual(['040000 tree dir', '100644 blob dir/one', '100644 blob dir/two', '100644 blob top', '100644 blob ä b']);
  expect((await simulator.api('GET', `/projects/${id}/repository/tree?path=dir`)).body).toMatchObject([{ path: 'dir/one', name: 'one' }, { path: 'dir/two' }]);
  expect((await simulator.api('GET', `/projects/${id}/repository/tree?path=none`)).body).toEqual({ message: '404 invalid revision or path Not Found' });
  expect((await simulator.api('GET', `/projects/${id}/repository/tree?ref=none`)).body).toEqual({ message: '404 Tree Not Found' });
});

test('files and blobs come byte for byte, with their headers also on HEAD', async () => {
  const { id, clone } = await newProject('files');
  const sha = await clone.commit('first', { 'a.bin': '\u0000binary\uFFFD' });
  await must(clone.git('push', '-q', 'origin', 'main'));
  const file = await simulator.api('GET', `/projects/${id}/repository/files/a.bin?ref=main`);
  expect(file.body).toMatchObject({ size: 10, encoding: 'base64', commit_id: sha, last_commit_id: sha, execute_filemode: false });
  expect(Buffer.from(file.body.content, 'base64').toString('utf8')).toBe('\u0000binary\uFFFD');
  const head = await simulator.api('HEAD', `/projects/${id}/repository/files/a.bin?ref=main`);
  expect(Object.fromEntries(head.headers)).toMatchObject({ 'x-gitlab-blob-id': file.body.blob_id, 'x-gitlab-size': '10', 'x-gitlab-commit-id': sha });
  expect((await simulator.api('GET', `/projects/${id}/repository/blobs/${file.body.blob_id}/raw`)).body).toBe('\u0000binary\uFFFD');
  const blob = await simulator.api('GET', `/projects/${id}/repository/blobs/${file.body.blob_id}`);
  expect(blob.body).toEqual({ size: 10, encoding: 'base64', content: file.body.content, sha: file.body.blob_id });
  expect((await simulator.api('GET', `/projects/${id}/repository/blobs/${'1'.repeat(40)}`)).body).toEqual({ message: '404 Blob Not Found' });
});

test('commits, compare and merge base tell a force push from a fast forward', async () => {
  const { id, clone } = await newProject('forced');
  const base = await clone.commit('base', { a: '1' });
  const old = await clone.commit('old', { a: '2' });
  await must(clone.git('push', '-q', 'origin', 'main'));
  await must(clone.git('reset', '-q', '--hard', base));
  const fresh = await clone.commit('new', { 'b c': '3' });
  await must(clone.git('push', '-q', '--force', 'origin', 'main'));

  expect((await simulator.api('GET', `/projects/${id}/repository/merge_base?refs[]=${old}&refs[]=${fresh}`)).body.id).toBe(base);
  const { body } = await simulator.api('GET', `/projects/${id}/repository/compare?from=${old}&to=${fresh}&straight=true`);
  expect(body.diffs).toMatchObject([{ new_path: 'a', diff: expect.stringContaining('-2') }, { new_path: 'b c', new_file: true }]);
  expect(body).toMatchObject({ compare_timeout: false, compare_same_ref: false, commit: { id: fresh } });
  expect((await simulator.api('GET', `/projects/${id}/repository/commits/${old}`)).body).toMatchObject({ title: 'old', stats: { additions: 1, deletions: 1, total: 2 } });
  expect(await simulator.api('GET', `/projects/${id}/repository/commits/${'1'.repeat(40)}`)).toMatchObject({ status: 404, body: { message: '404 Commit Not Found' } });
  const list = await simulator.api('GET', `/projects/${id}/repository/commits?per_page=1&ref_name=main`);
  expect([list.body[0].id, list.headers.get('x-next-page'), list.headers.get('x-total')]).toEqual([fresh, '2', null]);
});

test('the archive has one top folder named by project, ref and commit', async () => {
  const { id, clone } = await newProject('packed');
  const sha = await clone.commit('first', { 'x.txt': 'hello' });
  await must(clone.git('push', '-q', 'origin', 'main'));
  const response = await fetch(`${simulator.url}/api/v4/projects/${id}/repository/archive.tar.gz?sha=${sha}`, { headers: { authorization: `Bearer ${simulator.token}` } });
  const tar = gunzipSync(Buffer.from(await response.arrayBuffer())).toString('latin1');
  expect(tar).toContain(`packed-${sha}-${sha}/x.txt`);
});

test('members/all gives each the highest level of group, project and share, and expiry ends it', async () => {
  const { body: group } = await simulator.admin('POST', '/groups', { name: 'Crew', path: 'crew' });
  const { body: invited } = await simulator.admin('POST', '/groups', { name: 'Invited', path: 'invited' });
  const { body: project } = await simulator.admin('POST', '/projects', { path: 'ship', namespace: 'crew' });
  const [ann, bob, cyd] = [await newUser('ann'), await newUser('bob'), await newUser('cyd')];
  await simulator.admin('POST', '/members', { group: 'crew', user: 'ann', accessLevel: 20 });
  await simulator.api('POST', `/projects/${project.id}/members`, { user_id: ann.id, access_level: 40 });
  await simulator.admin('POST', '/members', { group: 'invited', user: 'bob', accessLevel: 50 });
  await simulator.api('POST', `/projects/${project.id}/share`, { group_id: invited.id, group_access: 30 });
  await simulator.api('POST', `/groups/${group.id}/members`, { user_id: cyd.id, access_level: 30, expires_at: '2020-01-01' });
  const { body } = await simulator.api('GET', `/projects/${project.id}/members/all`);
  expect(body.map((member: any) => [member.username, member.access_level])).toEqual([['ann', 40], ['bob', 30]]);
  expect((await simulator.api('GET', `/projects/${project.id}/members`)).body).toHaveLength(1);
  expect((await simulator.api('GET', `/projects/${project.id}`, undefined, bob.token)).status).toBe(200);
  expect((await simulator.api('GET', `/projects/${project.id}`, undefined, cyd.token)).status).toBe(404);
  expect((await simulator.api('POST', `/projects/${project.id}/members`, { user_id: ann.id, access_level: 30 })).status).toBe(409);
});

test('group projects come with subgroups when asked, and with shared ones unless refused', async () => {
  const { body: top } = await simulator.admin('POST', '/groups', { name: 'Tree', path: 'tree' });
  await simulator.admin('POST', '/groups', { name: 'Twig', path: 'twig', parent: 'tree' });
  await simulator.admin('POST', '/projects', { path: 'own', namespace: 'tree' });
  await simulator.admin('POST', '/projects', { path: 'below', namespace: 'tree/twig' });
  const { body: foreign } = await simulator.admin('POST', '/projects', { path: 'foreign' });
  await simulator.api('POST', `/projects/${foreign.id}/share`, { group_id: top.id, group_access: 30 });
  const paths = async (query: string): Promise<string[]> => (await simulator.api('GET', `/groups/tree/projects?${query}`)).body.map((project: any) => project.path).sort();
  expect(await paths('')).toEqual(['foreign', 'own']);
  expect(await paths('with_shared=false')).toEqual(['own']);
  expect(await paths('include_subgroups=true&with_shared=false')).toEqual(['below', 'own']);
  expect((await simulator.api('GET', '/groups/tree/descendant_groups')).body).toMatchObject([{ full_path: 'tree/twig' }]);
});

test('a renamed group moves the paths of all projects below it', async () => {
  const { body: group } = await simulator.admin('POST', '/groups', { name: 'Old', path: 'oldname' });
  const { body: project } = await simulator.admin('POST', '/projects', { path: 'inside', namespace: 'oldname' });
  await simulator.api('PUT', `/groups/${group.id}`, { path: 'newname' });
  expect((await simulator.api('GET', `/projects/${project.id}`)).body.path_with_namespace).toBe('newname/inside');
  expect((await simulator.api('GET', '/projects/oldname%2Finside')).status).toBe(302);
});

test('a fork has an id of its own and names its origin', async () => {
  const { id, clone } = await newProject('origin');
  const sha = await clone.commit('first', { a: '1' });
  await must(clone.git('push', '-q', 'origin', 'main'));
  const fork = await simulator.api('POST', `/projects/${id}/fork`, { path: 'copy', name: 'copy' });
  expect(fork).toMatchObject({ status: 201, body: { default_branch: 'main', forked_from_project: { id } } });
  expect((await simulator.api('GET', `/projects/${fork.body.id}/repository/branches/main`)).body.commit.id).toBe(sha);
});

test('deletion marks first and removes on the second word, and GET says so', async () => {
  const { id } = await newProject('doomed');
  expect((await simulator.api('DELETE', `/projects/${id}`)).status).toBe(202);
  const { body } = await simulator.api('GET', `/projects/${id}`);
  expect(body).toMatchObject({ marked_for_deletion_on: expect.any(String), path: `doomed-deletion_scheduled-${id}` });
  expect((await simulator.api('DELETE', `/projects/${id}?permanently_remove=true&full_path=${encodeURIComponent(body.path_with_namespace)}`)).status).toBe(202);
  expect(await simulator.api('GET', `/projects/${id}`)).toMatchObject({ status: 404, body: { message: '404 Project Not Found' } });
});

test('POST on a system hook does not create one but fires it', async () => {
  const { body: hook } = await simulator.api('POST', '/hooks', { url: 'http://127.0.0.1:9/closed' });
  expect((await simulator.api('POST', `/hooks/${hook.id}`)).body).toMatchObject({ event_name: 'project_create' });
  expect((await simulator.api('GET', '/hooks')).body).toHaveLength(1);
  expect((await simulator.api('PUT', `/hooks/${hook.id}`, { push_events: true })).body.push_events).toBe(true);
  expect((await simulator.api('DELETE', `/hooks/${hook.id}`)).status).toBe(204);
  expect((await simulator.api('GET', '/hooks')).body).toEqual([]);
  const plain = await newUser('plain');
  expect((await simulator.api('GET', '/hooks', undefined, plain.token)).status).toBe(403);
});

test('the throttle answers 429 "Retry later" with headers, an endpoint limit without', async () => {
  const { id } = await newProject('busy');
  const user = await newUser('busy-bee');
  await simulator.admin('PUT', '/settings', { rateLimitPerMinute: 3 });
  const replies: Reply[] = [];
  for (let at = 0; at < 4; at += 1) replies.push(await simulator.api('GET', '/user', undefined, user.token));
  await simulator.admin('PUT', '/settings', { rateLimitPerMinute: null, applicationLimits: { project_api: 1 } });
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
  expect(Object.fromEntries(replies[0]!.headers)).toMatchObject({ 'ratelimit-limit': '3', 'ratelimit-observed': '1', 'ratelimit-remaining': '2' });
  expect(replies[3]?.body).toBe('Retry later\n');
  expect(Number(replies[3]?.headers.get('retry-after'))).toBeGreaterThan(0);

  await simulator.api('GET', `/projects/${id}`);
  const refused = await simulator.api('GET', `/projects/${id}`);
  await simulator.admin('PUT', '/settings', { applicationLimits: {} });
  expect(refused.status).toBe(429);
  expect([...refused.headers.keys()].filter((name) => /ratelimit|retry/.test(name))).toEqual([]);
});

test('what was made is there after a restart on the same folder', async () => {
  const { id } = await newProject('lasting');
  await simulator.api('POST', `/projects/${id}/hooks`, { url: 'http://x.example/', signing_token: `whsec_${Buffer.alloc(32).toString('base64')}` });
  const token = simulator.token;
  await simulator.restart();
  expect(simulator.token).toBe(token);
  expect((await simulator.api('GET', `/projects/${id}/hooks`)).body).toMatchObject([{ url: 'http://x.example/', signing_token_present: true }]);
});
