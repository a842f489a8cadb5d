import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { must, openSimulator, type OpenSimulator } from './testing/open-simulator.ts';

/** What a program asks that is let in for the first time: who am I, what may I, what is there. */
let simulator: OpenSimulator;
let ids: Record<string, number>;

beforeAll(async () => {
  simulator = await openSimulator();
  await simulator.admin('POST', '/groups', { name: 'Shop', path: 'shop' });
  await simulator.admin('POST', '/groups', { name: 'Till', path: 'till', parent: 'shop' });
  ids = {};
  for (const [path, namespace] of [['web', 'shop'], ['old', 'shop'], ['cash', 'shop/till']] as const) ids[path] = (await simulator.admin('POST', '/projects', { path, namespace, readme: true })).body.id;
  const clone = await simulator.clone('shop/web');
  await clone.commit('later', { 'b.txt': 'b' });
  await simulator.admin('POST', '/clock', { advanceMs: 60_000 });
  await must(clone.git('push', '-q', 'origin', 'main'));
});
afterAll(() => simulator.close());

async function member(username: string, { scopes = ['api'], accessLevel = 40 } = {}): Promise<string> {
  const { token } = (await simulator.admin('POST', '/users', { username, scopes })).body as { token: string };
  await simulator.admin('POST', '/members', { user: username, group: 'shop', accessLevel });
  return token;
}

test('a token tells its scopes and its end, whatever it is good for', async () => {
  const { body: { secret } } = await simulator.admin('POST', '/tokens', { user: 'root', scopes: ['read_repository'], expiresAt: '2099-01-31' });
  expect(await simulator.api('GET', '/personal_access_tokens/self', undefined, secret)).toMatchObject({ status: 200, body: { scopes: ['read_repository'], expires_at: '2099-01-31', revoked: false, active: true } });
  expect(await simulator.api('GET', '/user', undefined, secret)).toMatchObject({ status: 403, body: { error: 'insufficient_scope' } });
  expect((await simulator.api('GET', '/groups', undefined, secret)).status).toBe(403);
});

test('groups are those that the caller may see, and their projects come newest-active first', async () => {
  const token = await member('ann', { scopes: ['read_api'] });
  const stranger = (await simulator.admin('POST', '/users', { username: 'bob', scopes: ['read_api'] })).body.token as string;
  expect((await simulator.api('GET', '/groups?min_access_level=10', undefined, token)).body.map((group: any) => group.full_path)).toEqual(['shop', 'shop/till']);
  expect((await simulator.api('GET', '/groups', undefined, stranger)).body).toEqual([]);
  const { body } = await simulator.api('GET', '/groups/shop/projects?include_subgroups=true&order_by=last_activity_at&sort=desc', undefined, token);
  expect(body[0]).toMatchObject({ id: ids['web'], empty_repo: false, archived: false });
  expect(body).toHaveLength(3);
  expect((await simulator.api('GET', '/projects?membership=true&min_access_level=20&order_by=last_activity_at', undefined, token)).body[0].id).toBe(ids['web']);
});

test('sizes come from the list of projects for who is a Reporter there, and never from a group\'s list', async () => {
  const [reporter, guest] = [await member('rita', { accessLevel: 20 }), await member('gus', { accessLevel: 10 })];
  const sizes = async (path: string, token: string) => (await simulator.api('GET', path, undefined, token)).body.map((project: any) => typeof project.statistics?.repository_size);
  expect(await sizes('/projects?membership=true&statistics=true', reporter)).toEqual(['number', 'number', 'number']);
  expect(await sizes('/projects?membership=true', reporter)).toEqual(['undefined', 'undefined', 'undefined']);
  expect(await sizes('/projects?membership=true&statistics=true', guest)).toEqual(['undefined', 'undefined', 'undefined']);
  expect(await sizes('/groups/shop/projects?statistics=true', reporter)).toEqual(['undefined', 'undefined']);
});

test('who may not make webhooks is told so in two ways: by scope and by role', async () => {
  const url = { url: 'https://engine.example/h' };
  const narrow = await member('nora', { scopes: ['read_api'] });
  const developer = await member('dora', { accessLevel: 30 });
  const maintainer = await member('mona');
  expect(await simulator.api('POST', `/projects/${ids['web']}/hooks`, url, narrow)).toMatchObject({ status: 403, body: { error: 'insufficient_scope', scope: 'api' } });
  expect(await simulator.api('POST', `/projects/${ids['web']}/hooks`, url, developer)).toMatchObject({ status: 403, body: { message: '403 Forbidden' } });
  expect((await simulator.api('POST', `/projects/${ids['web']}/hooks`, url, maintainer)).status).toBe(201);
});

test('git wants a scope of its own, and a role that reads code', async () => {
  const listed = async (token: string) => (await simulator.git('.', 'ls-remote', simulator.gitUrl('shop/web', token))).code;
  expect(await listed(await member('rob', { scopes: ['read_repository'], accessLevel: 20 }))).toBe(0);
  expect(await listed(await member('una', { scopes: ['read_user'], accessLevel: 20 }))).not.toBe(0);
  expect(await listed(await member('gina', { scopes: ['read_repository'], accessLevel: 10 }))).not.toBe(0);
});
