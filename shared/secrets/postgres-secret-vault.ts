import type { Pool } from 'pg';
import { createQuery } from '#shared/postgres/query.ts';
import { createSecretCipher } from './secret-cipher.ts';
import { checkSecret } from './secret-name.ts';
import type { SecretVault } from './secret-vault.ts';

const DEPENDENCY = 'secret vault';

/** Secrets in the table of migrations/, enciphered with `key` (32 bytes, from loadOrCreateKey), which never goes there. */
export function createPostgresSecretVault({ pool, key }: { pool: Pick<Pool, 'query'>; key: Buffer }): SecretVault {
  const query = createQuery(pool, DEPENDENCY);
  const cipher = createSecretCipher(key);

  return {
    async put(name, value) {
      checkSecret(name, value);
      const { keyId, nonce, sealed } = cipher.seal(name, value);
      await query(`
        insert into secrets (name, key_id, nonce, sealed) values ($1, $2, $3, $4)
        on conflict (name) do update set key_id = excluded.key_id, nonce = excluded.nonce, sealed = excluded.sealed, written_at = now()`, [name, keyId, nonce, sealed]);
    },
    async get(name) {
      const [row] = await query<{ keyId: string; nonce: Buffer; sealed: Buffer }>('select key_id as "keyId", nonce, sealed from secrets where name = $1', [name]);
      return row && cipher.open(name, row);
    },
    async delete(name) {
      await query('delete from secrets where name = $1', [name]);
    },
    digest: cipher.digest,
  };
}

/** Ids of the keys that secrets are enciphered with: what loadOrCreateKey asks. @throws Unavailable */
export async function secretKeyIds(pool: Pick<Pool, 'query'>): Promise<string[]> {
  const rows = await createQuery(pool, DEPENDENCY)<{ id: string }>('select distinct key_id as id from secrets order by key_id');
  return rows.map(({ id }) => id);
}
