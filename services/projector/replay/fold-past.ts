import type { Position } from '#schemas/brand.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import { createRebuild, LIVE, type RebuildDeps } from './rebuild.ts';

const SCHEMA = 'past';

/** What is read of a past: up to which fact it goes, and of what time that is. */
export interface Past { readonly position: Position; readonly facts: number; readonly time: string }

/**
 * Folds the log up to this fact, and none behind it, into the read model of a database that nobody has used yet, by the code that
 * replay uses. @throws when no fact stands there; or `signal` aborts
 */
export async function foldPast(deps: RebuildDeps, position: Position, signal: AbortSignal): Promise<Past> {
  const { pool } = deps;
  const rebuild = await createRebuild(deps, SCHEMA);
  await rebuild.foldTo(position, signal);
  const { rows: [last] } = await pool.query<{ time: string }>(`select time from ${SCHEMA}.fact_index where position = $1`, [position]);
  if (last === undefined) throw new Error(`No fact stands at ${position} in this log.`);
  await rebuild.buildIndexes();
  // A server that crashes empties tables that it keeps no log of: the past would then be without anything, and say so as if it were true.
  await rebuild.makeDurable();
  await inTransaction(pool, async (client) => {
    await client.query(`drop schema ${LIVE} cascade`);
    await client.query(`alter schema ${SCHEMA} rename to ${LIVE}`);
  });
  return { position, facts: rebuild.facts(), time: last.time };
}
