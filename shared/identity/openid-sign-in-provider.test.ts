import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAddressGuard } from '#shared/addresses/address-guard.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { startOpenIdProvider, type OpenIdFault, type OpenIdProvider } from '#tests/harness/openid-provider.ts';
import { createOpenIdSignInProvider } from './openid-sign-in-provider.ts';
import { SignInFailed, type SignInClient, type SignInProof, type SignInProvider } from './sign-in-provider.ts';

const REDIRECT = 'http://127.0.0.1:9/v1/auth/gitlab/a-source/callback';
const [SECRET, USER] = ['a-secret-of-the-application', 42];
const PROOF: SignInProof = { state: 'a-state-of-this-sign-in', nonce: 'a-nonce-of-this-sign-in', codeVerifier: 'v'.repeat(64) };
const HERE = createAddressGuard({ allowed: ['127.0.0.0/8'] });

let gitlab: OpenIdProvider;
let client: SignInClient;
let ours: SignInProvider;
beforeAll(async () => {
  gitlab = await startOpenIdProvider();
  client = { access: { baseUrl: gitlab.url, caPem: undefined, proxyUrl: undefined, client: undefined, allowAddresses: [] }, clientId: 'tekai', clientSecret: SECRET, redirectUri: REDIRECT, ownAccess: false };
  await gitlab.addClient({ clientId: 'tekai', clientSecret: SECRET, redirectUri: REDIRECT });
});
const servers: Server[] = [];
afterAll(async () => { for (const server of servers) { server.closeAllConnections(); server.close(); } await gitlab.stop(); });
beforeEach(async () => {
  await gitlab.fault({});
  // Nothing is known yet.
  ours = createOpenIdSignInProvider({ addresses: HERE, now: () => new Date('2026-11-30T12:00:00Z') });
});

/** What a browser comes back with. */
const comesBack = async (user: number | 'deny' = USER, proof = PROOF) => (await gitlab.browse(await ours.authorizationUrl(client, proof), user)).searchParams;
const failureOf = (promise: Promise<unknown>) => promise.then((value) => { throw new Error(`it was taken: ${String(value)}`); }, (error: unknown) => error as SignInFailed);

test('who signs in at GitLab is told by their id there; nothing is asked for but that, with PKCE, a state and a nonce', async () => {
  const answer = await comesBack();
  expect(await ours.subjectOf(client, PROOF, answer)).toEqual({ gitlabUserId: USER, tokens: undefined });
  const [authorize, token] = (await gitlab.asked()).slice(-2);
  expect(authorize).toMatchObject({ at: 'authorize', response_type: 'code', scope: 'openid', redirect_uri: REDIRECT, state: PROOF.state, nonce: PROOF.nonce, code_challenge_method: 'S256', code_challenge: expect.stringMatching(/^[\w-]{43}$/) });
  expect(JSON.stringify(authorize)).not.toContain(PROOF.codeVerifier);
  expect(token).toMatchObject({ at: 'token', grant_type: 'authorization_code', hasVerifier: true });
});

test('where a person is asked for their own access too, what comes back can be turned, each once', async () => {
  const own = { ...client, ownAccess: true };
  const { gitlabUserId, tokens } = await ours.subjectOf(own, PROOF, (await gitlab.browse(await ours.authorizationUrl(own, PROOF), USER)).searchParams);
  expect((await gitlab.asked()).findLast(({ at }) => at === 'authorize')).toMatchObject({ scope: 'openid read_api' });
  expect([gitlabUserId, tokens]).toEqual([USER, { accessToken: expect.any(String), refreshToken: expect.any(String), expiresInSeconds: 7_200 }]);
  const next = await ours.turn(own, tokens!.refreshToken);
  expect([next.accessToken, next.refreshToken].some((one) => [tokens!.accessToken, tokens!.refreshToken].includes(one))).toBe(false);
  const again = await failureOf(ours.turn(own, tokens!.refreshToken));
  expect(again).toMatchObject({ failure: 'denied' });
  for (const secret of [tokens!.refreshToken, next.refreshToken, SECRET]) expect(JSON.stringify([again.message, String(again.cause), again.stack])).not.toContain(secret);
  // By another application, and of a GitLab that is away: nothing is known of the token by that.
  expect(await failureOf(ours.turn({ ...own, clientSecret: 'another' }, next.refreshToken))).toMatchObject({ failure: 'client' });
  await gitlab.fault({ away: '/oauth/token' });
  expect(await failureOf(ours.turn(own, next.refreshToken))).toBeInstanceOf(Unavailable);
});

test('what came back for another sign-in is not taken: another state, another nonce, another verifier; nor is a code twice', async () => {
  expect(await failureOf(ours.subjectOf(client, { ...PROOF, state: 'another' }, await comesBack()))).toMatchObject({ failure: 'answer', message: expect.stringContaining('state') });
  expect(await failureOf(ours.subjectOf(client, { ...PROOF, nonce: 'another' }, await comesBack()))).toMatchObject({ failure: 'answer', message: expect.stringContaining('nonce') });
  expect(await failureOf(ours.subjectOf(client, { ...PROOF, codeVerifier: 'w'.repeat(64) }, await comesBack()))).toMatchObject({ failure: 'answer', message: expect.stringContaining('invalid_grant') });
  const answer = await comesBack();
  expect(await ours.subjectOf(client, PROOF, answer)).toEqual({ gitlabUserId: USER, tokens: undefined });
  expect(await failureOf(ours.subjectOf(client, PROOF, answer))).toMatchObject({ failure: 'answer', message: expect.stringContaining('invalid_grant') });
});

