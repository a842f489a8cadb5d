import { decodeProtectedHeader } from 'jose';
import { allowInsecureRequests, AuthorizationResponseError, authorizationCodeGrant, buildAuthorizationUrl, calculatePKCECodeChallenge, ClientSecretPost, customFetch, discovery, enableNonRepudiationChecks, refreshTokenGrant, ResponseBodyError, WWWAuthenticateChallengeError, type Configuration, type CustomFetch, type TokenEndpointResponse } from 'openid-client';
import { fetch as fetchBy, type Dispatcher } from 'undici';
import { AddressRefused, type AddressGuard } from '#shared/addresses/address-guard.ts';
import { createSourceDispatcher } from '#shared/gitlab/source-dispatcher.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { SignInFailed, type OwnTokens, type SignInClient, type SignInProvider } from './sign-in-provider.ts';

/** Somebody waits in a browser. */
const BOUNDS = { connectMs: 5_000, idleMs: 10_000 } as const;
const ANSWER_SECONDS_MAX = 15;
/** What GitLab answers here has some kilobytes. */
const ANSWER_BYTES_MAX = 1_048_576;
/** So that who begins sign-ins and ends none asks GitLab nothing by it. */
const KNOWN_MS = 300_000;
/** More GitLabs than anybody connects. */
const KNOWN_MAX = 100;
/** Signed by a private key, and by nothing that somebody else has too. GitLab signs with RS256. */
const ALGORITHMS = new Set(['RS256', 'ES256', 'EdDSA', 'Ed25519']);
/** Nothing of GitLab may be read with it. */
const SCOPE = 'openid';
/** There is none that shows projects and no code: what else it could read is never asked for. */
const OWN_ACCESS_SCOPE = 'read_api';
/** GitLab's, where it does not say. */
const ACCESS_TOKEN_SECONDS = 7_200;

export interface OpenIdOptions { readonly addresses: AddressGuard; now(): Date }

interface Known { readonly said: string; readonly until: number; readonly configuration: Promise<Configuration> }

/** By openid-client, over connections that go nowhere but where a source's may. */
export function createOpenIdSignInProvider({ addresses, now }: OpenIdOptions): SignInProvider {
  const known = new Map<string, Known>();

  /** Who asks at the same time asks once. Connections that nobody uses any more close by themselves. */
  function configurationOf(client: SignInClient): Promise<Configuration> {
    const [key, said] = [client.redirectUri, JSON.stringify(client)];
    const before = known.get(key);
    if (before?.said === said && before.until > now().getTime()) return before.configuration;
    const configuration = discovered(client, createSourceDispatcher({ ...client.access, token: '' }, BOUNDS, addresses));
    const found = { said, until: now().getTime() + KNOWN_MS, configuration };
    known.delete(key);
    known.set(key, found);
    const [oldest] = known.keys();
    if (known.size > KNOWN_MAX && oldest !== undefined) known.delete(oldest);
    // What could not be found is asked for again.
    configuration.catch(() => { if (known.get(key) === found) known.delete(key); });
    return configuration;
  }

  return {
    authorizationUrl: (client, { state, nonce, codeVerifier }) => explained(client, async () => buildAuthorizationUrl(await configurationOf(client), {
      response_type: 'code', redirect_uri: client.redirectUri, scope: scopeOf(client), state, nonce, code_challenge: await calculatePKCECodeChallenge(codeVerifier), code_challenge_method: 'S256',
    })),

    subjectOf: (client, { state, nonce, codeVerifier }, answer) => explained(client, async () => {
      const configuration = await configurationOf(client);
      const tokens = await authorizationCodeGrant(configuration, new URL(`${client.redirectUri}?${answer}`), { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: codeVerifier, idTokenExpected: true });
      const { alg = 'none' } = decodeProtectedHeader(tokens.id_token ?? '');
      if (!ALGORITHMS.has(alg)) throw new SignInFailed('answer', `the ID token is signed by ${alg}, which is not taken`);
      const subject = tokens.claims()?.sub ?? '';
      if (!/^[1-9]\d{0,14}$/.test(subject)) throw new SignInFailed('set-up', 'the ID token names its subject by something that is no id of a GitLab user');
      return { gitlabUserId: Number(subject), tokens: client.ownAccess ? ownTokens(tokens) : undefined };
    }),

    turn: (client, refreshToken) => explained(client, async () => {
      const tokens = await refreshTokenGrant(await configurationOf(client), refreshToken).catch((error: unknown) => {
        throw inCauses(error, ResponseBodyError)?.error === 'invalid_grant' ? new SignInFailed('denied', `${new URL(client.access.baseUrl).origin} takes this refresh token no longer`) : error;
      });
      const turned = ownTokens(tokens);
      if (turned === undefined) throw new SignInFailed('denied', `${new URL(client.access.baseUrl).origin} gives no token to go on with`);
      return turned;
    }),
  };
}

const scopeOf = ({ ownAccess }: SignInClient) => (ownAccess ? `${SCOPE} ${OWN_ACCESS_SCOPE}` : SCOPE);

