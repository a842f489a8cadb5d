import type { Pool, PoolClient } from 'pg';
import type { CodebaseId, Position } from '#schemas/brand.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import type { RefVector } from '#shared/read-store/ref-vectors.ts';
import { comparePlaces, type Place } from './cursor.ts';
import { insertGroups, insertHeld, loadHeld, loadQueue, lockFollower } from './follower-rows.ts';
import { applyStep, heldOf, planSteps, withhold, type Group, type Held, type Step, type Verdict } from './plan-groups.ts';

/** What a follower is planned to be told at most: who lags behind more than this sees versions in between left out. */
export const QUEUED_GROUPS_MAX = 1_000;

export interface Seen { readonly epoch: string; readonly vector: RefVector; verdictOf(codebase: CodebaseId): Verdict }

export interface Ready {
  readonly generation: number;
  /** Behind the place, in order. */
  readonly groups: readonly Group[];
  /** Set when nothing follows behind `groups`: what is held then. */
  readonly end: { readonly position: Position; readonly seq: number } | null;
}

/**
 * Brings the queue up to what was seen: drops first, then what is new, appended. What was planned before is never changed, only
 * dropped with its codebase: a client may have been told it already. 'stale' when it was planned from
 * a later look before: somebody was quicker, or the read tables are being built anew and must not be taken for the present.
 */
export function prepare(pool: Pool, id: string, { seen, place, groupsMax, queuedMax = QUEUED_GROUPS_MAX }: { seen: Seen; place: Place; groupsMax: number; queuedMax?: number | undefined }): Promise<Ready | 'stale'> {
  const { vector, verdictOf } = seen;
  return inTransaction(pool, async (client) => {
    const follower = await lockFollower(client, id);
    const isPassed = follower.seen.epoch === seen.epoch && follower.seen.position > vector.position;
    // Acknowledged meanwhile: what lies between is no longer kept.
    const isBehind = follower.place.generation !== place.generation || comparePlaces(place, follower.place) < 0;
    if (isBehind || isPassed) return 'stale';
    const shown = heldOf(vector.codebases.filter((one) => verdictOf(one) === 'shown'), vector.refs);
    let held = await loadHeld(client, id);
    if (!follower.hasBegun) {
      held = new Map([...shown.keys()].map((one) => [one, new Map()]));
      await insertHeld(client, id, held);
    }
    const queue = await loadQueue(client, id, { afterSeq: follower.place.doneSeq, limit: 2 * QUEUED_GROUPS_MAX });
    const planned = plan({ held, queue, shown }, { lastSeq: follower.lastSeq, seen, queuedMax });
    if (planned.isRewritten) await client.query('delete from follower_groups where follower_id = $1', [id]);
    if (planned.added.length > 0) await insertGroups(client, id, planned.added);
    const lastSeq = planned.added.at(-1)?.seq ?? follower.lastSeq;
    const plannedPosition = planned.isWhole ? vector.position : null;
    await client.query('update followers set has_begun = true, last_seq = $2, planned_position = $3, seen_epoch = $4, seen_position = $5 where follower_id = $1',
      [id, lastSeq, plannedPosition, seen.epoch, vector.position]);
    return readyOf(client, id, { place, groupsMax, lastSeq, plannedPosition });
  });
}

interface Now { readonly held: Held; readonly queue: readonly Group[]; readonly shown: Held }

function plan({ held, queue, shown }: Now, { lastSeq, queuedMax, seen: { vector: { position }, verdictOf } }: { lastSeq: number; queuedMax: number; seen: Seen }): { added: Group[]; isRewritten: boolean; isWhole: boolean } {
  const { drops, rest } = withhold(held, queue, { verdictOf, position });
  const isRewritten = drops.length > 0;
  // Told anew from the beginning, under numbers of their own: an acknowledgement of the old ones then changes nothing.
  const kept: readonly Step[] = isRewritten ? [...drops, ...rest] : [];
  for (const step of isRewritten ? kept : queue) applyStep(held, step);
  const left = isRewritten ? kept.length : queue.length;
  const { steps, isWhole } = planSteps(held, shown, { position, stepsMax: Math.max(0, queuedMax - left) });
  return { added: [...kept, ...steps].map((step, index) => ({ ...step, seq: lastSeq + 1 + index })), isRewritten, isWhole };
}

async function readyOf(client: PoolClient, id: string, { place, groupsMax, lastSeq, plannedPosition }: { place: Place; groupsMax: number; lastSeq: number; plannedPosition: Position | null }): Promise<Ready> {
  const groups = await loadQueue(client, id, { afterSeq: place.doneSeq, limit: groupsMax });
  const isLast = (groups.at(-1)?.seq ?? lastSeq) === lastSeq;
  return { generation: place.generation, groups, end: isLast && plannedPosition !== null ? { position: plannedPosition, seq: lastSeq } : null };
}
