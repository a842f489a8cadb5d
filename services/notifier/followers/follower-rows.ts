import type { PoolClient } from 'pg';
import type { CodebaseId, ObjectId, Position, RefName } from '#schemas/brand.ts';
import type { Actor } from '#schemas/events/fact.ts';
import type { RefAt, RefScope } from '#shared/read-store/ref-vectors.ts';
import { Problem } from '#shared/runtime/problem.ts';
import type { Place } from './cursor.ts';
import { heldOf, type Group, type Held, type Step } from './plan-groups.ts';

/** What a client said it wants to follow. */
export interface GivenScope { readonly codebases?: readonly CodebaseId[] | undefined; readonly project?: string | undefined; readonly all?: true | undefined; readonly refs?: readonly string[] | undefined }

export interface Follower {
  readonly id: string;
  readonly actor: Actor;
  readonly name: string;
  readonly given: GivenScope;
  readonly scope: RefScope;
  readonly createdAt: string;
  readonly place: Place;
  readonly hasBegun: boolean;
  readonly lastSeq: number;
  readonly lastAckAt: string | null;
  readonly plannedPosition: Position | null;
  readonly heldPosition: Position | null;
  /** The snapshot that was acknowledged last, and the group that it stands behind. */
  readonly adopted: { readonly id: string; readonly seq: number } | null;
  /** The newest position that it was planned from, and the log of it. */
  readonly seen: { readonly epoch: string | null; readonly position: Position };
}

export type FollowerRow = {
  follower_id: string; actor_kind: Actor['kind']; actor_id: string; name: string; scope: GivenScope; created_at: string; generation: number; has_begun: boolean;
  last_seq: string; acked_seq: string; acked_path: Buffer | null; last_ack_at: string | null; planned_position: Position | null; held_position: Position | null;
  adopted_snapshot: string | null; adopted_seq: string | null; seen_epoch: string | null; seen_position: Position;
};

type GroupRow = {
  seq: string; kind: Step['kind']; codebase_id: CodebaseId; ref: RefName; from_commit: ObjectId | null; from_tree: ObjectId | null; to_commit: ObjectId | null; to_tree: ObjectId | null; position: Position;
};

export function followerOf(row: FollowerRow): Follower {
  return {
    id: row.follower_id, actor: { kind: row.actor_kind, id: row.actor_id }, name: row.name, given: row.scope, scope: scopeOf(row.scope), createdAt: row.created_at,
    place: { generation: row.generation, doneSeq: Number(row.acked_seq), path: row.acked_path }, hasBegun: row.has_begun, lastSeq: Number(row.last_seq), lastAckAt: row.last_ack_at,
    plannedPosition: row.planned_position, heldPosition: row.held_position,
    adopted: row.adopted_snapshot === null ? null : { id: row.adopted_snapshot, seq: Number(row.adopted_seq) }, seen: { epoch: row.seen_epoch, position: row.seen_position },
  };
}

function scopeOf({ codebases, project, refs }: GivenScope): RefScope {
  return {
    codebases: codebases !== undefined ? { kind: 'listed', ids: codebases } : project !== undefined ? { kind: 'project', id: project } : { kind: 'all' },
    refs: refs === undefined ? null : refs.map((pattern) => (pattern.startsWith('refs/') ? pattern : `refs/heads/${pattern}`)),
  };
}

/** Nobody else changes the follower until the transaction ends. @throws Problem 404 */
export async function lockFollower(client: PoolClient, id: string): Promise<Follower> {
  const { rows: [row] } = await client.query<FollowerRow>('select * from followers where follower_id = $1 for update', [id]);
  if (row === undefined) throw followerGone();
  return followerOf(row);
}

export const followerGone = (name?: string) => new Problem(404, 'follower-unknown', `There is no follower${name === undefined ? ' of this name any more' : ` ${JSON.stringify(name)}`}. GET /v1/followers lists yours; POST /v1/followers makes one.`);

export async function loadHeld(client: PoolClient, id: string): Promise<Held> {
  const { rows } = await client.query<{ codebase_id: CodebaseId; ref: RefName; commit_id: ObjectId | null; tree_id: ObjectId; position: Position }>(
    'select codebase_id, ref, commit_id, tree_id, position from follower_refs where follower_id = $1', [id]);
  const refs = rows.filter(({ ref }) => String(ref) !== '');
  return heldOf(rows.map((row) => row.codebase_id), refs.map((row): RefAt => ({ codebaseId: row.codebase_id, ref: row.ref, commit: row.commit_id, tree: row.tree_id, position: row.position })));
}

/** In order, behind `afterSeq`. */
export async function loadQueue(client: PoolClient, id: string, { afterSeq, limit }: { afterSeq: number; limit: number }): Promise<Group[]> {
  const { rows } = await client.query<GroupRow>('select * from follower_groups where follower_id = $1 and seq > $2 order by seq limit $3', [id, afterSeq, limit]);
  return rows.map(groupOf);
}

function groupOf(row: GroupRow): Group {
  const { kind, codebase_id: codebaseId, ref, position } = row;
  const seq = Number(row.seq);
  switch (kind) {
    case 'moved': return {
      seq, kind, codebaseId, ref, position, from: row.from_tree === null ? null : { commit: row.from_commit, tree: row.from_tree },
      to: { commit: row.to_commit, tree: row.to_tree as ObjectId },
    };
    case 'deleted': return { seq, kind, codebaseId, ref, position };
    case 'granted':
    case 'lost':
    case 'removed': return { seq, kind, codebaseId, position };
    default: return kind satisfies never;
  }
}

export async function insertGroups(client: PoolClient, id: string, groups: readonly Group[]): Promise<void> {
  const rows = groups.map((step) => ({
    follower_id: id, seq: step.seq, kind: step.kind, codebase_id: step.codebaseId, ref: 'ref' in step ? step.ref : '', position: step.position,
    ...(step.kind === 'moved' ? { from_commit: step.from?.commit ?? null, from_tree: step.from?.tree ?? null, to_commit: step.to.commit, to_tree: step.to.tree } : {}),
  }));
  await client.query('insert into follower_groups select * from json_populate_recordset(null::follower_groups, $1::json)', [JSON.stringify(rows)]);
}

/** A ref '' for each codebase. */
export async function insertHeld(client: PoolClient, id: string, held: Held): Promise<void> {
  const rows = [...held].flatMap(([codebase_id, refs]) => [
    { follower_id: id, codebase_id, ref: '' },
    ...[...refs].map(([ref, { commit, tree, position }]) => ({ follower_id: id, codebase_id, ref, commit_id: commit, tree_id: tree, position })),
  ]);
  await client.query(
    `insert into follower_refs select * from json_populate_recordset(null::follower_refs, $1::json)
     on conflict (follower_id, codebase_id, ref) do update set commit_id = excluded.commit_id, tree_id = excluded.tree_id, position = excluded.position`, [JSON.stringify(rows)]);
}