/** Of what was given: where GitLab does not name the scopes, they are those that were asked for. */
function ownTokens({ access_token: accessToken, refresh_token: refreshToken, scope = OWN_ACCESS_SCOPE, expires_in: expiresInSeconds = ACCESS_TOKEN_SECONDS }: TokenEndpointResponse): OwnTokens | undefined {
  if (refreshToken === undefined || !scope.split(' ').includes(OWN_ACCESS_SCOPE)) return undefined;
  return { accessToken, refreshToken, expiresInSeconds };
}

/** @throws SignInFailed when it names another issuer, or places of another origin: then a secret of ours would go where nobody sent it */
async function discovered({ access, clientId, clientSecret }: SignInClient, dispatcher: Dispatcher): Promise<Configuration> {
  const issuer = new URL(access.baseUrl);
  // As the token of the source goes there: over http only where its URL says so.
  const configuration = await discovery(issuer, clientId, undefined, ClientSecretPost(clientSecret), {
    timeout: ANSWER_SECONDS_MAX, [customFetch]: fetchThrough(dispatcher, issuer), execute: [enableNonRepudiationChecks, ...(issuer.protocol === 'http:' ? [allowInsecureRequests] : [])],
  });
  const { authorization_endpoint: authorization, token_endpoint: token, jwks_uri: keys } = configuration.serverMetadata();
  for (const place of [authorization, token, keys]) {
    if (place === undefined || !URL.canParse(place) || new URL(place).origin !== issuer.origin) throw new SignInFailed('set-up', `${issuer.origin} names a place of its own that is not at ${issuer.origin}`);
  }
  return configuration;
}

/** Of a silent, failing or endless GitLab nothing is waited for that is not bounded. */
function fetchThrough(dispatcher: Dispatcher, { origin }: URL): CustomFetch {
  return async (url, { method, headers, body, redirect, signal }) => {
    const away = (cause: unknown): never => { throw inCauses(cause, AddressRefused) ?? new Unavailable(`gitlab ${origin}`, 'it does not answer', { cause }); };
    const answer = await fetchBy(url, { method, headers, redirect, dispatcher, ...(body === undefined || body === null ? {} : { body: body as string | URLSearchParams }), ...(signal === undefined ? {} : { signal }) }).catch(away);
    if (answer.status >= 500 || answer.status === 429) {
      await answer.body?.cancel();
      throw new Unavailable(`gitlab ${origin}`, `it answers ${answer.status}`);
    }
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    const read = async () => { for await (const piece of answer.body ?? []) { bytes += piece.byteLength; if (bytes > ANSWER_BYTES_MAX) return; pieces.push(piece); } };
    await read().catch(away);
    if (bytes > ANSWER_BYTES_MAX) throw new SignInFailed('set-up', `${origin} answers more than ${ANSWER_BYTES_MAX} bytes`);
    return new Response([204, 304].includes(answer.status) ? null : Buffer.concat(pieces), { status: answer.status, headers: [...answer.headers] });
  };
}

/** What went wrong, in our words. */
async function explained<T>({ access }: SignInClient, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw inCauses(error, SignInFailed) ?? inCauses(error, Unavailable) ?? failureOf(error, new URL(access.baseUrl).origin);
  }
}

function failureOf(error: unknown, origin: string): Error {
  const refused = inCauses(error, AddressRefused);
  if (refused !== undefined) return new SignInFailed('set-up', refused.message);
  if (error instanceof AuthorizationResponseError) return new SignInFailed(error.error === 'access_denied' ? 'denied' : 'set-up', `${origin} answered the browser: ${codeOf(error.error)}`);
  if (error instanceof WWWAuthenticateChallengeError) return new SignInFailed('client', `${origin} does not take our client id and secret`);
  if (error instanceof ResponseBodyError) return new SignInFailed(['invalid_client', 'unauthorized_client'].includes(error.error) ? 'client' : 'answer', `${origin} answered: ${codeOf(error.error)}`);
  const { code } = error as { readonly code?: string };
  if (code === 'OAUTH_TIMEOUT') return new Unavailable(`gitlab ${origin}`, 'it does not answer in time', { cause: error });
  // Its cause may quote the token.
  if (error instanceof Error) return new SignInFailed(code === 'OAUTH_RESPONSE_IS_NOT_CONFORM' || code === 'OAUTH_RESPONSE_IS_NOT_JSON' ? 'set-up' : 'answer', `${origin}: ${error.message}${code === undefined ? '' : ` (${code})`}${reasonOf(error.cause)}`);
  return new SignInFailed('answer', `${origin}: something that is no error was thrown`);
}

/** openid-client's own words, without what they are said of. */
const reasonOf = (cause: unknown) => (cause instanceof Error ? `: ${cause.message}` : '');

/** A word of the specification's, and not whatever else is sent. */
const codeOf = (word: string) => (/^[a-z_]{1,50}$/.test(word) ? word : 'an error with no name');

function inCauses<T extends Error>(error: unknown, kind: new (...given: never[]) => T): T | undefined {
  for (let one = error, depth = 0; one instanceof Error && depth < 8; one = one.cause, depth += 1) if (one instanceof kind) return one;
  return undefined;
}
