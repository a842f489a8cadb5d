import type { SourceId } from '#schemas/brand.ts';
import { peopleStream } from '#schemas/ids.ts';
import { createIdentityWorld, ENGINE_TOKEN, type IdentityWorld } from './identity-world.fixture.ts';
import { turnKeys } from './keys.ts';

let world: IdentityWorld;
beforeAll(async () => { world = await createIdentityWorld(); });
afterAll(() => world.stop());
// Nobody is told off for what another test did.
beforeEach(() => { world.at += 20 * 60_000; });

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const whoami = (token: string) => world.ask('GET', '/v1/whoami', { token });
const login = (body: object) => world.ask('POST', '/v1/auth/login', { body });

test('the first admin is made at the first start, its password told once; it is good once, and for choosing another', async () => {
  const [announced = ''] = world.announced;
  const [, password] = /one-time password (\S+)/.exec(announced) ?? [];
  await world.startAgain();
  expect(world.announced).toHaveLength(1);
  expect(await login({ name: 'admin', password })).toMatchObject({ status: 403, body: { code: 'password-to-be-chosen' } });
  expect(await login({ name: 'admin', password, newPassword: 'short' })).toMatchObject({ status: 422 });
  expect(await login({ name: 'admin', password, newPassword: 'this is of the admin' })).toMatchObject({ status: 422, body: { code: 'password-too-like' } });
  expect(await login({ name: 'admin', password, newPassword: '123qweasdzxc' })).toMatchObject({ status: 422, body: { code: 'password-too-easy', errors: [{ pointer: '/newPassword' }] } });
  // At the same time, as somebody who read it over a shoulder would.
  const both = await Promise.all(['one person chose this', 'another chose this one'].map((newPassword) => login({ name: 'admin', password, newPassword })));
  expect(both.map(({ status }) => status).sort()).toEqual([200, 401]);
  const won = both.find(({ status }) => status === 200);
  expect((await whoami(won?.body.accessToken)).body).toEqual({ kind: 'session', user: { id: expect.any(String), name: 'admin' }, isSystemAdmin: true, scope: 'admin' });
  expect((await login({ name: 'admin', password, newPassword: 'once more with feeling' })).status).toBe(401);
});

test('nobody learns who there is: the same answer to an unknown name, a wrong password, somebody disabled and a password that is over', async () => {
  const ann = await world.signIn('ann');
  const late = await world.ask('POST', '/v1/users', { token: ENGINE_TOKEN, body: { name: 'late' } });
  const off = await world.signIn('off');
  await world.ask('PATCH', `/v1/users/${off.id}`, { token: ENGINE_TOKEN, body: { state: 'disabled' } });
  world.at += 8 * DAY_MS;
  const answers = [
    await login({ name: 'nobody', password: ann.password }), await login({ name: 'ann', password: 'wrong' }), await login({ name: 'off', password: off.password }),
    await login({ name: 'late', password: late.body.oneTimePassword, newPassword: 'long enough for anybody' }), await login({ name: 'ann; drop table', password: 'x' }),
  ];
  const shown = answers.map(({ status, headers, body }) => ({ status, headers: [...headers.keys()].sort(), body: { ...body, instance: '' } }));
  for (const one of shown) expect(one).toEqual(shown[0]);
  expect(shown[0]).toMatchObject({ status: 401, body: { code: 'sign-in-refused' } });
  expect((await login({ name: 'ann', password: ann.password })).status).toBe(200);
});

test('ten wrong guesses of a name close it for a quarter of an hour, also to the right password, and likewise a name that nobody has', async () => {
  const bob = await world.signIn('bob');
  for (const name of ['bob', 'not-there']) {
    const answers = await Promise.all(Array.from({ length: 14 }, (_, index) => login({ name, password: `guess ${index}` })));
    expect(answers.filter(({ status }) => status === 401).length).toBe(10);
    expect(answers.find(({ status }) => status === 429)).toMatchObject({ body: { code: 'too-many-guesses' } });
    world.at += MINUTE_MS + 1;
  }
  expect(await login({ name: 'bob', password: bob.password })).toMatchObject({ status: 429 });
  world.at += 15 * MINUTE_MS;
  expect((await login({ name: 'bob', password: bob.password })).status).toBe(200);
});

