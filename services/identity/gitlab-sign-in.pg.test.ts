import { randomUUID } from 'node:crypto';
import type { SourceId } from '#schemas/brand.ts';
import { peopleStream } from '#schemas/ids.ts';
import { startOpenIdProvider, type OpenIdProvider } from '#tests/harness/openid-provider.ts';
import { createIdentityWorld, ENGINE_TOKEN, type IdentityWorld, type Told } from './identity-world.fixture.ts';

// Identity, and a GitLab in a process of its own that signs people in for it.

const [SOURCE, OTHER] = ['0ab19f44-4630-534f-80cf-e4eda4f9fe64', '1ab19f44-4630-534f-80cf-e4eda4f9fe64'] as SourceId[] as [SourceId, SourceId];
const SECRET = 'canary-secret-of-the-application';
let world: IdentityWorld;
let gitlab: OpenIdProvider;
const redirectUri = (source: SourceId) => `http://tekai/v1/auth/gitlab/${source}/callback`;
const decide = (source: SourceId, body: object) => world.ask('PUT', `/v1/auth/providers/${source}`, { token: ENGINE_TOKEN, body });

beforeAll(async () => {
  [world, gitlab] = await Promise.all([createIdentityWorld(), startOpenIdProvider()]);
  for (const source of [SOURCE, OTHER]) {
    world.sources.push(source);
    world.places.set(source, gitlab.url);
    await world.registerSource(source);
    await gitlab.addClient({ clientId: `of-${source}`, clientSecret: SECRET, redirectUri: redirectUri(source) });
  }
});
afterAll(async () => { await Promise.all([world.stop(), gitlab.stop()]); });
beforeEach(async () => {
  // Nobody is told off for what another test did, and nothing is known of GitLab from before.
  world.at += 20 * 60_000;
  await gitlab.fault({});
  for (const source of [SOURCE, OTHER]) await decide(source, { clientId: `of-${source}`, clientSecret: SECRET });
});

const begin = (source: SourceId = SOURCE) => world.ask('POST', `/v1/auth/gitlab/${source}`, { body: {} });
const finish = (handle: unknown, code: unknown, source: SourceId = SOURCE) => world.ask('POST', `/v1/auth/gitlab/${source}/session`, { body: { handle, code } });
/** As the browser does that was sent back. */
const comeBack = (at: URL) => world.ask('GET', `${at.pathname}${at.search}`);
const bind = (user: string, gitlabUserId: number, source: SourceId = SOURCE) => world.ask('PUT', `/v1/users/${user}/gitlab-users/${source}`, { token: ENGINE_TOKEN, body: { gitlabUserId } });
const withoutPlace = ({ status, body }: Told) => ({ status, ...body, instance: '' });

/** By whom, and about whom. */
const entries = async (act: string) => (await world.query<{ actor_kind: string; actor_id: string; target: string }>('select * from identity_audit where act = $1', [act])).map((row) => [row.actor_kind === 'user' ? row.actor_id : row.actor_kind, row.target]);

/** As far as the page that shows the code. */
async function goThere(user: number | 'deny', source: SourceId = SOURCE) {
  const begun = await begin(source);
  const back = await gitlab.browse(begun.body.url, user);
  return { handle: begun.body.handle as string, back, told: await comeBack(back) };
}

async function signInBy(user: number, source: SourceId = SOURCE): Promise<Told> {
  const { handle, told } = await goThere(user, source);
  return told.status === 200 ? finish(handle, told.body.code, source) : told;
}

