import { createServer, request as ask } from 'node:http';
import { pipeline } from 'node:stream';
import { decodeJwt, exportJWK, generateKeyPair, importJWK, SignJWT, UnsecuredJWT } from 'jose';
import Provider from 'oidc-provider';

// A GitLab as far as signing in goes, in a process of its own: `sub` is the number of a user, whom the browser names by login_hint.
// What else is asked of it goes to the simulator that it is started with, which knows the access tokens that are given out here: each
// ends the one before, as a refresh does at GitLab. What it does wrong is said at /_double/fault.

const [, , gitlab, adminToken = ''] = process.argv;
const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
const other = await generateKeyPair('RS256', { extractable: true });
const key = { ...(await exportJWK(privateKey)), kid: 'of-gitlab', use: 'sig' };
const OWN = /^\/(?:oauth|\.well-known|interaction)(?:\/|$)/;

let fault = {};
const asked = [];
const given = [];
const server = createServer((request, response) => void answer(request, response).catch((error) => { response.writeHead(500).end(String(error)); }));
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
const url = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(url, {
  clients: [], jwks: { keys: [key] }, scopes: ['openid', 'read_api'], clientAuthMethods: ['client_secret_post', 'client_secret_basic'],
  pkce: { required: () => true },
  // As GitLab: with each access token, good once.
  issueRefreshToken: () => true, rotateRefreshToken: () => true, ttl: { AccessToken: () => fault.lasts ?? 7_200 },
  routes: { authorization: '/oauth/authorize', token: '/oauth/token', jwks: '/oauth/discovery/keys' },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
  cookies: { keys: ['of-the-double'] },
  findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  async loadExistingGrant({ oidc }) {
    const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid read_api');
    await grant.save();
    return grant;
  },
});

provider.use(async (context, next) => {
  if (context.path === '/oauth/authorize') asked.push({ at: 'authorize', ...context.query });
  await next();
  if (context.path === '/.well-known/openid-configuration' && fault.discovery !== undefined) context.body = { ...context.body, ...fault.discovery };
  if (context.path !== '/oauth/token') return;
  asked.push({ at: 'token', grant_type: context.oidc?.params?.grant_type, hasVerifier: context.oidc?.params?.code_verifier !== undefined });
  if (context.body?.access_token !== undefined) given.push({ accessToken: context.body.access_token, refreshToken: context.body.refresh_token ?? null });
  if (context.body?.access_token !== undefined) await knowToken(context.oidc.account.accountId, context.body);
  if (context.body?.id_token !== undefined) context.body = { ...context.body, id_token: await signed({ ...decodeJwt(context.body.id_token), ...fault.claims }) };
});

const tokenIds = new Map();

/** In the simulator, of whom it knows. */
async function knowToken(user, { access_token: secret, scope, expires_in: expiresInSeconds }) {
  if (gitlab === undefined) return;
  const tell = async (method, path, body) => (await fetch(`${gitlab}/_simulator${path}`, { method, headers: { 'x-simulator-token': adminToken, 'content-type': 'application/json' }, body: JSON.stringify(body) })).json();
  if (tokenIds.has(user)) await tell('PATCH', `/tokens/${tokenIds.get(user)}`, { revoked: true });
  const { id } = await tell('POST', '/tokens', { user, kind: 'oauth', secret, scopes: scope.split(' '), expiresInSeconds });
  tokenIds.set(user, id);
}

async function signed(claims) {
  const said = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null));
  const by = (header, secret) => new SignJWT(said).setProtectedHeader(header).sign(secret);
  switch (fault.signed) {
    case 'none': return new UnsecuredJWT(said).encode();
    case 'HS256 by the client secret': return by({ alg: 'HS256' }, Buffer.from(fault.secret));
    case 'HS256 by the public key': return by({ alg: 'HS256', kid: key.kid }, Buffer.from(JSON.stringify(await exportJWK(publicKey))));
    case 'PS256': return by({ alg: 'PS256', kid: key.kid }, await importJWK(key, 'PS256'));
    case 'another key': return by({ alg: 'RS256', kid: key.kid }, other.privateKey);
    case 'a key that is not told': return by({ alg: 'RS256', kid: 'not-told' }, other.privateKey);
    default: return by({ alg: 'RS256', kid: key.kid }, privateKey);
  }
}

async function answer(request, response) {
  const at = new URL(request.url ?? '/', url);
  if (at.pathname.startsWith('/_double/')) return told(at.pathname, await bodyOf(request), response);
  if (!OWN.test(at.pathname)) return passOn(request, response);
  if (fault.away === true || fault.away === at.pathname) return void response.writeHead(503).end('away');
  if (at.pathname.startsWith('/interaction/')) {
    const { params, prompt } = await provider.interactionDetails(request, response);
    const isDenied = params.login_hint === 'deny';
    await provider.interactionFinished(request, response, isDenied ? { error: 'access_denied', error_description: '<script>no</script>' } : { [prompt.name]: { accountId: String(params.login_hint) } });
    return undefined;
  }
  return provider.callback()(request, response);
}

async function told(where, body, response) {
  if (where === '/_double/clients') await provider.Client.adapter.upsert(body.client_id, { token_endpoint_auth_method: 'client_secret_post', grant_types: ['authorization_code', 'refresh_token'], ...body });
  if (where === '/_double/fault') fault = body;
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(where === '/_double/given' ? given : asked));
}

async function bodyOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return pieces.length === 0 ? {} : JSON.parse(Buffer.concat(pieces).toString());
}

/** Names in answers are built from the Host: it is kept. */
function passOn(request, response) {
  if (gitlab === undefined) return void response.writeHead(404).end();
  const onward = ask(new URL(request.url ?? '/', gitlab), { method: request.method, headers: request.headers }, (reply) => {
    response.writeHead(reply.statusCode ?? 502, reply.headers);
    // What GitLab cuts is cut here too: else whoever asks waits for the rest.
    pipeline(reply, response, () => undefined);
  });
  onward.on('error', () => response.destroy());
  request.pipe(onward);
}

process.on('SIGTERM', () => process.exit(0));
process.stdout.write(`${JSON.stringify({ url })}\n`);
