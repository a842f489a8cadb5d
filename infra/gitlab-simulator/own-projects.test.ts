import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { openSimulator, type OpenSimulator } from './testing/open-simulator.ts';

/** What a person's own OAuth token is told of the projects that they are in. */
let simulator: OpenSimulator;
const ids: Record<string, number> = {};

beforeAll(async () => {
  simulator = await openSimulator();
  for (const [name, parent] of [['shop', undefined], ['till', 'shop'], ['guests', undefined]] as const) await simulator.admin('POST', '/groups', { name, path: name, ...(parent === undefined ? {} : { parent }) });
  for (const [path, namespace] of [['direct', 'root'], ['inherited', 'shop/till'], ['shared', 'root'], ['as-guest', 'root'], ['not-there', 'root']] as const) ids[path] = (await simulator.admin('POST', '/projects', { path, namespace })).body.id;
  await simulator.admin('POST', '/users', { username: 'rita' });
  await simulator.admin('POST', '/members', { user: 'rita', project: 'root/direct', accessLevel: 20 });
  await simulator.admin('POST', '/members', { user: 'rita', project: 'root/as-guest', accessLevel: 10 });
  await simulator.admin('POST', '/members', { user: 'rita', group: 'shop', accessLevel: 30 });
  await simulator.admin('POST', '/members', { user: 'rita', group: 'guests', accessLevel: 40 });
  const guests = (await simulator.api('GET', '/groups/guests')).body.id;
  await simulator.api('POST', `/projects/${ids['shared']}/share`, { group_id: guests, group_access: 20 });
  await simulator.api('PUT', `/projects/${ids['not-there']}`, { visibility: 'public' });
});
afterAll(() => simulator.close());

const tokenOf = async (user: string, more: object = {}) => (await simulator.admin('POST', '/tokens', { user, kind: 'oauth', scopes: ['openid', 'read_api'], expiresInSeconds: 7_200, ...more })).body as { id: number; secret: string };

async function asked(secret: string, query = 'membership=true&min_access_level=20&pagination=keyset&order_by=id&sort=asc&simple=true') {
  const answer = await fetch(`${simulator.url}/api/v4/projects?${query}`, { headers: { authorization: `Bearer ${secret}` } });
  return { status: answer.status, link: answer.headers.get('link'), total: answer.headers.get('x-total'), body: await answer.json() as any };
}

const OWN = () => [ids['direct'], ids['inherited'], ids['shared']];

test('a person lists what they reach at a level, whichever way they do: directly, by a group above, by a group that it is shared with; what is public is not theirs', async () => {
  const { secret } = await tokenOf('rita');
  expect((await asked(secret)).body.map(({ id }: any) => id)).toEqual(OWN());
  expect((await asked(secret, 'membership=true&order_by=id&sort=asc')).body.map(({ id }: any) => id)).toEqual([...OWN(), ids['as-guest']]);
  // Who may see everything is a member of nothing by that.
  const all = (await asked((await tokenOf('root')).secret, 'membership=true&min_access_level=50&order_by=id&sort=asc')).body.map(({ id }: any) => id);
  expect([all.includes(ids['inherited']), all.includes(ids['direct'])]).toEqual([false, true]);
  expect(await asked(secret, 'membership=true&min_access_level=21')).toMatchObject({ status: 400, body: { error: 'min_access_level does not have a valid value' } });
});

test('pages by id have a Link and no totals, and end with one that is empty', async () => {
  const { secret } = await tokenOf('rita');
  const pages: number[][] = [];
  for (let query: string | undefined = 'membership=true&min_access_level=20&pagination=keyset&order_by=id&sort=asc&per_page=2'; query !== undefined;) {
    const page: Awaited<ReturnType<typeof asked>> = await asked(secret, query);
    expect(page.total).toBeNull();
    pages.push(page.body.map(({ id }: any) => id));
    query = /<[^>]*\?([^>]*)>; rel="next"/.exec(page.link ?? '')?.[1];
  }
  expect(pages).toEqual([OWN().slice(0, 2), OWN().slice(2), []]);
});

test('a token that is over, was taken back, has another scope, or whose user is blocked, is told no list but why', async () => {
  const narrow = await tokenOf('rita', { scopes: ['openid'] });
  expect(await asked(narrow.secret)).toMatchObject({ status: 403, body: { error: 'insufficient_scope', scope: 'api read_api' } });
  const { id, secret } = await tokenOf('rita');
  await simulator.admin('PATCH', `/tokens/${id}`, { revoked: true });
  expect(await asked(secret)).toMatchObject({ status: 401, body: { error: 'invalid_token', error_description: expect.stringContaining('revoked') } });
  const [short, long] = [await tokenOf('rita', { expiresInSeconds: 60 }), await tokenOf('rita')];
  await simulator.admin('POST', '/clock', { advanceMs: 61_000 });
  expect(await asked(short.secret)).toMatchObject({ status: 401, body: { error: 'invalid_token', error_description: expect.stringContaining('expired') } });
  expect((await asked(long.secret)).status).toBe(200);
  const rita = (await simulator.api('GET', '/users?username=rita')).body[0].id;
  await simulator.admin('PATCH', `/users/${rita}`, { state: 'blocked' });
  expect(await asked(long.secret)).toMatchObject({ status: 403, body: { message: '403 Forbidden - Your account has been blocked.' } });
  await simulator.admin('PATCH', `/users/${rita}`, { state: 'active' });
});

test('of one member it is told who they are in a project, and of nobody that there is none, in other words than of a project', async () => {
  const rita = (await simulator.api('GET', '/users?username=rita')).body[0].id;
  expect(await simulator.api('GET', `/projects/${ids['inherited']}/members/all/${rita}`)).toMatchObject({ status: 200, body: { id: rita, access_level: 30, state: 'active', expires_at: null } });
  expect(await simulator.api('GET', `/projects/${ids['not-there']}/members/all/${rita}`)).toMatchObject({ status: 404, body: { message: '404 Not found' } });
  expect(await simulator.api('GET', `/projects/4711/members/all/${rita}`)).toMatchObject({ status: 404, body: { message: '404 Project Not Found' } });
});
