import type { SourceId } from '#schemas/brand.ts';
import { sourceStream } from '#schemas/ids.ts';
import { createAddressGuard } from '#shared/addresses/address-guard.ts';
import { createOpenIdSignInProvider } from '#shared/identity/openid-sign-in-provider.ts';
import { grantedTokens, type OwnGrant } from '#shared/identity/own-grant.ts';
import type { SignInProvider } from '#shared/identity/sign-in-provider.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { startOpenIdProvider, type OpenIdProvider } from '#tests/harness/openid-provider.ts';
import { careForGrants } from './care-for-grants.ts';
import { GRANT, sweepGrants } from './grants.ts';
import { createIdentityWorld, ENGINE_TOKEN, type IdentityWorld } from './identity-world.fixture.ts';
import { turnGrants } from './turn-grants.ts';

// What people let us see of theirs in a GitLab: kept, turned, and forgotten. GitLab's part is played by a provider in a process of its own.

const [SOURCE, GONE] = ['0ab19f44-4630-534f-80cf-e4eda4f9fe64', '1ab19f44-4630-534f-80cf-e4eda4f9fe64'] as SourceId[] as [SourceId, SourceId];
const SECRET = 'secret-of-the-application';
const HOURS_MS = 3_600_000;
let world: IdentityWorld;
let gitlab: OpenIdProvider;
let users = 100;

const redirectUri = (source: SourceId) => `http://tekai/v1/auth/gitlab/${source}/callback`;
const asAdmin = (method: string, path: string, body?: unknown) => world.ask(method, path, { token: ENGINE_TOKEN, ...(body === undefined ? {} : { body }) });
const decide = (body: object, source: SourceId = SOURCE) => asAdmin('PUT', `/v1/auth/providers/${source}`, { clientId: `of-${source}`, clientSecret: SECRET, ...body });

beforeAll(async () => {
  [world, gitlab] = await Promise.all([createIdentityWorld(), startOpenIdProvider()]);
  for (const source of [SOURCE, GONE]) {
    world.sources.push(source);
    world.places.set(source, gitlab.url);
    await world.registerSource(source);
    await gitlab.addClient({ clientId: `of-${source}`, clientSecret: SECRET, redirectUri: redirectUri(source) });
  }
});
afterAll(async () => { await Promise.all([world.stop(), gitlab.stop()]); });
beforeEach(async () => {
  world.at += 20 * 60_000;
  await gitlab.fault({});
  await world.query('delete from identity_grants');
  await decide({ ownAccess: true });
});

interface Row extends OwnGrant { readonly state: string; readonly expires_at: Date }
const rows = (where = 'true') => world.query<Row>(`select ${GRANT}, state, expires_at from identity_grants where ${where} order by kept_at`) as Promise<Row[]>;
const states = async () => (await rows()).map(({ state }) => state);
const tokensOf = (grant: OwnGrant | undefined) => grantedTokens(world.vault, grant!);
const refreshesAsked = async () => (await gitlab.asked()).filter((one) => one['grant_type'] === 'refresh_token').length;

async function person() {
  users += 1;
  const made = await world.signIn(`of-the-grants-${users}`);
  await asAdmin('PUT', `/v1/users/${made.id}/gitlab-users/${SOURCE}`, { gitlabUserId: users });
  // Nothing of theirs stands but what a test says.
  await world.ask('POST', '/v1/auth/logout', { body: { refreshToken: made.refreshToken } });
  return { id: made.id, gitlabUserId: users };
}

async function comeBack(gitlabUserId: number, source: SourceId = SOURCE) {
  const begun = (await world.ask('POST', `/v1/auth/gitlab/${source}`, { body: {} })).body;
  const back = await gitlab.browse(begun.url, gitlabUserId);
  return { handle: begun.handle as string, code: (await world.ask('GET', `${back.pathname}${back.search}`)).body.code as string };
}

async function signInBy(gitlabUserId: number, source: SourceId = SOURCE): Promise<{ accessToken: string; refreshToken: string }> {
  const signedIn = await world.ask('POST', `/v1/auth/gitlab/${source}/session`, { body: await comeBack(gitlabUserId, source) });
  if (signedIn.status !== 200) throw new Error(JSON.stringify(signedIn.body));
  return signedIn.body;
}

/** They go on: whoever is active is turned for. */
const goOn = (refreshToken: string) => world.ask('POST', '/v1/auth/refresh', { body: { refreshToken } });

