import { createAuditNotes } from '#shared/audit/audit-notes.ts';
import { createPostgresAuditEntries } from '#shared/audit/postgres-audit-entries.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import { createIdentityWorld, ENGINE_TOKEN, type IdentityWorld } from './identity-world.fixture.ts';
import { sweepAudit } from './recording.ts';

let world: IdentityWorld;
beforeAll(async () => { world = await createIdentityWorld(); });
afterAll(() => world.stop());
beforeEach(() => { world.at += 20 * 60_000; });

const DAY_MS = 86_400_000;
const entries = () => createPostgresAuditEntries({ query: world.query });
const oldestFirst = async (filter: { actor?: string; target?: string; acts?: string[] } = {}) => {
  await world.auditNotes.written();
  return (await entries().list({ ...filter, limit: 1_000 })).toReversed();
};
const asAdmin = (method: string, path: string, body?: unknown) => world.ask(method, path, { token: ENGINE_TOKEN, ...(body === undefined ? {} : { body }) });

test('what is done to users, passwords and tokens is an entry each, with who did it and about whom', async () => {
  const first = (await oldestFirst({ acts: ['user-made'] }))[0];
  expect(first).toMatchObject({ actor: { kind: 'engine', id: null } });
  const ann = await world.signIn('ann', { isSystemAdmin: true });
  const token = (await world.ask('POST', '/v1/tokens', { token: ann.accessToken, body: { name: 'ci', scope: 'read' } })).body;
  await world.ask('DELETE', `/v1/tokens/${token.id}`, { token: ann.accessToken });
  await asAdmin('PATCH', `/v1/users/${ann.id}`, { isSystemAdmin: false, state: 'disabled' });
  await asAdmin('PATCH', `/v1/users/${ann.id}`, { state: 'active' });
  await asAdmin('POST', `/v1/users/${ann.id}/one-time-password`);
  const engine = 'first-token';
  expect((await oldestFirst({ target: ann.id })).map(({ act, actor }) => [act, actor.id])).toEqual([
    ['user-made', engine], ['user-admin-given', engine], ['password-changed', ann.id], ['user-admin-taken', engine], ['user-disabled', engine], ['user-enabled', engine], ['password-reset', engine],
  ]);
  expect((await oldestFirst({ actor: ann.id })).map(({ act, target, address }) => [act, target, address])).toEqual([
    ['password-changed', ann.id, '127.0.0.1'], ['signed-in', expect.any(String), '127.0.0.1'], ['token-made', token.id, '127.0.0.1'], ['token-revoked', token.id, '127.0.0.1'],
  ]);
});

test('a change that does not happen leaves no entry, and without its entry no change happens', async () => {
  const before = (await oldestFirst()).length;
  await asAdmin('POST', '/v1/users', { name: 'admin' });
  await asAdmin('PATCH', '/v1/users/00000000-0000-4000-8000-000000000000', { state: 'disabled' });
  expect(await oldestFirst()).toHaveLength(before);
  await world.query('alter table identity_audit rename to identity_audit_away');
  const made = await asAdmin('POST', '/v1/users', { name: 'unseen' });
  await world.query('alter table identity_audit_away rename to identity_audit');
  expect(made.status).toBe(500);
  expect(await world.query('select from identity_users where name = $1', ['unseen'])).toEqual([]);
});

test('sign-ins are entries: good ones with who, wrong ones with whose name it was, locked ones, and one whose refresh token came twice; no name and no password is in any', async () => {
  const eve = await world.signIn('eve-with-a-name');
  for (let index = 0; index < 12; index += 1) await world.ask('POST', '/v1/auth/login', { body: { name: 'eve-with-a-name', password: `a wrong word ${index}` } });
  await world.ask('POST', '/v1/auth/login', { body: { name: 'a password typed as a name', password: 'x' } });
  await world.ask('POST', '/v1/auth/refresh', { body: { refreshToken: eve.refreshToken } });
  await world.ask('POST', '/v1/auth/refresh', { body: { refreshToken: eve.refreshToken } });
  const found = await oldestFirst();
  expect(found.filter(({ act, target }) => act === 'sign-in-refused' && target === eve.id)).toMatchObject([{ actor: { kind: 'nobody', id: null }, code: 'sign-in-refused', count: 10, address: '127.0.0.1' }]);
  expect(found.find(({ act, code }) => act === 'sign-in-locked' && code === 'too-many-guesses')).toMatchObject({ count: 2 });
  expect(found.find(({ act, target }) => act === 'sign-in-ended' && target === eve.id)).toMatchObject({ actor: { kind: 'nobody' } });
  expect(JSON.stringify(found)).not.toMatch(/eve-with|wrong word|typed as/);
});

