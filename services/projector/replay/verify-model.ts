import type { Pool } from 'pg';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import { atOneMoment, differencesIn, type Difference, type TableDigest } from './compare-models.ts';
import { createRebuild, LIVE, type RebuildDeps } from './rebuild.ts';

export type VerifyDeps = RebuildDeps;

export interface Verdict {
  /** Of both models. */
  readonly position: Position;
  readonly facts: number;
  readonly tables: readonly { readonly table: string; readonly live: TableDigest; readonly rebuilt: TableDigest }[];
  /** What could not be folded, in either: marked rows are no proof of anything. */
  readonly unfolded: number;
  readonly differences: readonly Difference[];
  readonly kind: 'equal' | 'unequal' | 'empty';
}

/** Its name says that it may be dropped; the process's number keeps two replays apart. */
const REPLAY_SCHEMA = `replay_${process.pid}`;

/**
 * Folds the whole log once more, beside the live model and while that goes on, and compares the two at one position (I6).
 * `empty` when there is nothing to prove anything by. @throws when the database or the log is away, or `signal` aborts
 */
export async function verifyModel(deps: VerifyDeps, signal: AbortSignal): Promise<Verdict> {
  const { pool } = deps;
  const rebuild = await createRebuild(deps, REPLAY_SCHEMA);
  try {
    // The long way first, so that the live model's moment is held open for a short one only.
    await rebuild.foldTo(await livePosition(pool), signal);
    return await atOneMoment(pool, LIVE, async (live) => {
      await rebuild.foldTo(live.position, signal);
      return atOneMoment(pool, rebuild.schema, async (rebuilt) => {
        const [left, right] = [await live.digests(), await rebuilt.digests()];
        const tables = left.map((one, index) => ({ table: one.table, live: one, rebuilt: right[index]! }));
        const unequal = tables.filter((one) => one.live.digest !== one.rebuilt.digest);
        const differences: Difference[] = [];
        for (const { table } of unequal) differences.push(...(await differencesIn(table, { live, rebuilt })));
        const unfolded = Math.max(...tables.filter(({ table }) => table === 'unfolded').map((one) => Math.max(one.live.rows, one.rebuilt.rows)), 0);
        return { position: live.position, facts: rebuild.facts(), tables, unfolded, differences, kind: rebuild.facts() === 0 ? 'empty' : unequal.length > 0 ? 'unequal' : 'equal' };
      });
    });
  } finally {
    await rebuild.drop();
  }
}

export async function livePosition(pool: Pool): Promise<Position> {
  const { rows } = await pool.query<{ position: Position }>(`select position from ${LIVE}.progress`);
  return rows[0]?.position ?? BEGINNING;
}
