import { createHmac } from 'node:crypto';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type CryptoKey, type JSONWebKeySet, type JWTHeaderParameters } from 'jose';
import { ACCESS_TOKEN_SECONDS, signAccessToken, verifyAccessToken } from './access-token.ts';

const NOW = new Date('2026-11-29T12:00:00Z');
const ISSUER = 'https://tekai.example.com';
const CLAIMS = { userId: 'u', sessionId: 's' };

let ours: { privateKey: CryptoKey; publicKey: CryptoKey };
let theirs: { privateKey: CryptoKey };
let rsa: { privateKey: CryptoKey };
let keys: JSONWebKeySet;
let good: string;
beforeAll(async () => {
  [ours, theirs, rsa] = await Promise.all([generateKeyPair('EdDSA', { extractable: true }), generateKeyPair('EdDSA'), generateKeyPair('RS256')]);
  keys = { keys: [{ ...(await exportJWK(ours.publicKey)), kid: 'k1', alg: 'EdDSA', use: 'sig' }] };
  good = await signAccessToken(CLAIMS, { issuer: ISSUER, kid: 'k1', privateKey: ours.privateKey, now: NOW, tokenId: 't' });
});

const verify = (token: string, now = NOW) => verifyAccessToken(token, { issuer: ISSUER, keys, now });
const later = (seconds: number) => new Date(NOW.getTime() + seconds * 1_000);
const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const parts = () => good.split('.') as [string, string, string];

interface Forged { header?: Partial<JWTHeaderParameters>; claims?: Record<string, unknown>; drop?: string; key?: CryptoKey; audience?: string; issuer?: string; issuedAt?: number; expires?: number }

/** Right in everything but what the test says. */
async function forge({ header = {}, claims = {}, drop, key = ours.privateKey, audience = 'tekai-api', issuer = ISSUER, issuedAt = NOW.getTime() / 1_000, expires = issuedAt + ACCESS_TOKEN_SECONDS }: Forged): Promise<string> {
  const all: Record<string, unknown> = { sub: 'u', sid: 's', jti: 't', aud: audience, iss: issuer, iat: issuedAt, exp: expires, ...claims };
  if (drop !== undefined) delete all[drop];
  return new SignJWT(all).setProtectedHeader({ alg: 'EdDSA', kid: 'k1', typ: 'at+jwt', ...header }).sign(key);
}

test('what we signed says who it is, until it is over', async () => {
  expect(await verify(good)).toEqual({ kind: 'ok', claims: { ...CLAIMS, expiresAt: later(ACCESS_TOKEN_SECONDS) } });
  expect(await verify(await forge({}))).toMatchObject({ kind: 'ok' });
  expect(ACCESS_TOKEN_SECONDS).toBeLessThanOrEqual(900);
  expect(await verify(good, later(ACCESS_TOKEN_SECONDS + 6))).toEqual({ kind: 'refused' });
});

const REFUSED: Record<string, () => Promise<string> | string> = {
  'alg: none': () => `${base64({ alg: 'none', kid: 'k1', typ: 'at+jwt' })}.${parts()[1]}.`,
  'alg: None, with our signature': () => `${base64({ alg: 'None', kid: 'k1', typ: 'at+jwt' })}.${parts()[1]}.${parts()[2]}`,
  'HS256 with our public key as its secret': async () => {
    const head = `${base64({ alg: 'HS256', kid: 'k1', typ: 'at+jwt' })}.${parts()[1]}`;
    return `${head}.${createHmac('sha256', await exportSPKI(ours.publicKey)).update(head).digest('base64url')}`;
  },
  'HS256 with the bytes of our public key': () => {
    const head = `${base64({ alg: 'HS256', kid: 'k1', typ: 'at+jwt' })}.${parts()[1]}`;
    return `${head}.${createHmac('sha256', Buffer.from(keys.keys[0]?.x ?? '', 'base64url')).update(head).digest('base64url')}`;
  },
  'RS256 of somebody': () => forge({ header: { alg: 'RS256' }, key: rsa.privateKey }),
  'another key under our name': () => forge({ key: theirs.privateKey }),
  'a key that it brings itself': async () => forge({ header: { jwk: await exportJWK((await generateKeyPair('EdDSA', { extractable: true })).publicKey) }, key: theirs.privateKey }),
  'a list of keys that it names': () => forge({ header: { jku: 'https://evil.example/jwks.json' }, key: theirs.privateKey }),
  'no key named': () => forge({ header: { kid: undefined as unknown as string } }),
  'another audience': () => forge({ audience: 'tekai-console' }),
  'no audience': () => forge({ drop: 'aud' }),
  'another issuer': () => forge({ issuer: 'https://evil.example' }),
  'another type': () => forge({ header: { typ: 'JWT' } }),
  'no type': () => forge({ header: { typ: undefined as unknown as string } }),
  'over since a while': () => forge({ issuedAt: NOW.getTime() / 1_000 - 700 }),
  'good for a year': () => forge({ issuedAt: NOW.getTime() / 1_000 - 3_600, expires: NOW.getTime() / 1_000 + 31_536_000 }),
  'not good yet': () => forge({ claims: { nbf: NOW.getTime() / 1_000 + 60 } }),
  'made in the future': () => forge({ issuedAt: NOW.getTime() / 1_000 + 60 }),
  'without an end': () => forge({ drop: 'exp' }),
  'without a person': () => forge({ drop: 'sub' }),
  'without a sign-in': () => forge({ drop: 'sid' }),
  'without an id': () => forge({ drop: 'jti' }),
  'a critical extension': () => `${base64({ alg: 'EdDSA', kid: 'k1', typ: 'at+jwt', crit: ['b64'], b64: false })}.${parts()[1]}.${parts()[2]}`,
  'other claims under its signature': () => `${parts()[0]}.${base64({ sub: 'admin', sid: 's', aud: 'tekai-api', iss: ISSUER, iat: NOW.getTime() / 1_000, exp: NOW.getTime() / 1_000 + 600, jti: 't' })}.${parts()[2]}`,
  'a cut signature': () => good.slice(0, -4),
  'no signature': () => `${parts()[0]}.${parts()[1]}.`,
  'no JWT': () => 'a.b.c',
  'nothing': () => '..',
};

test.each(Object.keys(REFUSED))('a token with %s is refused', async (name) => {
  expect(await verify(await REFUSED[name]!())).toEqual({ kind: 'refused' });
});

test('a key of a name that we do not know may be a newer one of ours: whoever keeps the list looks again', async () => {
  expect(await verify(await forge({ header: { kid: 'k2' } }))).toEqual({ kind: 'unknownKey' });
});
