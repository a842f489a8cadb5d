import type { Pool, PoolClient } from 'pg';
import type { Position } from '#schemas/brand.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { comparePlaces, type Cursor, type Place } from './cursor.ts';
import { insertHeld, loadHeld, loadQueue, lockFollower, type Follower } from './follower-rows.ts';
import { applyStep, heldOf } from './plan-groups.ts';
import { QUEUED_GROUPS_MAX } from './queue.ts';
import { loadSnapshot } from './snapshot-rows.ts';

export interface Acknowledged { readonly place: Place; readonly heldPosition: Position | null }

export interface AckOptions {
  readonly cursor: Cursor;
  readonly now: Date;
  /** Looked at within the transaction: who may no longer acknowledge throws here. */
  readonly mayStill?: (client: PoolClient) => Promise<void>;
}

/**
 * The client holds everything up to the cursor: groups that are done are folded into what is held, in one transaction. Doing
 * it twice changes nothing. @throws Problem 409 when the cursor lies behind what is acknowledged, 410 when it is of before a
 * snapshot that was taken over, or names one that is no longer kept.
 */
export function acknowledge(pool: Pool, id: string, { cursor, now, mayStill }: AckOptions): Promise<Acknowledged> {
  return inTransaction(pool, async (client) => {
    const follower = await lockFollower(client, id);
    await mayStill?.(client);
    if (cursor.kind === 'snapshot') return adopt(client, follower, { snapshot: cursor.id, now });
    checkPlace(follower, cursor.place);
    return fold(client, follower, { place: cursor.place, now });
  });
}

/** Whether the feed can go on from this place. @throws Problem */
export function checkPlace(follower: Follower, place: Place): void {
  if (place.generation < follower.place.generation) throw new Problem(410, 'cursor-of-older-generation', 'This cursor is of before a snapshot that was acknowledged since. What you hold may not be what it showed: go on with its cursor if you loaded it, else take a new snapshot.');
  if (place.generation > follower.place.generation || place.doneSeq + (place.path === null ? 0 : 1) > follower.lastSeq) throw new Problem(400, 'cursor-malformed', 'This cursor was never given by this follower.');
  if (comparePlaces(place, follower.place) < 0) throw new Problem(409, 'cursor-behind-acknowledged', 'What follows this cursor was acknowledged before and is no longer kept. Go on without after=, or begin anew with a snapshot if you have lost what you held.');
}

async function fold(client: PoolClient, follower: Follower, { place, now }: { place: Place; now: Date }): Promise<Acknowledged> {
  const queue = await loadQueue(client, follower.id, { afterSeq: 0, limit: 2 * QUEUED_GROUPS_MAX });
  const done = queue.filter(({ seq }) => seq <= place.doneSeq);
  if (done.length > 0) {
    const before = await loadHeld(client, follower.id);
    const touched = new Set(done.map(({ codebaseId }) => codebaseId));
    for (const step of done) applyStep(before, step);
    await client.query('delete from follower_refs where follower_id = $1 and codebase_id = any($2::text[])', [follower.id, [...touched]]);
    await insertHeld(client, follower.id, new Map([...before].filter(([id]) => touched.has(id))));
    await client.query('delete from follower_groups where follower_id = $1 and seq <= $2', [follower.id, place.doneSeq]);
  }
  const heldPosition = done.length === queue.length && follower.plannedPosition !== null ? follower.plannedPosition : follower.heldPosition;
  await client.query('update followers set acked_seq = $2, acked_path = $3, held_position = $4, last_ack_at = $5 where follower_id = $1',
    [follower.id, place.doneSeq, place.path, heldPosition, now.toISOString()]);
  return { place, heldPosition };
}

/** What the snapshot showed is what is held now. The queue was planned from something else and is forgotten. */
async function adopt(client: PoolClient, follower: Follower, { snapshot, now }: { snapshot: string; now: Date }): Promise<Acknowledged> {
  const kept = await loadSnapshot(client, follower.id, snapshot);
  if (kept === undefined) {
    const { adopted, place } = follower;
    if (adopted?.id === snapshot && adopted.seq === place.doneSeq && place.path === null) return { place, heldPosition: follower.heldPosition };
    throw new Problem(410, 'snapshot-gone', 'This snapshot is no longer kept, or what came after it is acknowledged already. Take a new one by GET …/snapshot.');
  }
  const { id, lastSeq } = follower;
  const place: Place = { generation: follower.place.generation + 1, doneSeq: lastSeq, path: null };
  for (const table of ['follower_refs', 'follower_groups']) await client.query(`delete from ${table} where follower_id = $1`, [id]);
  await client.query('delete from follower_snapshots where follower_id = $1 and snapshot_id = $2', [id, snapshot]);
  await insertHeld(client, id, heldOf(kept.codebases, kept.refs));
  await client.query(
    `update followers set generation = $2, acked_seq = $3, acked_path = null, held_position = $4, planned_position = null, last_ack_at = $5, adopted_snapshot = $6, adopted_seq = $3, has_begun = true where follower_id = $1`,
    [id, place.generation, lastSeq, kept.position, now.toISOString(), snapshot]);
  return { place, heldPosition: kept.position };
}
