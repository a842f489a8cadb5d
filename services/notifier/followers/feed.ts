import type { Pool } from 'pg';
import type { FollowerEntry } from '#schemas/api/followers.ts';
import type { CodebaseId, Position } from '#schemas/brand.ts';
import type { Actor } from '#schemas/events/fact.ts';
import { positionOutside } from '#schemas/positions.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import type { RefScope, RefVectors } from '#shared/read-store/ref-vectors.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { checkPlace } from './acknowledge.ts';
import { placeCursor, type Cursor, type Place } from './cursor.ts';
import { lockFollower, type Follower } from './follower-rows.ts';
import { entriesOf } from './group-entries.ts';
import type { Group, Verdict } from './plan-groups.ts';
import { prepare, type Ready, type Seen } from './queue.ts';

export interface FeedDeps {
  readonly pool: Pool;
  readonly vectors: RefVectors;
  readonly reader: Pick<ObjectReader, 'stream'>;
  readonly epoch: string;
  /** Of these codebases, those that somebody may read now. Asked whenever something is about to be told, never remembered. */
  readable(actor: Actor, codebases: readonly CodebaseId[]): Promise<ReadonlySet<CodebaseId>>;
  readonly queuedGroupsMax?: number;
}

export interface Page {
  readonly entries: readonly FollowerEntry[];
  /** Where the page began. */
  readonly after: string;
  /** Of the last entry, or where the page began: to be acknowledged, and to go on from. */
  readonly cursor: string;
  /** What was looked at, for whoever waits for the next change. */
  readonly seen: { readonly position: Position; readonly shown: ReadonlySet<CodebaseId>; readonly codebases: readonly CodebaseId[] };
}

/** How often a page is made anew because access changed while it was made, or somebody else planned meanwhile. */
const TRIES_MAX = 20;

/**
 * What the follower is to be told behind a place, at most `limit` entries and an end. Judged last: when any codebase of the
 * page is not to be shown any more, nothing of the page is told, and it is made anew. @throws Problem | Unavailable
 */
export async function nextPage(deps: FeedDeps, id: string, { after, limit, signal }: { after?: Cursor | undefined; limit: number; signal?: AbortSignal | undefined }): Promise<Page> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    signal?.throwIfAborted();
    const { follower, place } = await whereFrom(deps, id, after);
    const look = await lookAt(deps, follower);
    const ready = await prepare(deps.pool, id, { seen: look, place, groupsMax: limit, queuedMax: deps.queuedGroupsMax });
    if (ready === 'stale') continue;
    const entries = await collect(deps, ready, { place, limit, signal });
    const { position, codebases } = look.vector;
    if (await isStillSo(deps, follower, look)) {
      const from = placeCursor(deps.epoch, place);
      return { entries, after: from, cursor: entries.at(-1)?.cursor ?? from, seen: { position, codebases, shown: look.shown } };
    }
  }
  throw new Unavailable('read tables', 'they stand before what this follower was told already, or change faster than a page is made');
}

/** Behind the given cursor, else behind what is acknowledged. @throws Problem when the cursor lies before that. */
async function whereFrom({ pool }: FeedDeps, id: string, after: Cursor | undefined): Promise<{ follower: Follower; place: Place }> {
  const follower = await inTransaction(pool, (client) => lockFollower(client, id));
  if (after === undefined) return { follower, place: follower.place };
  if (after.kind === 'place') { checkPlace(follower, after.place); return { follower, place: after.place }; }
  const { adopted } = follower;
  if (adopted?.id !== after.id || adopted.seq !== follower.place.doneSeq || follower.place.path !== null) {
    throw new Problem(409, 'snapshot-not-acknowledged', 'The feed goes on behind a snapshot once its cursor is acknowledged: add ack=true, or POST it to …/ack. If more is acknowledged since, ask without after=.');
  }
  return { follower, place: follower.place };
}

export interface Look extends Seen { readonly shown: ReadonlySet<CodebaseId> }

/** What there is for this follower now, or at a position, and what of it may be shown. */
export async function lookAt(deps: FeedDeps, { actor, scope }: Pick<Follower, 'actor' | 'scope'>, at?: Position): Promise<Look> {
  const vector = await deps.vectors.read(scope, at);
  const inScope = new Set(vector.codebases);
  const shown = await deps.readable(actor, vector.codebases);
  const verdictOf = (codebase: CodebaseId): Verdict => (shown.has(codebase) ? 'shown' : inScope.has(codebase) ? 'lost' : 'removed');
  return { epoch: deps.epoch, vector, shown, verdictOf };
}

async function collect(deps: FeedDeps, { groups, generation, end }: Ready, { place, limit, signal }: { place: Place; limit: number; signal: AbortSignal | undefined }): Promise<FollowerEntry[]> {
  const entries: FollowerEntry[] = [];
  for (const group of groups) {
    const after = pathWithin(place, group);
    for await (const entry of entriesOf(deps, { group, generation, after, signal })) {
      if (entries.length >= limit) return entries;
      entries.push(entry);
    }
  }
  if (end !== null) entries.push({ op: 'end', position: positionOutside(deps.epoch, end.position), cursor: placeCursor(deps.epoch, { generation, doneSeq: end.seq, path: null }) });
  return entries;
}

/** A group that was told in part has the number behind what is done; one that was planned anew since has another. */
const pathWithin = ({ doneSeq, path }: Place, { seq }: Group) => (seq === doneSeq + 1 ? path : null);

/** Nothing was taken since the look, and nothing given: an end would be wrong without what was given. */
async function isStillSo(deps: FeedDeps, { actor, scope }: Follower, { vector, shown }: Look): Promise<boolean> {
  const there = await stillShown(deps, { actor, scope }, vector.codebases);
  return there.size === shown.size && [...shown].every((codebase) => there.has(codebase));
}

/** Of these codebases, those that are in the scope, not removed, and readable, now. Access is asked last. */
export async function stillShown(deps: Pick<FeedDeps, 'vectors' | 'readable'>, { actor, scope }: { actor: Actor; scope: RefScope }, codebases: readonly CodebaseId[]): Promise<ReadonlySet<CodebaseId>> {
  const inScope = await deps.vectors.inScope(scope, codebases);
  return deps.readable(actor, codebases.filter((codebase) => inScope.has(codebase)));
}