const provider = () => createOpenIdSignInProvider({ addresses: createAddressGuard({ allowed: ['127.0.0.0/8'] }), now: world.now });
const turnDeps = (by: Pick<SignInProvider, 'turn'> = provider()) => ({
  query: world.query, vault: world.vault, now: world.now, logger: createLogger('silent'), signInProvider: by,
  clientOf: async (source: SourceId) => ({ access: { baseUrl: gitlab.url, caPem: undefined, proxyUrl: undefined, client: undefined, allowAddresses: [] }, clientId: `of-${source}`, clientSecret: SECRET, redirectUri: redirectUri(source), ownAccess: true }),
});

test('people are asked for their own access only where a source says so; what they give is kept when the sign-in is finished, enciphered', async () => {
  const { id, gitlabUserId } = await person();
  await decide({});
  await signInBy(gitlabUserId);
  expect([await states(), (await gitlab.asked()).findLast(({ at }) => at === 'authorize')?.['scope']]).toEqual([[], 'openid']);

  expect((await decide({ ownAccess: true })).body).toMatchObject({ ownAccess: true, grants: { good: 0, over: 0 } });
  const { handle, code } = await comeBack(gitlabUserId);
  expect((await gitlab.asked()).findLast(({ at }) => at === 'authorize')?.['scope']).toBe('openid read_api');
  expect(await states()).toEqual(['waiting']);
  expect((await world.ask('POST', `/v1/auth/gitlab/${SOURCE}/session`, { body: { handle, code } })).status).toBe(200);
  const [grant] = await rows();
  expect(grant).toMatchObject({ state: 'good', sourceId: SOURCE, userId: id, expires_at: new Date(world.at + 2 * HOURS_MS) });
  const tokens = await tokensOf(grant);
  expect(tokens).toEqual({ accessToken: expect.stringMatching(/.{20}/), refreshToken: expect.stringMatching(/.{20}/) });
  const tables = JSON.stringify([await world.query('select * from identity_grants'), await world.query('select s.*, t.* from identity_gitlab_sign_ins s, identity_sign_in_settings t'), await world.query('select * from identity_audit')]);
  for (const secret of Object.values(tokens!)) expect(tables).not.toContain(secret);
  expect((await asAdmin('GET', `/v1/auth/providers/${SOURCE}`)).body).toMatchObject({ grants: { good: 1, over: 0 } });

  // A sign-in that comes later is in place of it; one that nobody finishes is not, and is forgotten.
  await signInBy(gitlabUserId);
  expect([await states(), await tokensOf(grant)]).toEqual([['good'], undefined]);
  await comeBack(gitlabUserId);
  const [, waiting] = await rows();
  expect(waiting).toMatchObject({ state: 'waiting' });
  await sweepGrants(turnDeps());
  expect(await states()).toEqual(['good', 'waiting']);
  world.at += 11 * 60_000;
  await sweepGrants(turnDeps());
  expect([await states(), await tokensOf(waiting)]).toEqual([['good'], undefined]);
});

test('before it ends, active people\'s token is turned once, however many processes see it; of who is not active, when they come back', async () => {
  const [one, idle] = [await person(), await person()];
  const session = await signInBy(one.gitlabUserId);
  const later = await signInBy(idle.gitlabUserId);
  const both = async () => [...await rows(`user_id = '${one.id}'`), ...await rows(`user_id = '${idle.id}'`)];
  const before = await Promise.all((await both()).map(tokensOf));
  const asked = await refreshesAsked();
  world.at += 1 * HOURS_MS;
  await goOn(session.refreshToken);
  await turnGrants(turnDeps());
  expect(await refreshesAsked()).toBe(asked);

  world.at += 55 * 60_000;
  // Nobody has gone on for an hour.
  await turnGrants(turnDeps());
  expect(await refreshesAsked()).toBe(asked);
  await world.query('update identity_refresh_tokens set issued_at = $1 where session_id in (select session_id from identity_sessions where user_id = $2)', [world.now(), one.id]);
  await Promise.all(Array.from({ length: 5 }, () => turnGrants(turnDeps())));
  expect(await refreshesAsked()).toBe(asked + 1);
  const [turned, unturned] = await both();
  expect([turned, unturned]).toMatchObject([{ state: 'good', expires_at: new Date(world.at + 2 * HOURS_MS) }, { state: 'good' }]);
  expect(await tokensOf(turned)).not.toEqual(before[0]);
  expect(await tokensOf(unturned)).toEqual(before[1]);

  // What was turned once can be turned again: the right ones were kept.
  world.at += 110 * 60_000 + 1;
  await goOn(later.refreshToken);
  await world.query('update identity_refresh_tokens set issued_at = $1 where session_id in (select session_id from identity_sessions where user_id = $2)', [world.now(), one.id]);
  await turnGrants(turnDeps());
  expect([await refreshesAsked(), await states()]).toEqual([asked + 3, ['good', 'good']]);
});