test('who is refused is an entry: by a token that was theirs once, by what they may not do, or as nobody', async () => {
  const tim = await world.signIn('tim');
  const token = (await world.ask('POST', '/v1/tokens', { token: tim.accessToken, body: { name: 'x' } })).body;
  expect((await world.ask('GET', '/v1/users', { token: tim.accessToken })).status).toBe(403);
  const project = '00000000-0000-4000-8000-00000000000a';
  expect((await world.ask('GET', `/v1/projects/${project}`, { token: tim.accessToken })).status).toBe(404);
  await world.ask('DELETE', `/v1/tokens/${token.id}`, { token: tim.accessToken });
  world.at += 3 * DAY_MS;
  for (const one of [tim.accessToken, token.token, 'made-up-token', `${tim.accessToken.slice(0, -3)}abc`]) expect((await world.ask('GET', '/v1/whoami', { token: one })).status).toBe(401);
  const refused = (await oldestFirst({ acts: ['request-refused'] })).filter(({ actor, route }) => actor.id === tim.id || route === 'GET /v1/whoami');
  expect(refused.map(({ actor, route, code, target, count }) => [actor.id, route, code, target, count])).toEqual([
    [tim.id, 'GET /v1/users', 'not-allowed', null, 1],
    [tim.id, 'GET /v1/projects/:id', 'project-unknown', project, 1],
    [tim.id, 'GET /v1/whoami', 'not-authenticated', null, 2], [null, 'GET /v1/whoami', 'not-authenticated', null, 2],
  ]);
});

test('of who is erased entries keep the id, and neither name nor address', async () => {
  const gone = await world.signIn('gone-by-name');
  await world.ask('POST', '/v1/auth/login', { body: { name: 'gone-by-name', password: 'wrong' }, through: '203.0.113.77' });
  await world.auditNotes.written();
  await asAdmin('DELETE', `/v1/users/${gone.id}`);
  const found = await oldestFirst();
  const theirs = found.filter(({ actor, target }) => actor.id === gone.id || target === gone.id);
  expect(theirs.map(({ act }) => act)).toEqual(['user-made', 'password-changed', 'signed-in', 'sign-in-refused', 'user-erased']);
  expect(theirs.filter(({ act }) => act !== 'user-erased').map(({ address }) => address)).toEqual([null, null, null, null]);
  expect(JSON.stringify(found)).not.toMatch(/gone-by-name|203\.0\.113\.77/);
});

test('acts are kept for a year and a day, refusals for ninety days', async () => {
  const acts = async () => new Set((await oldestFirst()).map(({ act }) => act));
  const care = () => sweepAudit({ query: world.query, now: world.now });
  world.at += 89 * DAY_MS;
  await care();
  expect(await acts()).toEqual(new Set([...(await acts()), 'request-refused', 'user-made']));
  world.at += 2 * DAY_MS;
  await care();
  expect((await acts()).has('request-refused')).toBe(false);
  expect((await acts()).has('user-made')).toBe(true);
  world.at += 276 * DAY_MS;
  await care();
  expect(await acts()).toEqual(new Set());
});

test('the same of one minute, seen by two processes, is one entry', async () => {
  const one = { actor: { kind: 'nobody' as const, id: null }, address: '192.0.2.1', act: 'request-refused', target: null, route: 'GET /', code: 'x' };
  for (let process = 0; process < 2; process += 1) {
    const notes = createAuditNotes({ entries: entries(), logger: createLogger('silent'), metrics: createMetrics(), now: world.now, sleep: (_ms, signal) => new Promise((resolve) => { signal.addEventListener('abort', () => resolve()); }) });
    notes.note(one);
    await notes.stop();
  }
  expect((await entries().list({ limit: 10 })).filter(({ address }) => address === '192.0.2.1')).toMatchObject([{ count: 2 }]);
});