test('an address that tries one name after the other is told to wait, whatever it says of where it comes from; others behind the same proxy are not', async () => {
  const answers = [];
  // No password is looked at: what is refused for its form costs nothing, and counts all the same.
  const tryFrom = (address: string, index = 0) => world.ask('POST', '/v1/auth/refresh', { through: `198.51.100.${index}, ${address}`, body: { refreshToken: `made-up-${index}` } });
  for (let index = 0; index < 61; index += 1) answers.push(await tryFrom('203.0.113.9', index));
  expect(answers.map(({ status }) => status)).toEqual([...Array.from({ length: 60 }, () => 401), 429]);
  expect(answers.at(-1)?.headers.get('retry-after')).toMatch(/^\d+$/);
  expect((await tryFrom('203.0.113.8')).status).toBe(401);
});

test('a refresh token is good once; one that comes a second time ends the whole sign-in, and its access tokens within two seconds', async () => {
  const eve = await world.signIn('eve');
  const next = await world.ask('POST', '/v1/auth/refresh', { body: { refreshToken: eve.refreshToken } });
  expect((await whoami(next.body.accessToken)).status).toBe(200);
  expect(await world.ask('POST', '/v1/auth/refresh', { body: { refreshToken: eve.refreshToken } })).toMatchObject({ status: 401, body: { code: 'refresh-refused' } });
  expect((await world.ask('POST', '/v1/auth/refresh', { body: { refreshToken: next.body.refreshToken } })).status).toBe(401);
  world.at += 2_001;
  for (const token of [eve.accessToken, next.body.accessToken]) expect((await whoami(token)).status).toBe(401);
});

test('who signs out, is disabled, changes the password, or whose password is reset, is out within two seconds', async () => {
  const ways: Record<string, (one: Awaited<ReturnType<IdentityWorld['signIn']>>) => Promise<{ status: number }>> = {
    out: ({ refreshToken }) => world.ask('POST', '/v1/auth/logout', { body: { refreshToken } }),
    disabled: ({ id }) => world.ask('PATCH', `/v1/users/${id}`, { token: ENGINE_TOKEN, body: { state: 'disabled' } }),
    changed: ({ accessToken, password }) => world.ask('POST', '/v1/auth/password', { token: accessToken, body: { password, newPassword: 'quite another one, and long' } }),
    reset: ({ id }) => world.ask('POST', `/v1/users/${id}/one-time-password`, { token: ENGINE_TOKEN }),
    erased: ({ id }) => world.ask('DELETE', `/v1/users/${id}`, { token: ENGINE_TOKEN }),
  };
  for (const [name, way] of Object.entries(ways)) {
    const one = await world.signIn(`leaving-${name}`);
    expect((await whoami(one.accessToken)).status).toBe(200);
    expect([name, (await way(one)).status < 300]).toEqual([name, true]);
    world.at += 2_001;
    expect([name, (await whoami(one.accessToken)).status, (await world.ask('POST', '/v1/auth/refresh', { body: { refreshToken: one.refreshToken } })).status]).toEqual([name, 401, 401]);
  }
});

test('an access token is over after ten minutes; who asks for a socket by it goes no further either', async () => {
  const { accessToken } = await world.signIn('tim');
  const principal = await world.access.principalOf(accessToken);
  expect(principal && await world.access.recheck(principal)).toMatchObject({ actor: { kind: 'user' } });
  world.at += 606_000;
  expect((await whoami(accessToken)).status).toBe(401);
  expect(principal && await world.access.recheck(principal)).toBeUndefined();
});

