import type { Pool, PoolClient } from 'pg';
import { createQuery, type Query } from '#shared/postgres/query.ts';
import { StartRefused } from '#shared/runtime/start-waits.ts';

export type LogKind = 'postgres' | 'eventstoredb';

/** A log, by where it is and which one it is there. */
export interface KnownLog { readonly kind: LogKind; readonly epoch: string }

/** Of a database whose migrations are older: then nobody has remembered anything. */
const NO_SUCH_TABLE = '42P01';

/**
 * Whether this is the log that the tables of the database follow; the first log that is asked about is. Facts that are still in a
 * log that was left would be missed, and positions of it taken for other places: so it is refused.
 * @throws StartRefused saying what to do | Unavailable
 */
export async function mustFollow(pool: Pool, found: KnownLog): Promise<void> {
  const query = createQuery(pool);
  const followed = await followedLog(pool) ?? await begin(query, found);
  if (followed.epoch === found.epoch && followed.kind === found.kind) return;
  // Nothing was ever written there, so nothing stands on it: whoever looked at the engine before setting it up may still choose.
  if (followed.kind === 'postgres' && found.kind !== 'postgres' && await hasNoFacts(query)) {
    await query(`update log_followed set kind = $1, epoch = $2 where kind = 'postgres'`, [found.kind, found.epoch]);
    return;
  }
  throw new StartRefused(refusal(followed, found));
}

/** Undefined where nothing was started yet. */
export async function followedLog(pool: Pool | PoolClient): Promise<KnownLog | undefined> {
  try {
    const [row] = await createQuery(pool)<KnownLog & { kind: LogKind }>('select kind, epoch from log_followed');
    return row;
  } catch (error) {
    if ((error as { code?: unknown }).code === NO_SUCH_TABLE) return undefined;
    throw error;
  }
}

/** Of two who begin at once both get the same. */
async function begin(query: Query, { kind, epoch }: KnownLog): Promise<KnownLog> {
  const [row] = await query<KnownLog & { kind: LogKind }>(
    `insert into log_followed (kind, epoch) values ($1, $2) on conflict (is_only) do update set kind = log_followed.kind returning kind, epoch`, [kind, epoch]);
  return row ?? { kind, epoch };
}

async function hasNoFacts(query: Query): Promise<boolean> {
  const [row] = await query<{ is: boolean }>('select not exists (select from log_facts) as is');
  return row?.is === true;
}

function refusal(followed: KnownLog, found: KnownLog): string {
  if (followed.kind === 'postgres' && found.kind === 'eventstoredb') {
    return 'The facts of this engine are in its database, and TEKAI_EVENTSTORE_URL names another log. Run "tekai migrate-log" with these settings to take them there, or unset TEKAI_EVENTSTORE_URL.';
  }
  if (followed.kind === 'eventstoredb' && found.kind === 'postgres') {
    return 'The facts of this engine are in EventStoreDB, and no TEKAI_EVENTSTORE_URL is set: set it to that EventStoreDB again. Or name another database (and another state folder) to begin anew.';
  }
  return `The facts of this engine are in a log of the epoch ${followed.epoch}, and the one that is set up now has ${found.epoch}: it is another one, or was made anew. Name the right one, or restore it from its backup; a database that belongs to this log would do as well.`;
}
