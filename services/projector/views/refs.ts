import type { Fact } from '#schemas/events/facts.ts';
import type { View } from '../view.ts';

export type VersionRow = {
  codebase_id: string; ref: string; state: 'stored' | 'deleted' | 'unfollowed'; commit_id: string | null; commit_time: string | null; tree_id: string | null;
  object_format: string | null; sync_id: string; stored_at: string; observed_at: string; position: string;
};

const MOVE = {
  codebase_id: 'indexed text', ref: 'indexed text', state: 'text', commit_time: 'text', tree_id: 'text',
  object_format: 'text', sync_id: 'text', stored_at: 'text', observed_at: 'text',
} as const;

/** Where each ref points now. */
export const refs: View<VersionRow> = {
  table: 'refs',
  key: ['codebase_id', 'ref'],
  columns: { ...MOVE, commit_id: 'text', position: 'text' },
  keysOf: (fact) => (isMove(fact) ? [[fact.data.codebaseId, fact.data.ref]] : []),
  fold(before, fact) {
    if (fact.type === 'sync.skipped') return lookedAgain(before, fact);
    return isMove(fact) ? moved(fact) : before;
  },
};

/** Where each ref has ever pointed: one row a move, deletions too, so that any moment can be answered. */
export const versions: View<VersionRow> = {
  table: 'versions',
  key: ['codebase_id', 'ref', 'position'],
  columns: { ...MOVE, commit_id: 'indexed text', position: 'indexed text' },
  keysOf: (fact) => (isMove(fact) && fact.type !== 'sync.skipped' ? [[fact.data.codebaseId, fact.data.ref, fact.position]] : []),
  fold: (_before, fact) => (isMove(fact) && fact.type !== 'sync.skipped' ? moved(fact) : undefined),
};

type Move = Fact<'codebase.stored' | 'ref.deleted' | 'ref.unfollowed' | 'sync.skipped'>;

function isMove(fact: Fact): fact is Move {
  return fact.type === 'codebase.stored' || fact.type === 'ref.deleted' || fact.type === 'ref.unfollowed' || fact.type === 'sync.skipped';
}

/** Nothing new at GitLab: the version is as fresh as that look, if that is the version it saw. */
function lookedAgain(before: VersionRow | undefined, { data }: Fact<'sync.skipped'>): VersionRow | undefined {
  if (before === undefined || data.observedAt === null || data.reason !== 'up-to-date' || data.commit !== before.commit_id || data.observedAt < before.observed_at) return before;
  return { ...before, observed_at: data.observedAt };
}

function moved(fact: Move): VersionRow | undefined {
  switch (fact.type) {
    case 'codebase.stored': {
      const { codebaseId, ref, commit, commitTime, tree, objectFormat, syncId, observedAt } = fact.data;
      return { codebase_id: codebaseId, ref, state: 'stored', commit_id: commit, commit_time: commitTime, tree_id: tree, object_format: objectFormat, sync_id: syncId, stored_at: fact.time, observed_at: observedAt, position: fact.position };
    }
    case 'ref.deleted': {
      const { codebaseId, ref, syncId, observedAt } = fact.data;
      return { codebase_id: codebaseId, ref, state: 'deleted', commit_id: null, commit_time: null, tree_id: null, object_format: null, sync_id: syncId, stored_at: fact.time, observed_at: observedAt, position: fact.position };
    }
    case 'ref.unfollowed': {
      const { codebaseId, ref, syncId } = fact.data;
      return { codebase_id: codebaseId, ref, state: 'unfollowed', commit_id: null, commit_time: null, tree_id: null, object_format: null, sync_id: syncId, stored_at: fact.time, observed_at: fact.time, position: fact.position };
    }
    case 'sync.skipped': return undefined;
    default: return fact satisfies never;
  }
}
