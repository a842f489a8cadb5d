import type { CodebaseId, RefName } from '#schemas/brand.ts';
import { syncIdOf } from '#schemas/ids.ts';
import type { Fact } from '#schemas/events/facts.ts';
import type { View } from '../view.ts';

export type SyncRow = {
  sync_id: string; codebase_id: string; ref: string; cause_id: string | null; correlation_id: string;
  state: 'waiting' | 'fetched' | 'scanned' | 'stored' | 'skipped' | 'deleted' | 'failed'; reason: string | null; detail: string | null; covered_by: string | null;
  commit_id: string | null; tree_id: string | null; hint_reached: boolean | null; attempt: number | null;
  begun_at: string; fetched_at: string | null; scanned_at: string | null; ended_at: string | null;
  counts: object | null; bytes: number | null; objects_added: number | null;
};

type SyncFact = Fact<'codebase.fetched' | 'codebase.scanned' | 'codebase.stored' | 'sync.skipped' | 'ref.deleted' | 'ref.unfollowed' | 'sync.failed'>;

const isOfSync = (fact: Fact): fact is SyncFact => 'syncId' in fact.data;

/** What became of one cause for one ref. A cause that names its refs has its rows at once: whoever asked can look. */
export const syncs: View<SyncRow> = {
  table: 'syncs',
  key: ['sync_id'],
  columns: {
    sync_id: 'indexed text', codebase_id: 'indexed text', ref: 'text', cause_id: 'indexed text', correlation_id: 'text',
    state: 'text', reason: 'text', detail: 'text', covered_by: 'text',
    commit_id: 'text', tree_id: 'text', hint_reached: 'boolean', attempt: 'integer',
    begun_at: 'indexed text', fetched_at: 'text', scanned_at: 'text', ended_at: 'text',
    counts: 'json', bytes: 'bigint', objects_added: 'integer',
  },
  keysOf: (fact) => [...(isOfSync(fact) ? [[fact.data.syncId]] : []), ...awaitedRefs(fact).map((ref) => [awaitedSync(fact, ref)])],
  fold(before, fact, [sync]) {
    if (isOfSync(fact) && fact.data.syncId === sync) return step(before ?? { ...waiting(fact.data.codebaseId, fact.data.ref, fact), sync_id: fact.data.syncId, cause_id: fact.causationId }, fact);
    if (before !== undefined || sync === undefined) return before;
    const refs = awaitedRefs(fact);
    // Ids follow by a hash, a sixth of all the time of a replay: of one ref none is needed to know which is meant.
    const ref = refs.length === 1 ? refs[0] : refs.find((one) => awaitedSync(fact, one) === sync);
    return ref === undefined ? undefined : { ...waiting((fact as Cause).data.codebaseId, ref, fact), sync_id: sync };
  },
};

type Cause = Fact<'sync.requested' | 'gap.detected' | 'sync.failed' | 'push.received'>;

const awaitedSync = (fact: Fact, ref: RefName) => syncIdOf(fact.id, (fact as Cause).data.codebaseId, ref);

/** Refs that will have a sync because of this fact. */
function awaitedRefs(fact: Fact): RefName[] {
  switch (fact.type) {
    case 'sync.requested': return fact.data.ref === null ? [] : [fact.data.ref];
    // Of a failure the next attempt: a new sync that follows from it.
    case 'gap.detected':
    case 'sync.failed': return [fact.data.ref];
    case 'push.received': return [...new Set(fact.data.refs.map((hint) => hint.ref as RefName))];
    default: return [];
  }
}

function waiting(codebase: CodebaseId, ref: RefName, fact: Fact): Omit<SyncRow, 'sync_id'> {
  return {
    codebase_id: codebase, ref, cause_id: fact.id, correlation_id: fact.correlationId,
    state: 'waiting', reason: null, detail: null, covered_by: null, commit_id: null, tree_id: null, hint_reached: null, attempt: null,
    begun_at: fact.time, fetched_at: null, scanned_at: null, ended_at: null, counts: null, bytes: null, objects_added: null,
  };
}

function step(before: SyncRow, fact: SyncFact): SyncRow {
  switch (fact.type) {
    case 'codebase.fetched': {
      const { commit, tree, hintReached, attempt, counts, bytes } = fact.data;
      return { ...before, state: 'fetched', fetched_at: fact.time, commit_id: commit, tree_id: tree, hint_reached: hintReached, attempt, counts, bytes };
    }
    case 'codebase.scanned': return { ...before, state: 'scanned', scanned_at: fact.time };
    case 'codebase.stored': return { ...before, state: 'stored', ended_at: fact.time, objects_added: fact.data.objectsAdded };
    case 'sync.skipped': {
      const { reason, coveredBy, commit, hintReached } = fact.data;
      return { ...before, state: 'skipped', ended_at: fact.time, reason, covered_by: coveredBy, commit_id: commit, hint_reached: hintReached };
    }
    case 'ref.unfollowed': return { ...before, state: 'skipped', ended_at: fact.time, reason: 'not-followed' };
    case 'ref.deleted': return { ...before, state: 'deleted', ended_at: fact.time };
    case 'sync.failed': return { ...before, state: 'failed', ended_at: fact.time, reason: fact.data.reason, detail: fact.data.detail, attempt: fact.data.attempt };
    default: return fact satisfies never;
  }
}
