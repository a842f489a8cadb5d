import type { Pool, PoolClient } from 'pg';
import { addRows } from '#shared/postgres/copy-rows.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import { StartRefused } from '#shared/runtime/start-waits.ts';
import { compareLogs, copyLog, type Compared, type CopyDeps } from './copy-log.ts';
import type { EventLog } from './event-log.ts';
import { followedLog, type KnownLog } from './followed-log.ts';
import type { MovePlaces } from './moved-places.ts';

/** Places written at once: some 250 kB. */
const PAGE_FACTS = 5_000;
/** What all programs of ours call themselves to Postgres; ours while it moves. */
const ANY_NAME = 'tekai-%';
export const MOVE_NAME = 'tekai-move';
const LOCK_NOT_AVAILABLE = '55P03';

export interface MoveDeps extends CopyDeps {
  /** Of the database that is the old log and holds the tables. */
  readonly pool: Pool;
  readonly from: Pick<EventLog, 'subscribe' | 'head' | 'epoch'>;
  readonly to: Pick<EventLog, 'append' | 'subscribe' | 'head' | 'epoch'>;
  readonly places: readonly MovePlaces[];
}

export type Moved =
  | ({ readonly kind: 'moved' } & Compared)
  /** This database follows the other log already. */
  | { readonly kind: 'standing' };

/**
 * Takes an engine's facts from its database into another log, and everything that the database says of places in the log with
 * them: from the commit on it follows the other log, before it the old one, and nothing is between. While it goes on nobody can
 * append to the old log; afterwards that takes nothing any more. Killed at any moment it can be begun again, and goes on.
 * @throws StartRefused when an engine runs, or this is not the database's log; LogsDiffer
 */
export async function moveLog(deps: MoveDeps, signal: AbortSignal): Promise<Moved> {
  const { pool, from, to, places } = deps;
  const target: KnownLog = { kind: 'eventstoredb', epoch: await to.epoch() };
  const source: KnownLog = { kind: 'postgres', epoch: await from.epoch() };
  return inTransaction(pool, async (client): Promise<Moved> => {
    // It may copy for hours, in which this connection says nothing.
    await client.query(`set local idle_in_transaction_session_timeout = 0`);
    await client.query(`set local statement_timeout = 0`);
    await refuseIfUsed(client);
    await lockOldLog(client);
    const followed = await followedLog(client) ?? source;
    if (followed.kind === target.kind && followed.epoch === target.epoch) return { kind: 'standing' };
    if (followed.kind !== source.kind || followed.epoch !== source.epoch) throw new StartRefused(`The facts of this engine are not in its database: they are in ${followed.kind === 'postgres' ? 'another one' : 'another EventStoreDB than TEKAI_EVENTSTORE_URL names'} (epoch ${followed.epoch}).`);

    await copyLog(deps, signal);
    await client.query('create temporary table moved_places (old text primary key, new text not null) on commit drop');
    const compared = await compareLogs(deps, { pageFacts: PAGE_FACTS, onPage: (page) => addRows(client, 'moved_places', page.map((one) => ({ old: one.from, new: one.to }))) }, signal);
    await client.query('analyze moved_places');
    for (const move of places) await move(client, { oldEpoch: source.epoch, newEpoch: target.epoch });
    await client.query(
      `insert into log_followed (kind, epoch) values ($1, $2) on conflict (is_only) do update set kind = excluded.kind, epoch = excluded.epoch`, [target.kind, target.epoch]);
    // A second look: an engine that was started meanwhile has places in its memory.
    await refuseIfUsed(client);
    signal.throwIfAborted();
    return { kind: 'moved', ...compared };
  });
}

/** An engine would go on with the old places. What an idle one still appended would wait for our lock, and then be refused. */
async function refuseIfUsed(client: PoolClient): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select distinct application_name as name from pg_stat_activity where datname = current_database() and application_name like $1 and application_name <> $2 order by 1`, [ANY_NAME, MOVE_NAME]);
  if (rows.length > 0) throw new StartRefused(`An engine, or a program beside one, uses this database (${rows.map(({ name }) => name).join(', ')}). Stop every process of the engine, then run this again. Nothing was moved.`);
}

/** The row that every append takes. */
async function lockOldLog(client: PoolClient): Promise<void> {
  try {
    await client.query('select from log_head for update nowait');
  } catch (error) {
    if ((error as { code?: unknown }).code !== LOCK_NOT_AVAILABLE) throw error;
    throw new StartRefused('Somebody is appending to the log, or moving it, just now. Wait for that, or stop it, and run this again.', { cause: error });
  }
}