test('keys are told long before they sign; what the last one signed stays good, and what is too old is gone', async () => {
  const shown = async () => (await world.ask('GET', '/.well-known/jwks.json')).body.keys as Record<string, string>[];
  const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid as string;
  const before = await shown();
  expect(before).toHaveLength(2);
  for (const key of before) expect(key).toEqual({ kty: 'OKP', crv: 'Ed25519', x: expect.any(String), kid: expect.any(String), alg: 'EdDSA', use: 'sig' });
  const first = kidOf((await world.signIn('kim')).accessToken);
  world.at += 31 * DAY_MS;
  const { accessToken } = await world.signIn('kai');
  await Promise.all([turnKeys(world), turnKeys(world), turnKeys(world)]);
  expect((await whoami(accessToken)).status).toBe(200);
  const second = kidOf((await world.signIn('kit')).accessToken);
  expect([second !== first, before.some(({ kid }) => kid === second), (await shown()).length]).toEqual([true, true, 3]);
  world.at += DAY_MS + 1;
  await turnKeys(world);
  expect((await shown()).map(({ kid }) => kid)).not.toContain(first);
  expect(await world.vault.get(`identity-key/${first}`)).toBeUndefined();
});

test('a personal token is shown once, kept as a digest, does what it was made for, tells when it was used, and ends', async () => {
  const { accessToken } = await world.signIn('pat');
  const made = await world.ask('POST', '/v1/tokens', { token: accessToken, body: { name: 'ci', scope: 'read', expiresInDays: 2 } });
  expect(made).toMatchObject({ status: 201, body: { name: 'ci', scope: 'read', token: expect.stringMatching(/^tekai_pat_[A-Za-z0-9_-]{43}$/), lastUsedAt: null } });
  const { token, id } = made.body;
  expect(JSON.stringify((await world.query('select * from identity_tokens')).map((row) => ({ ...row, hash: (row['hash'] as Buffer).toString('latin1') })))).not.toContain(token.slice(10));
  expect((await whoami(token)).body).toMatchObject({ kind: 'personal-token', scope: 'read', user: { name: 'pat' } });
  const listed = await world.ask('GET', '/v1/tokens', { token: accessToken });
  expect(listed.body.tokens).toEqual([{ ...made.body, token: undefined, lastUsedAt: world.now().toISOString() }]);
  expect(JSON.stringify(listed.body)).not.toContain('tekai_pat_');
  // It makes no other, and changes nothing.
  expect(await world.ask('POST', '/v1/tokens', { token, body: { name: 'more' } })).toMatchObject({ status: 403, body: { code: 'scope-too-small' } });
  const writing = (await world.ask('POST', '/v1/tokens', { token: accessToken, body: { name: 'w', scope: 'admin' } })).body.token;
  expect(await world.ask('POST', '/v1/tokens', { token: writing, body: { name: 'more' } })).toMatchObject({ status: 403, body: { code: 'sign-in-needed' } });
  expect((await world.ask('GET', '/v1/users', { token: writing })).status).toBe(403);
  // Another's cannot be revoked; one's own can.
  const other = await world.signIn('ota');
  expect((await world.ask('DELETE', `/v1/tokens/${id}`, { token: other.accessToken })).status).toBe(404);
  world.at += 2 * DAY_MS;
  expect((await whoami(token)).status).toBe(401);
  expect((await whoami(writing)).status).toBe(200);
  await world.query('update identity_tokens set revoked_at = now() where name = $1', ['w']);
  world.at += 2_001;
  expect((await whoami(writing)).status).toBe(401);
});

test('a ticket opens one socket, within thirty seconds; only who signed in gets one', async () => {
  const { accessToken } = await world.signIn('wes');
  const make = async () => (await world.ask('POST', '/v1/auth/tickets', { token: accessToken })).body.ticket as string;
  const ticket = await make();
  // It is no token: nothing but a socket takes it.
  expect((await whoami(ticket)).status).toBe(401);
  const uses = await Promise.all([1, 2, 3].map(() => world.access.redeem(ticket)));
  expect(uses.filter((one) => one !== undefined)).toHaveLength(1);
  const late = await make();
  world.at += 30_001;
  expect(await world.access.redeem(late)).toBeUndefined();
  expect((await world.ask('POST', '/v1/auth/tickets', { token: ENGINE_TOKEN })).status).toBe(403);
});

