import type { Pool } from 'pg';
import { createQuery } from '#shared/postgres/query.ts';
import type { HeldKeys } from './held-keys.ts';
import { createDigest } from './secret-cipher.ts';
import { checkSecret } from './secret-name.ts';
import type { SecretVault } from './secret-vault.ts';

const DEPENDENCY = 'secret vault';
/** Each more is a key that was changed between two statements. */
const PUTS_MAX = 5;

/** Secrets in the table of migrations/, enciphered with the keys of the key file, which never go there. */
export function createPostgresSecretVault({ pool, keys }: { readonly pool: Pick<Pool, 'query'>; readonly keys: HeldKeys }): SecretVault {
  const query = createQuery(pool, DEPENDENCY);

  return {
    async put(name, value) {
      checkSecret(name, value);
      for (let left = PUTS_MAX; left > 0; left -= 1) {
        const [current] = await query<{ id: string }>(`select key_id as id from secret_keys where state = 'current'`);
        if (current === undefined) break;
        const { keyId, nonce, sealed } = (await keys.cipher(current.id)).seal(name, value);
        // Nothing is enciphered with a key that has become an old one meanwhile: the row is held, so it becomes one before this or after.
        const put = await query(`
          insert into secrets (name, key_id, nonce, sealed) select $1, key_id, $3, $4 from secret_keys where key_id = $2 and state = 'current' for share
          on conflict (name) do update set key_id = excluded.key_id, nonce = excluded.nonce, sealed = excluded.sealed, written_at = now()
          returning name`, [name, keyId, nonce, sealed]);
        if (put.length === 1) return;
      }
      throw new Error(`secret ${name} was not put: the vault names no current key, or another each time`);
    },
    async get(name) {
      const [row] = await query<{ keyId: string; nonce: Buffer; sealed: Buffer }>('select key_id as "keyId", nonce, sealed from secrets where name = $1', [name]);
      return row && (await keys.cipher(row.keyId)).open(name, row);
    },
    async delete(name) {
      await query('delete from secrets where name = $1', [name]);
    },
    digest: createDigest(keys.digestKey),
  };
}