test('an answer that another issuer gave the browser is not taken (mix-up)', async () => {
  const answer = await comesBack();
  answer.set('iss', 'https://gitlab.elsewhere.example');
  expect(await failureOf(ours.subjectOf(client, PROOF, answer))).toMatchObject({ failure: 'answer', message: expect.stringContaining('iss') });
});

const NOW_S = () => Math.floor(performance.timeOrigin / 1_000);
test.each<[string, () => OpenIdFault]>([
  ['for another client', () => ({ claims: { aud: 'another' } })],
  ['for us and another', () => ({ claims: { aud: ['tekai', 'another'] } })],
  ['of another issuer', () => ({ claims: { iss: 'https://gitlab.elsewhere.example' } })],
  ['with another nonce', () => ({ claims: { nonce: 'another' } })],
  ['without a nonce', () => ({ claims: { nonce: null } })],
  ['that is over', () => ({ claims: { exp: NOW_S() - 600, iat: NOW_S() - 1_200 } })],
  ['without an end', () => ({ claims: { exp: null } })],
  ['that nobody signed', () => ({ signed: 'none' })],
  ['that nobody signed, of a GitLab that says so', () => ({ signed: 'none', discovery: { id_token_signing_alg_values_supported: ['none', 'RS256'] } })],
  ['signed with our own secret', () => ({ signed: 'HS256 by the client secret', secret: SECRET })],
  ['signed with our own secret, of a GitLab that says so', () => ({ signed: 'HS256 by the client secret', secret: SECRET, discovery: { id_token_signing_alg_values_supported: ['HS256'] } })],
  ['signed with what everybody knows', () => ({ signed: 'HS256 by the public key', discovery: { id_token_signing_alg_values_supported: ['HS256', 'RS256'] } })],
  ['of an algorithm that is not on our list', () => ({ signed: 'PS256', discovery: { id_token_signing_alg_values_supported: ['PS256'] } })],
  ['signed with another key under the name of GitLab\'s', () => ({ signed: 'another key' })],
  ['signed with a key that GitLab does not tell', () => ({ signed: 'a key that is not told' })],
  ['about something that is no user\'s id', () => ({ claims: { sub: 'root' } })],
])('an ID token %s signs nobody in', async (_what, faultOf) => {
  const fault = faultOf();
  await gitlab.fault(fault);
  const error = await failureOf(ours.subjectOf(client, PROOF, await comesBack()));
  expect(error).toBeInstanceOf(SignInFailed);
  expect(['answer', 'set-up']).toContain(error.failure);
  // For the log: no token is in it.
  expect(error.message).not.toMatch(/eyJ|a-secret/);
});

test('who does not want to is told from a GitLab that does not know us, and from one that is away', async () => {
  expect(await failureOf(ours.subjectOf(client, PROOF, await comesBack('deny')))).toMatchObject({ failure: 'denied', message: expect.not.stringContaining('<script>') });
  const answer = await comesBack();
  expect(await failureOf(ours.subjectOf({ ...client, clientSecret: 'another' }, PROOF, answer))).toMatchObject({ failure: 'client' });
  await gitlab.fault({ away: '/oauth/token' });
  expect(await failureOf(ours.subjectOf(client, PROOF, await comesBack()))).toBeInstanceOf(Unavailable);
  await gitlab.fault({ away: true });
  const fresh = createOpenIdSignInProvider({ addresses: HERE, now: () => new Date(0) });
  expect(await failureOf(fresh.authorizationUrl(client, PROOF))).toBeInstanceOf(Unavailable);
});

test.each<[string, Record<string, unknown>]>([
  ['says that it is another', { issuer: 'https://gitlab.elsewhere.example' }],
  ['has the secret sent elsewhere', { token_endpoint: 'http://127.0.0.1:9/oauth/token' }],
  ['has its keys elsewhere', { jwks_uri: 'http://169.254.169.254/keys' }],
  ['sends browsers elsewhere', { authorization_endpoint: 'javascript:alert(1)' }],
])('a GitLab that %s is not used', async (_what, discovery) => {
  await gitlab.fault({ discovery });
  expect(await failureOf(ours.authorizationUrl(client, PROOF))).toMatchObject({ name: 'SignInFailed', failure: expect.stringMatching(/set-up|answer/) });
});

test('where a source may not be, nobody is asked who somebody is; and no redirect is followed', async () => {
  const guarded = createOpenIdSignInProvider({ addresses: createAddressGuard({ allowed: [] }), now: () => new Date(0) });
  expect(await failureOf(guarded.authorizationUrl(client, PROOF))).toMatchObject({ failure: 'set-up', message: expect.stringContaining('is this machine itself') });
  const asked = (await gitlab.asked()).length;
  const elsewhere = await serving((_request, response) => response.writeHead(302, { location: `${gitlab.url}/.well-known/openid-configuration` }).end());
  expect(await failureOf(ours.authorizationUrl({ ...client, access: { ...client.access, baseUrl: elsewhere } }, PROOF))).toMatchObject({ failure: 'set-up' });
  expect(await gitlab.asked()).toHaveLength(asked);
});

test('an answer that does not end is not read to its end', async () => {
  const endless = await serving((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const more = () => { while (response.write(' '.repeat(65_536)) && !response.destroyed); };
    response.on('drain', more);
    more();
  });
  expect(await failureOf(ours.authorizationUrl({ ...client, access: { ...client.access, baseUrl: endless } }, PROOF))).toMatchObject({ failure: 'set-up', message: expect.stringContaining('1048576 bytes') });
});

async function serving(handler: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
