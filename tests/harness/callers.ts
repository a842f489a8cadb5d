import { createHmac, randomUUID } from 'node:crypto';
import { exportSPKI, generateKeyPair, importJWK, SignJWT, decodeJwt, type CryptoKey, type JWK, type JWTHeaderParameters } from 'jose';
import type { TokenScope } from '#schemas/api/identity.ts';
import type { Level } from '#shared/access/policy.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { readHeldKeys } from '#shared/secrets/held-keys.ts';
import { createPostgresSecretKeys } from '#shared/secrets/postgres-secret-keys.ts';
import { createPostgresSecretVault } from '#shared/secrets/postgres-secret-vault.ts';
import { signingKey } from '../../services/identity/keys.ts';
import type { System } from './system.ts';

/** Who asks, and what they are: of the engine, of one project, of one codebase. */
export interface Caller {
  readonly who: string;
  readonly token: string | undefined;
  /** Undefined: nobody we know, whatever they show. */
  readonly is: { readonly level: Level; readonly scope: TokenScope; readonly inProject: Level | undefined; readonly ofCodebase: Level | undefined } | undefined;
}

/** Somebody who signed in, with a password of their own. */
export interface Person { readonly id: string; readonly accessToken: string; readonly refreshToken: string }

export async function signIn(system: System, name: string, more: { isSystemAdmin?: boolean } = {}): Promise<Person> {
  const made = (await system.ask('POST', '/v1/users', { body: { name, ...more } })).json<{ id: string; oneTimePassword: string }>();
  const answer = await system.ask('POST', '/v1/auth/login', { body: { name, password: made.oneTimePassword, newPassword: `long enough for ${name} ${randomUUID()}` } });
  if (answer.status !== 200) throw new Error(`${name} cannot sign in: ${answer.status} ${answer.bytes.toString()}`);
  return { id: made.id, ...answer.json<{ accessToken: string; refreshToken: string }>() };
}

/** Tokens that look like this person's, each wrong in one thing alone: were it overlooked, they would be as good. */
export async function forgeriesOf(system: System, { accessToken }: Person): Promise<Record<string, string>> {
  const { kid, privateKey } = await keyOf(system);
  const { keys } = await (await fetch(`${system.url}/.well-known/jwks.json`)).json() as { keys: (JWK & { kid: string; x: string })[] };
  const shown = keys.find((one) => one.kid === kid);
  if (shown === undefined) throw new Error('the key that signs is not told');
  const claims = decodeJwt(accessToken);
  const stranger = (await generateKeyPair('EdDSA')).privateKey;
  const now = Math.floor(Date.now() / 1_000);
  const made = ({ header = {}, claim = {}, key = privateKey }: { header?: Partial<JWTHeaderParameters>; claim?: object; key?: CryptoKey }) =>
    new SignJWT({ ...claims, iat: now, exp: now + 600, ...claim }).setProtectedHeader({ alg: 'EdDSA', kid, typ: 'at+jwt', ...header }).sign(key);
  const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const payload = accessToken.split('.')[1] ?? '';
  const byHmac = (secret: string | Buffer) => {
    const head = `${base64({ alg: 'HS256', kid, typ: 'at+jwt' })}.${payload}`;
    return `${head}.${createHmac('sha256', secret).update(head).digest('base64url')}`;
  };
  // That the key is right, and that nothing else keeps them out.
  if ((await system.ask('GET', '/v1/whoami', { headers: { authorization: `Bearer ${await made({})}` } })).status !== 200) throw new Error('a token that is right in everything is not taken');
  return {
    'an expired token': await made({ claim: { iat: now - 1_300, exp: now - 700 } }),
    'a token of another audience': await made({ claim: { aud: 'tekai-console' } }),
    'a token of another issuer': await made({ claim: { iss: 'https://evil.example' } }),
    'alg none': `${base64({ alg: 'none', kid, typ: 'at+jwt' })}.${payload}.`,
    'HS256 by our public key': byHmac(await exportSPKI(await importJWK(shown, 'EdDSA', { extractable: true }) as CryptoKey)),
    'HS256 by its bytes': byHmac(Buffer.from(shown.x, 'base64url')),
    'an unknown kid': await made({ header: { kid: 'nobody-s' }, key: stranger }),
    'our kid, another key': await made({ key: stranger }),
  };
}

/** The key that the engine signs with, by the files and the database that it has. */
async function keyOf({ stateDir, databaseUrl }: System): Promise<{ kid: string; privateKey: CryptoKey }> {
  const pool = createPool(databaseUrl, { connectionsMax: 1, applicationName: 'test' });
  try {
    const keys = await readHeldKeys({ directory: stateDir, keys: createPostgresSecretKeys({ pool }) });
    return await signingKey({ pool, vault: createPostgresSecretVault({ pool, keys }), now: () => new Date() });
  } finally {
    await pool.end();
  }
}