test('who is no system admin manages nobody; who was made one does within two seconds', async () => {
  const mia = await world.signIn('mia');
  for (const [method, path] of [['GET', '/v1/users'], ['POST', '/v1/users'], ['PATCH', `/v1/users/${mia.id}`], ['DELETE', `/v1/users/${mia.id}`], ['POST', `/v1/users/${mia.id}/one-time-password`]] as const) {
    expect([method, path, (await world.ask(method, path, { token: mia.accessToken, ...(method === 'GET' ? {} : { body: {} }) })).status]).toEqual([method, path, 403]);
  }
  await world.ask('PATCH', `/v1/users/${mia.id}`, { token: ENGINE_TOKEN, body: { isSystemAdmin: true } });
  world.at += 2_001;
  const { body } = await world.ask('GET', '/v1/users', { token: mia.accessToken });
  expect(body.users).toEqual(expect.arrayContaining([{ id: mia.id, name: 'mia', isSystemAdmin: true, state: 'active', hasOneTimePassword: false, createdAt: expect.any(String) }]));
  expect(JSON.stringify(body)).not.toContain('argon2');
  expect(await world.ask('POST', '/v1/users', { token: mia.accessToken, body: { name: 'mia' } })).toMatchObject({ status: 409, body: { code: 'name-taken' } });
});

test('the engine\'s own token is nobody\'s: it is a system admin, and has no tokens of its own', async () => {
  expect((await whoami(ENGINE_TOKEN)).body).toEqual({ kind: 'engine-token', user: null, isSystemAdmin: true, scope: 'admin' });
  expect((await world.ask('GET', '/v1/tokens', { token: ENGINE_TOKEN })).status).toBe(403);
});

test('somebody is one user of a GitLab, and that user nobody else; who is erased is bound to nobody', async () => {
  const source = '0ab19f44-4630-534f-80cf-e4eda4f9fe64' as SourceId;
  world.sources.push(source);
  await world.registerSource(source);
  const [one, other] = [await world.signIn('bound'), await world.signIn('also-bound')];
  const at = (id: string) => `/v1/users/${id}/gitlab-users`;
  const bind = (id: string, gitlabUserId: unknown) => world.ask('PUT', `${at(id)}/${source}`, { token: ENGINE_TOKEN, body: { gitlabUserId } });
  expect(await bind(one.id, 7)).toMatchObject({ status: 200, body: { gitlabUsers: [{ sourceId: source, gitlabUserId: 7 }] } });
  expect((await bind(one.id, 8)).body).toEqual({ gitlabUsers: [{ sourceId: source, gitlabUserId: 8 }] });
  expect(await bind(other.id, 8)).toMatchObject({ status: 409, body: { code: 'gitlab-user-bound' } });
  expect((await bind(other.id, 7)).status).toBe(200);
  expect([(await bind(other.id, 0)).status, (await bind('nobody', 9)).status, (await world.ask('PUT', `${at(one.id)}/x`, { token: ENGINE_TOKEN, body: { gitlabUserId: 9 } })).status]).toEqual([422, 404, 404]);
  // Nobody says it of themselves.
  expect((await world.ask('PUT', `${at(one.id)}/${source}`, { token: one.accessToken, body: { gitlabUserId: 99 } })).status).toBe(403);
  await world.ask('DELETE', `/v1/users/${one.id}`, { token: ENGINE_TOKEN });
  expect((await bind(other.id, 8)).status).toBe(200);
  expect((await world.ask('DELETE', `${at(other.id)}/${source}`, { token: ENGINE_TOKEN })).body).toEqual({ gitlabUsers: [] });
  expect((await world.ask('DELETE', `${at(other.id)}/${source}`, { token: ENGINE_TOKEN })).status).toBe(200);
  const told = (await world.log.readStream(peopleStream(source), { limit: 100 })).map(({ type, key, actor, data }) => [type, key, actor.kind, (data as { gitlabUserId: number }).gitlabUserId]);
  expect(told).toEqual([
    ['user.gitlab-bound', one.id, 'token', 7], ['user.gitlab-bound', one.id, 'token', 8], ['user.gitlab-bound', other.id, 'token', 7],
    ['user.gitlab-unbound', one.id, 'token', 8], ['user.gitlab-bound', other.id, 'token', 8], ['user.gitlab-unbound', other.id, 'token', 8],
  ]);
});
