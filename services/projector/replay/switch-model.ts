import type { Position } from '#schemas/brand.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import { createRebuild, LIVE, type RebuildDeps } from './rebuild.ts';
import { livePosition } from './verify-model.ts';

const REPLACED = `${LIVE}_replaced`;
const SCHEMA = `switching_${process.pid}`;

/**
 * Folds the log anew and makes the outcome the live model, in the blink between two statements: no read fails, and none is
 * answered by half a model. Whoever reads in a transaction of several statements begins with the model's position: the switch
 * waits for it. The projector waits a moment, then goes on with the new tables.
 */
export async function switchModel(deps: RebuildDeps, signal: AbortSignal): Promise<{ readonly position: Position; readonly facts: number }> {
  const { pool } = deps;
  const rebuild = await createRebuild(deps, SCHEMA);
  try {
    await rebuild.foldTo(await livePosition(pool), signal);
    await rebuild.buildIndexes();
    await rebuild.makeDurable();
    await inTransaction(pool, async (client) => {
      await client.query(`drop schema if exists ${REPLACED} cascade`);
      // From here on the projector waits, and so what is left to fold is little.
      await client.query(`lock table ${LIVE}.progress in exclusive mode`);
      const { rows } = await client.query<{ position: Position }>(`select position from ${LIVE}.progress`);
      await rebuild.foldTo(rows[0]?.position ?? rebuild.position(), signal);
      await client.query(`lock table ${LIVE}.progress in access exclusive mode`);
      await client.query(`alter schema ${LIVE} rename to ${REPLACED}`);
      await client.query(`alter schema ${SCHEMA} rename to ${LIVE}`);
    });
    return { position: rebuild.position(), facts: rebuild.facts() };
  } finally {
    await rebuild.drop();
    await pool.query(`drop schema if exists ${REPLACED} cascade`);
  }
}
