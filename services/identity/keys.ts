import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose';
import type { Pool, PoolClient } from 'pg';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import { createQuery } from '#shared/postgres/query.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';

const DAY_MS = 86_400_000;
/** How long one key signs. */
const SIGNS_MS = 30 * DAY_MS;
/** Whoever keeps our list looks again within it. */
const TOLD_BEFORE_MS = DAY_MS;
/** Far beyond the life of what it signed. */
const KEPT_MS = DAY_MS;
/** One process at a time turns the keys. */
const KEYS_LOCK = 7_235_811_003;

export interface KeyDeps {
  readonly pool: Pool;
  readonly vault: Pick<SecretVault, 'get' | 'put' | 'delete'>;
  now(): Date;
}

export interface SigningKey { readonly kid: string; readonly privateKey: CryptoKey }

interface KeyRow { readonly kid: string; readonly state: 'next' | 'current' | 'old'; readonly since: Date }

/** Two keys at all times: one that signs, and the next, which is told long before. Doing it twice changes nothing. */
export async function turnKeys({ pool, vault, now }: KeyDeps): Promise<void> {
  const gone = await inTransaction(pool, async (client) => {
    await client.query('select pg_advisory_xact_lock($1)', [KEYS_LOCK]);
    const { rows } = await client.query<KeyRow>('select kid, state, since from identity_keys');
    const ageOf = (row: KeyRow) => now().getTime() - row.since.getTime();
    const become = (kid: string, state: KeyRow['state']) => client.query('update identity_keys set state = $2, since = $3 where kid = $1', [kid, state, now()]);
    const [current, next] = [rows.find(({ state }) => state === 'current'), rows.find(({ state }) => state === 'next')];
    const isOver = current === undefined || (ageOf(current) >= SIGNS_MS && next !== undefined && ageOf(next) >= TOLD_BEFORE_MS);
    if (isOver) {
      if (current !== undefined) await become(current.kid, 'old');
      await become(next?.kid ?? await makeKey({ client, vault, now }), 'current');
    }
    if (isOver || next === undefined) await makeKey({ client, vault, now });
    const old = rows.filter((row) => row.state === 'old' && ageOf(row) >= KEPT_MS).map(({ kid }) => kid);
    await client.query('delete from identity_keys where kid = any($1)', [old]);
    return old;
  });
  for (const kid of gone) await vault.delete(secretOf(kid));
}

/** The next one. Its secret comes first: a row without it could sign nothing. */
async function makeKey({ client, vault, now }: { readonly client: PoolClient } & Pick<KeyDeps, 'vault' | 'now'>): Promise<string> {
  const { publicKey, privateKey } = await generateKeyPair('EdDSA', { extractable: true });
  const shown = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(shown);
  await vault.put(secretOf(kid), JSON.stringify(await exportJWK(privateKey)));
  await client.query(`insert into identity_keys (kid, public_jwk, state, since) values ($1, $2, 'next', $3)`, [kid, JSON.stringify({ ...shown, kid, alg: 'EdDSA', use: 'sig' }), now()]);
  return kid;
}

/** The one that signs now. */
export async function signingKey({ pool, vault }: KeyDeps): Promise<SigningKey> {
  const [row] = await createQuery(pool)<{ kid: string }>(`select kid from identity_keys where state = 'current'`);
  const kept = row === undefined ? undefined : await vault.get(secretOf(row.kid));
  if (row === undefined || kept === undefined) throw new Error('identity has no key to sign with; a restart of the engine makes one');
  return { kid: row.kid, privateKey: (await importJWK(JSON.parse(kept) as JWK, 'EdDSA')) as CryptoKey };
}

const secretOf = (kid: string) => `identity-key/${kid}`;