test('who is killed between turning and keeping leaves a grant that is over: nobody turns it again, it is said so, and the next sign-in is good', async () => {
  const { gitlabUserId } = await person();
  const session = await signInBy(gitlabUserId);
  const [grant] = await rows();
  world.at += 115 * 60_000;
  await goOn(session.refreshToken);
  await expect(turnGrants(turnDeps({ turn: () => Promise.reject(new Error('killed')) }))).rejects.toThrow('killed');
  expect(await states()).toEqual(['turning']);
  const asked = await refreshesAsked();
  world.at += 119_000;
  await turnGrants(turnDeps());
  expect(await states()).toEqual(['turning']);
  world.at += 2_000;
  await turnGrants(turnDeps());
  expect([await states(), await tokensOf(grant), await refreshesAsked()]).toEqual([['lost'], undefined, asked]);
  expect((await asAdmin('GET', `/v1/auth/providers/${SOURCE}`)).body.grants).toEqual({ good: 0, over: 1 });
  await signInBy(gitlabUserId);
  expect((await asAdmin('GET', `/v1/auth/providers/${SOURCE}`)).body.grants).toEqual({ good: 1, over: 0 });
});

test('one that was stopped for long and goes on keeps what it got; what was forgotten meanwhile stays so', async () => {
  const { id, gitlabUserId } = await person();
  const session = await signInBy(gitlabUserId);
  const [grant] = await rows();
  world.at += 115 * 60_000;
  await goOn(session.refreshToken);
  const slow = (meanwhile: () => Promise<unknown>): Pick<SignInProvider, 'turn'> => ({ turn: async () => { await meanwhile(); return { accessToken: 'next', refreshToken: 'next-r', expiresInSeconds: 60 }; } });
  await turnGrants(turnDeps(slow(async () => { world.at += 121_000; await turnGrants(turnDeps()); expect(await states()).toEqual(['lost']); })));
  expect([await states(), await tokensOf(grant)]).toEqual([['good'], { accessToken: 'next', refreshToken: 'next-r' }]);
  await turnGrants(turnDeps(slow(() => asAdmin('PATCH', `/v1/users/${id}`, { state: 'disabled' }))));
  expect([await states(), await tokensOf(grant)]).toEqual([[], undefined]);
});

test('a GitLab that is away leaves it as it is, and is asked a minute later; one that takes it no longer ends it', async () => {
  const { gitlabUserId } = await person();
  const session = await signInBy(gitlabUserId);
  const [grant] = await rows();
  world.at += 115 * 60_000;
  await goOn(session.refreshToken);
  // Where it signs people in is known from the last five minutes, or not.
  for (const away of ['/oauth/token', true] as const) {
    await gitlab.fault({ away });
    await turnGrants(turnDeps());
    expect([await states(), await tokensOf(grant)]).toEqual([['good'], { accessToken: expect.any(String), refreshToken: expect.any(String) }]);
    await gitlab.fault({});
    const asked = await refreshesAsked();
    await turnGrants(turnDeps());
    expect(await refreshesAsked()).toBe(asked);
    world.at += 60_001;
  }
  // Turned by somebody else, or taken back by the person.
  await provider().turn(await turnDeps().clientOf(SOURCE), (await tokensOf(grant))!.refreshToken);
  await turnGrants(turnDeps());
  expect([await states(), await tokensOf(grant)]).toEqual([['refused'], undefined]);
  const asked = await refreshesAsked();
  world.at += 3_600_000;
  await turnGrants(turnDeps());
  expect(await refreshesAsked()).toBe(asked);
});

test('it is forgotten with the last that stands of theirs: a sign-in, or a personal token', async () => {
  const { gitlabUserId } = await person();
  const [first, second] = [await signInBy(gitlabUserId), await signInBy(gitlabUserId)];
  const grant = (await rows()).at(-1);
  const token = (await world.ask('POST', '/v1/tokens', { token: second.accessToken, body: { name: 'kept by tekai login', scope: 'admin' } })).body;
  for (const { refreshToken } of [first, second]) {
    expect((await world.ask('POST', '/v1/auth/logout', { body: { refreshToken } })).status).toBe(204);
    expect(await states()).toEqual(['good']);
  }
  expect((await world.ask('DELETE', `/v1/tokens/${token.id}`, { token: token.token })).status).toBe(204);
  expect([await states(), await tokensOf(grant)]).toEqual([[], undefined]);
});

test('who signs out for the last time, and has no token, has taken it back with it', async () => {
  const { gitlabUserId } = await person();
  const [first, second] = [await signInBy(gitlabUserId), await signInBy(gitlabUserId)];
  const grant = (await rows()).at(-1);
  const signOut = async ({ refreshToken }: { refreshToken: string }) => expect((await world.ask('POST', '/v1/auth/logout', { body: { refreshToken } })).status).toBe(204);
  await signOut(first);
  expect([await states(), await tokensOf(grant)]).toEqual([['good'], { accessToken: expect.any(String), refreshToken: expect.any(String) }]);
  await signOut(second);
  expect([await states(), await tokensOf(grant)]).toEqual([[], undefined]);
});