test('by which GitLabs people sign in, everybody may know; how, a system admin decides, and nobody is shown the secret', async () => {
  const ann = await world.signIn('ann-of-the-settings');
  expect((await world.ask('GET', '/v1/auth/providers')).body).toEqual({ providers: [SOURCE, OTHER].map((id) => ({ id, name: 'g', kind: 'gitlab' })) });
  expect((await world.ask('GET', `/v1/auth/providers/${SOURCE}`, { token: ENGINE_TOKEN })).body).toEqual({ sourceId: SOURCE, clientId: `of-${SOURCE}`, unknownUsers: 'refuse', ownAccess: false, grants: { good: 0, over: 0 }, redirectUri: redirectUri(SOURCE), changedAt: world.now().toISOString() });
  for (const method of ['GET', 'PUT', 'DELETE']) expect([method, (await world.ask(method, `/v1/auth/providers/${SOURCE}`, { token: ann.accessToken, ...(method === 'PUT' ? { body: {} } : {}) })).status]).toEqual([method, 403]);
  expect(await decide(randomUUID() as SourceId, { clientId: 'x', clientSecret: 'y' })).toMatchObject({ status: 404, body: { code: 'source-unknown' } });

  expect((await world.ask('DELETE', `/v1/auth/providers/${OTHER}`, { token: ENGINE_TOKEN })).status).toBe(204);
  expect((await world.ask('GET', '/v1/auth/providers')).body.providers).toHaveLength(1);
  expect(await world.vault.get(`source/${OTHER}/sign-in-secret`)).toBeUndefined();
  expect(await decide(OTHER, { clientId: 'x' })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/clientSecret' }] } });
  expect(await entries('gitlab-sign-in-off')).toEqual([['token', OTHER]]);
  expect(await entries('gitlab-sign-in-set')).toContainEqual(['token', SOURCE]);
  // What is off and what there is not is told alike.
  const [off, none] = [await begin(OTHER), await begin('2ab19f44-4630-534f-80cf-e4eda4f9fe64' as SourceId)];
  expect(off.status).toBe(404);
  expect(off.body.detail.replace(OTHER, '')).toBe(none.body.detail.replace('2ab19f44-4630-534f-80cf-e4eda4f9fe64', ''));
});

test('who is bound to a GitLab user signs in as that user: once by each sign-in, with a session that goes on without GitLab', async () => {
  const bob = await world.signIn('bob');
  await bind(bob.id, 7);
  const { handle, told, back } = await goThere(7);
  expect(told).toMatchObject({ status: 200, body: { code: expect.stringMatching(/^[a-z2-9]{6}-[a-z2-9]{6}$/) } });
  for (const [name, value] of [['cache-control', 'no-store'], ['referrer-policy', 'no-referrer'], ['x-frame-options', 'DENY'], ['content-security-policy', expect.stringContaining('default-src \'none\'')]]) expect(told.headers.get(name as string)).toEqual(value);
  const signedIn = await finish(handle, told.body.code.toUpperCase());
  expect(signedIn).toMatchObject({ status: 200, body: { user: { id: bob.id, name: 'bob', isSystemAdmin: false }, refreshToken: expect.stringMatching(/^tekai_rt_/) } });
  expect((await world.ask('GET', '/v1/whoami', { token: signedIn.body.accessToken })).body).toMatchObject({ kind: 'session', user: { name: 'bob' } });
  // Everything of it is used up.
  expect(await finish(handle, told.body.code)).toMatchObject({ status: 401, body: { code: 'sign-in-over' } });
  expect(await comeBack(back)).toMatchObject({ status: 400, body: { code: 'sign-in-over' } });
  await gitlab.fault({ away: true });
  expect((await world.ask('POST', '/v1/auth/refresh', { body: { refreshToken: signedIn.body.refreshToken } })).status).toBe(200);
});

test('whom nobody here is, and who is disabled, are told the same; nobody is found by a name', async () => {
  const off = await world.signIn('off-by-gitlab');
  await bind(off.id, 8);
  await world.ask('PATCH', `/v1/users/${off.id}`, { token: ENGINE_TOKEN, body: { state: 'disabled' } });
  await world.signIn('gitlab-9');
  const told = await Promise.all([goThere(8), goThere(9)]);
  for (const one of told) expect(withoutPlace(one.told)).toEqual(withoutPlace(told[0].told));
  expect(told[0].told).toMatchObject({ status: 401, body: { code: 'sign-in-refused' } });
  // Who began it is told the same.
  for (const { handle } of told) expect(await finish(handle, '')).toMatchObject({ status: 401, body: { code: 'sign-in-refused' } });
});

test('where a source says so, whom nobody is becomes somebody: bound by a fact, never an admin, once, whatever is called like them', async () => {
  await decide(SOURCE, { clientId: `of-${SOURCE}`, unknownUsers: 'create' });
  await world.signIn('gitlab-11');
  // Through two browsers at the same time.
  const both = await Promise.all([signInBy(11), signInBy(11)]);
  expect(both.map(({ status }) => status)).toEqual([200, 200]);
  const [{ body: { user } }, again] = [both[0]!, await signInBy(11)];
  expect([both[1]!.body.user, again.body.user]).toEqual([user, user]);
  expect(user).toEqual({ id: expect.any(String), name: expect.stringMatching(/^gitlab-11-[a-z2-9]{6}$/), isSystemAdmin: false });
  const facts = (await world.log.readStream(peopleStream(SOURCE), { limit: 100 })).filter(({ data }) => (data as { gitlabUserId: number }).gitlabUserId === 11);
  expect(facts.map(({ type, actor, data }) => [type, actor, data])).toEqual([['user.gitlab-bound', { kind: 'user', id: user.id }, { userId: user.id, sourceId: SOURCE, gitlabUserId: 11 }]]);
  expect((await world.ask('GET', '/v1/users', { token: ENGINE_TOKEN })).body.users.filter(({ name }: { name: string }) => name.startsWith('gitlab-11'))).toHaveLength(2);
  expect(await entries('user-made')).toContainEqual([user.id, user.id]);
  expect((await entries('signed-in')).filter(([actor]) => actor === user.id)).toHaveLength(3);
  // The same number in another GitLab is somebody else, who may not.
  expect((await signInBy(11, OTHER)).status).toBe(401);
});

test('only who holds the handle and was shown the code is signed in; five wrong codes end it', async () => {
  const eve = await world.signIn('eve-of-the-codes');
  await bind(eve.id, 12);
  const [mine, theirs] = [await goThere(12), await goThere(12)];
  expect(await finish(theirs.handle, mine.told.body.code)).toMatchObject({ status: 401, body: { code: 'code-wrong' } });
  expect(await finish(`tekai_sih_${'A'.repeat(43)}`, mine.told.body.code)).toMatchObject({ status: 401, body: { code: 'sign-in-over' } });
  expect(await finish(mine.handle, mine.told.body.code, OTHER)).toMatchObject({ status: 401, body: { code: 'sign-in-over' } });
  const guesses = await Promise.all(Array.from({ length: 7 }, (_, index) => finish(mine.handle, `guess-${index}`)));
  expect(guesses.map(({ body }) => body.code).sort()).toEqual([...Array.from({ length: 5 }, () => 'code-wrong'), 'sign-in-over', 'sign-in-over']);
  expect(await finish(mine.handle, mine.told.body.code)).toMatchObject({ status: 401, body: { code: 'sign-in-over' } });
  const early = await begin();
  expect(await finish(early.body.handle, 'any')).toMatchObject({ status: 409, body: { code: 'sign-in-waits' } });
  const used = await Promise.all([1, 2, 3].map(() => finish(theirs.handle, theirs.told.body.code)));
  expect(used.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
});

test('a state that was not given out, is over, was used, or is another GitLab\'s, is asked nothing about', async () => {
  const asked = async () => (await gitlab.asked()).filter(({ at }) => at === 'token').length;
  const back = await gitlab.browse((await begin()).body.url, 7);
  const before = await asked();
  const changed = (change: (at: URL) => void) => { const at = new URL(back); change(at); return comeBack(at); };
  const over = { status: 400, body: { code: 'sign-in-over' } };
  expect(await changed(({ searchParams }) => searchParams.delete('state'))).toMatchObject(over);
  expect(await changed(({ searchParams }) => searchParams.set('state', `tekai_sis_${'A'.repeat(43)}`))).toMatchObject(over);
  expect(await changed((at) => { at.pathname = at.pathname.replace(SOURCE, OTHER); })).toMatchObject(over);
  world.at += 600_001;
  expect(await comeBack(back)).toMatchObject(over);
  expect(await asked()).toBe(before);
  const again = await gitlab.browse((await begin()).body.url, 7);
  expect((await Promise.all([comeBack(again), comeBack(again), comeBack(again)])).filter(({ status }) => status === 400)).toHaveLength(2);
  expect(await asked()).toBe(before + 1);
});

test.each<[string, Parameters<OpenIdProvider['fault']>[0], number, string]>([
  ['gives a token that nobody signed', { signed: 'none' }, 401, 'sign-in-unproven'],
  ['gives a token for another', { claims: { aud: 'another' } }, 401, 'sign-in-unproven'],
  ['gives a token of another sign-in', { claims: { nonce: 'another' } }, 401, 'sign-in-unproven'],
  ['names no user', { claims: { sub: 'root' } }, 422, 'sign-in-set-up'],
  ['is away', { away: '/oauth/token' }, 503, 'gitlab-away'],
])('a GitLab that %s signs nobody in, and both ends are told why', async (_what, fault, status, code) => {
  await bind((await world.signIn(`told-${randomUUID().slice(0, 8)}`)).id, 13);
  const begun = await begin();
  const back = await gitlab.browse(begun.body.url, 13);
  await gitlab.fault(fault);
  expect(await comeBack(back)).toMatchObject({ status, body: { code } });
  expect(await finish(begun.body.handle, '')).toMatchObject({ status, body: { code } });
});

test('who does not want to, a secret that GitLab does not take, and a GitLab that is away at the beginning, are each told', async () => {
  const denied = await goThere('deny');
  expect(denied.told).toMatchObject({ status: 401, body: { code: 'sign-in-denied' } });
  expect(await finish(denied.handle, '')).toMatchObject({ status: 401, body: { code: 'sign-in-denied' } });
  await decide(SOURCE, { clientId: `of-${SOURCE}`, clientSecret: 'another' });
  const wrong = await goThere(7);
  expect(wrong.told).toMatchObject({ status: 422, body: { code: 'sign-in-client' } });
  expect(await finish(wrong.handle, '')).toMatchObject({ status: 422, body: { code: 'sign-in-client' } });
  world.at += 600_000;
  await gitlab.fault({ away: true });
  expect(await begin()).toMatchObject({ status: 503, body: { code: 'gitlab-away' } });
});

test('a browser is shown pages: what GitLab or an address says is in none of them', async () => {
  const page = async (search: string) => (await fetch(`${world.url}/v1/auth/gitlab/${SOURCE}/callback?${search}`, { headers: { accept: 'text/html', connection: 'close' } })).text();
  expect(await page('error=<script>&error_description=<script>&state=<script>')).toMatch(/You are not signed in.*This sign-in was not begun here/s);
  expect(await page('error=<script>&state=<script>')).not.toContain('<script');
  await bind((await world.signIn('of-the-page')).id, 14);
  expect(await page((await gitlab.browse((await begin()).body.url, 14)).search.slice(1))).toMatch(/<strong>[a-z2-9]{6}-[a-z2-9]{6}<\/strong>.*close this page/s);
});

test('what ends meanwhile ends the sign-in: the user is disabled, or the way in is taken back', async () => {
  const kim = await world.signIn('kim-meanwhile');
  await bind(kim.id, 15);
  const [one, other] = [await goThere(15), await goThere(15)];
  await world.ask('PATCH', `/v1/users/${kim.id}`, { token: ENGINE_TOKEN, body: { state: 'disabled' } });
  expect(await finish(one.handle, one.told.body.code)).toMatchObject({ status: 401, body: { code: 'sign-in-refused' } });
  await world.ask('PATCH', `/v1/users/${kim.id}`, { token: ENGINE_TOKEN, body: { state: 'active' } });
  await world.ask('DELETE', `/v1/auth/providers/${SOURCE}`, { token: ENGINE_TOKEN });
  expect(await finish(other.handle, other.told.body.code)).toMatchObject({ status: 401, body: { code: 'sign-in-over' } });
});

test('of one address sixty a minute are taken, and nothing secret is kept as it is', async () => {
  const answers = [];
  for (let index = 0; index < 61; index += 1) answers.push((await world.ask('POST', `/v1/auth/gitlab/${SOURCE}/session`, { through: '203.0.113.77', body: { handle: `made-up-${index}`, code: 'x' } })).status);
  expect(answers).toEqual([...Array.from({ length: 60 }, () => 401), 429]);
  const { body } = await begin();
  const state = new URL(body.url).searchParams.get('state') ?? '';
  const kept = JSON.stringify(await world.query('select encode(state_hash, \'escape\') as one, encode(handle_hash, \'escape\') as two, s.*, t.* from identity_gitlab_sign_ins s join identity_sign_in_settings t using (source_id)'));
  for (const secret of [state, state.slice(10), body.handle.slice(10), SECRET, new URL(body.url).searchParams.get('nonce') ?? '']) expect(kept).not.toContain(secret);
});
