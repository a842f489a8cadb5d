import { createHash } from 'node:crypto';
import type { PoolClient } from 'pg';
import type { CodebaseId, Position } from '#schemas/brand.ts';
import type { RefAt } from '#shared/read-store/ref-vectors.ts';
import { lockFollower } from './follower-rows.ts';

/** Taken, and not acknowledged: a client loads one at a time; some more for those that broke off. */
const SNAPSHOTS_MAX = 4;
/** A day to load a snapshot and to build what is built from it. */
const SNAPSHOT_HOURS_MAX = 24;

export interface KeptSnapshot { readonly position: Position; readonly codebases: readonly CodebaseId[]; readonly refs: readonly RefAt[] }

/**
 * The same state at the same position has the same id: a snapshot is the same to its last byte each time it is asked for. Once
 * one was taken over, new ones have other ids: an acknowledgement that was on its way for long must not take one over again.
 */
export async function keepSnapshot(client: PoolClient, follower: string, kept: KeptSnapshot): Promise<string> {
  const { place: { generation } } = await lockFollower(client, follower);
  const vector = JSON.stringify({ codebases: kept.codebases, refs: kept.refs });
  const id = createHash('sha256').update(`${follower}\n${generation}\n${kept.position}\n${vector}`).digest('hex');
  await client.query(
    `insert into follower_snapshots (follower_id, snapshot_id, position, vector) values ($1, $2, $3, $4::json)
     on conflict (follower_id, snapshot_id) do update set taken_at = now()`, [follower, id, kept.position, vector]);
  await client.query(
    `delete from follower_snapshots where follower_id = $1 and (taken_at < now() - make_interval(hours => $2)
       or snapshot_id not in (select snapshot_id from follower_snapshots where follower_id = $1 order by taken_at desc, snapshot_id limit $3))`,
    [follower, SNAPSHOT_HOURS_MAX, SNAPSHOTS_MAX]);
  return id;
}

export async function loadSnapshot(client: PoolClient, follower: string, id: string): Promise<KeptSnapshot | undefined> {
  const { rows: [row] } = await client.query<{ position: Position; vector: { codebases: CodebaseId[]; refs: RefAt[] } }>(
    'select position, vector from follower_snapshots where follower_id = $1 and snapshot_id = $2', [follower, id]);
  return row === undefined ? undefined : { position: row.position, ...row.vector };
}
