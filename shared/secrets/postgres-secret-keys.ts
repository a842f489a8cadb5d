import type { Pool, QueryResultRow } from 'pg';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import { createQuery } from '#shared/postgres/query.ts';
import type { KeyChange, KeyRecord, KeyState, SecretKeys } from './secret-keys.ts';

const DEPENDENCY = 'secret vault';
/** Six times what a process leaves between two words of itself: it may be slow, or the database may have been away for a moment. */
export const HOLDER_SILENT_SECONDS_MAX = 60;

type Ask = <Row extends QueryResultRow>(sql: string, values?: readonly unknown[]) => Promise<Row[]>;

/** In the tables of migrations/, beside the secrets. */
export function createPostgresSecretKeys({ pool }: { readonly pool: Pool }): SecretKeys {
  const query = createQuery(pool, DEPENDENCY);

  return {
    read: () => readRecord(query),

    async tell(holder, { process, keyIds, first }) {
      await query(`
        with told as (
          insert into secret_key_holders (holder, process, key_ids) values ($1, $2, $3)
          on conflict (holder) do update set key_ids = excluded.key_ids, seen_at = now())
        insert into secret_keys (key_id, state) select $4, 'current' where not exists (select from secret_keys where state = 'current') on conflict do nothing`, [holder, process, keyIds, first]);
    },
    async forget(holder) {
      await query('delete from secret_key_holders where holder = $1 or seen_at < now() - interval \'1 day\'', [holder]);
    },

    exclusively: (work) => inTransaction(pool, async (client) => {
      // Whoever tells of itself, and whoever puts a secret, comes before all of this or behind it. In the order of `tell`: else each would hold what the other waits for.
      await client.query('lock table secret_key_holders, secret_keys in exclusive mode');
      const ask: Ask = async <Row extends QueryResultRow>(sql: string, values: readonly unknown[] = []) => (await client.query<Row>(sql, values as unknown[])).rows;
      const change: KeyChange = {
        read: () => readRecord(ask),
        addNext: async (keyId) => void (await ask(`insert into secret_keys (key_id, state) values ($1, 'next')`, [keyId])),
        async turn() {
          // One after the other: no two keys are ever in one state.
          await ask(`update secret_keys set state = 'old', since = now() where state = 'current'`);
          await ask(`update secret_keys set state = 'current', since = now() where state = 'next'`);
        },
        drop: async (keyId) => void (await ask(`update secret_keys set state = 'gone', since = now() where key_id = $1 and state in ('next', 'old')`, [keyId])),
      };
      return work(change);
    }),

    async secret(name) {
      return (await query<{ keyId: string; nonce: Buffer; sealed: Buffer }>('select key_id as "keyId", nonce, sealed from secrets where name = $1', [name]))[0];
    },
    async putIfNone(name, { keyId, nonce, sealed }) {
      await query('insert into secrets (name, key_id, nonce, sealed) values ($1, $2, $3, $4) on conflict (name) do nothing', [name, keyId, nonce, sealed]);
    },
    async notUnder(keyId, { after, limit }) {
      const rows = await query<{ name: string; keyId: string; nonce: Buffer; sealed: Buffer }>('select name, key_id as "keyId", nonce, sealed from secrets where key_id <> $1 and name > $2 order by name limit $3', [keyId, after, limit]);
      return rows.map(({ name, ...secret }) => ({ name, secret }));
    },
    async replace(name, { before, after }) {
      const replaced = await query('update secrets set key_id = $2, nonce = $3, sealed = $4 where name = $1 and key_id = $5 and nonce = $6 and sealed = $7 returning name', [name, after.keyId, after.nonce, after.sealed, before.keyId, before.nonce, before.sealed]);
      return replaced.length === 1;
    },
  };
}

async function readRecord(ask: Ask): Promise<KeyRecord> {
  const keys = await ask<{ id: string; state: KeyState; since: Date }>('select key_id as id, state, since from secret_keys order by array_position(array[\'gone\', \'old\', \'current\', \'next\'], state), since, key_id');
  const secrets = await ask<{ id: string; count: number }>('select key_id as id, count(*)::int as count from secrets group by key_id');
  const holders = await ask<{ process: string; keyIds: string[] }>('select process, key_ids as "keyIds" from secret_key_holders where seen_at > now() - make_interval(secs => $1) order by process', [HOLDER_SILENT_SECONDS_MAX]);
  return { keys, secrets: new Map(secrets.map(({ id, count }) => [id, count])), holders };
}