test.each<[string, (id: string) => Promise<unknown>]>([
  ['is disabled', (id) => asAdmin('PATCH', `/v1/users/${id}`, { state: 'disabled' })],
  ['is given another password', (id) => asAdmin('POST', `/v1/users/${id}/one-time-password`)],
  ['is erased', (id) => asAdmin('DELETE', `/v1/users/${id}`)],
  ['is nobody in that GitLab any more', (id) => asAdmin('DELETE', `/v1/users/${id}/gitlab-users/${SOURCE}`)],
  ['is somebody else in that GitLab', (id) => asAdmin('PUT', `/v1/users/${id}/gitlab-users/${SOURCE}`, { gitlabUserId: 9_000 + users })],
  ['is not asked for it any more', () => decide({})],
  ['does not sign in by that GitLab any more', () => asAdmin('DELETE', `/v1/auth/providers/${SOURCE}`)],
])('of somebody who %s it is forgotten', async (_what, act) => {
  const { id, gitlabUserId } = await person();
  await signInBy(gitlabUserId);
  const [grant] = await rows();
  expect(await tokensOf(grant)).toBeDefined();
  // Whoever is bound to whom they are already stays so.
  await asAdmin('PUT', `/v1/users/${id}/gitlab-users/${SOURCE}`, { gitlabUserId });
  expect(await states()).toEqual(['good']);
  await act(id);
  expect([await states(), await tokensOf(grant)]).toEqual([[], undefined]);
});

test('of somebody who is given another password it is forgotten, though a personal token of theirs stands', async () => {
  const { id, gitlabUserId } = await person();
  const { accessToken } = await signInBy(gitlabUserId);
  expect((await world.ask('POST', '/v1/tokens', { token: accessToken, body: { name: 'stays', scope: 'admin' } })).status).toBe(201);
  const [grant] = await rows();
  expect((await asAdmin('POST', `/v1/users/${id}/one-time-password`)).status).toBe(200);
  expect([await states(), await tokensOf(grant)]).toEqual([[], undefined]);
});

test('what is over is forgotten though nobody\'s next token is got, and next tokens are got though nothing is forgotten', async () => {
  const [one, other] = [await person(), await person()];
  const session = await signInBy(one.gitlabUserId);
  await comeBack(other.gitlabUserId);
  world.at += 115 * 60_000;
  await goOn(session.refreshToken);
  const care = async (given: Partial<Parameters<typeof careForGrants>[0]>) => {
    const stopping = new AbortController();
    await careForGrants({ ...turnDeps(), log: world.log, store: { sources: async () => [] }, sources: { access: async () => ({ baseUrl: gitlab.url, token: 'of-the-source', caPem: undefined, proxyUrl: undefined, client: undefined, allowAddresses: [] }) }, issuer: 'http://tekai', sleep: async () => stopping.abort(), ...given }, stopping.signal);
  };
  const asked = await refreshesAsked();
  await care({ vault: { get: (name) => world.vault.get(name), put: (name, value) => world.vault.put(name, value), delete: () => Promise.reject(new Error('the vault is away')) } });
  expect([(await states()).sort(), await refreshesAsked()]).toEqual([['good', 'waiting'], asked + 1]);
  await world.query('update identity_grants set expires_at = $1', [world.now()]);
  await care({ signInProvider: { turn: () => Promise.reject(new Error('killed')) } });
  expect(await states()).toEqual(['turning']);
});

test('with the source that was removed all of its grants are forgotten', async () => {
  await decide({ ownAccess: true }, GONE);
  const { id, gitlabUserId } = await person();
  await asAdmin('PUT', `/v1/users/${id}/gitlab-users/${GONE}`, { gitlabUserId });
  await signInBy(gitlabUserId, GONE);
  const [grant] = await rows();
  await world.log.append(sourceStream(GONE), 0, [newFact({ type: 'source.removed', key: GONE, actor: { kind: 'token', id: 'engine' }, correlationId: 'c', causationId: null, time: world.now(), data: { sourceId: GONE, command: { id: 'd', digest: '0'.repeat(64) } } })]);
  const stopping = new AbortController();
  await careForGrants({ query: world.query, vault: world.vault, now: world.now, log: world.log, store: { sources: async () => [] }, sources: { access: async () => undefined }, issuer: 'http://tekai', signInProvider: provider(), logger: createLogger('silent'), sleep: async () => stopping.abort() }, stopping.signal);
  expect([await states(), await tokensOf(grant)]).toEqual([[], undefined]);
});
