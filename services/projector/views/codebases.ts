import type { Fact } from '#schemas/events/facts.ts';
import type { View } from '../view.ts';

export type CodebaseRow = {
  codebase_id: string; source_id: string; gitlab_project_id: number; path: string | null; followed: object; default_ref: string | null;
  hook_state: 'pending' | 'installed' | 'refused' | 'removed'; hook_reason: string | null; hook_is_signed: boolean | null;
  registered_at: string; began_at: string; last_hint_at: string | null; last_whole_hint_at: string | null; last_observed_at: string | null;
  state: 'active' | 'archived' | 'removed' | 'deleted'; removed_at: string | null; revision: number;
};

export const codebases: View<CodebaseRow> = {
  table: 'codebases',
  key: ['codebase_id'],
  columns: {
    codebase_id: 'indexed text', source_id: 'indexed text', gitlab_project_id: 'bigint', path: 'text', followed: 'json', default_ref: 'text',
    hook_state: 'text', hook_reason: 'text', hook_is_signed: 'boolean',
    registered_at: 'text', began_at: 'text', last_hint_at: 'text', last_whole_hint_at: 'text', last_observed_at: 'text',
    state: 'text', removed_at: 'text', revision: 'integer',
  },
  keysOf: (fact) => ('codebaseId' in fact.data && !('projectId' in fact.data) ? [[fact.data.codebaseId]] : []),

  fold(before, fact) {
    if (fact.type === 'codebase.registered') return registered(fact);
    // Syncs and hints of what nobody registered leave no row.
    if (before === undefined) return undefined;
    switch (fact.type) {
      case 'hook.installed': return { ...before, hook_state: 'installed', hook_reason: null, hook_is_signed: fact.data.isSigned, revision: fact.revision };
      case 'hook.refused': return { ...before, hook_state: 'refused', hook_reason: fact.data.reason, hook_is_signed: null, revision: fact.revision };
      case 'hook.removed': return { ...before, hook_state: 'removed', hook_reason: null, hook_is_signed: null, revision: fact.revision };
      case 'codebase.changed': return hinted({ ...before, followed: fact.data.followed, revision: fact.revision }, fact, true);
      case 'codebase.archived': return { ...before, state: 'archived', revision: fact.revision };
      case 'codebase.restored': return hinted({ ...before, state: 'active', removed_at: null, revision: fact.revision }, fact, true);
      case 'codebase.removed': return { ...before, state: 'removed', removed_at: fact.time, revision: fact.revision };
      case 'codebase.deleted': return { ...before, state: 'deleted', revision: fact.revision };
      case 'push.received': return hinted(before, fact, fact.data.refs.length === 0);
      case 'sync.requested': return hinted(before, fact, fact.data.ref === null);
      case 'gap.detected': return hinted(before, fact, false);
      case 'codebase.fetched':
      case 'ref.deleted': return seen(before, fact.data.observedAt, fact.data.defaultRef);
      case 'sync.skipped': return fact.data.observedAt === null ? before : seen(before, fact.data.observedAt, fact.data.defaultRef);
      case 'codebase.scanned':
      case 'codebase.stored':
      case 'sync.failed':
      case 'ref.unfollowed':
      case 'source.registered':
      case 'source.changed':
      case 'source.open-projects-decided':
      case 'source.removed':
      case 'project.created':
      case 'project.renamed':
      case 'project.archived':
      case 'project.restored':
      case 'project.removed':
      case 'project.codebase-added':
      case 'project.codebase-removed':
      case 'project.member-added':
      case 'project.member-changed':
      case 'project.member-removed':
      case 'codebase.readers-observed':
      case 'user.gitlab-bound':
      case 'user.gitlab-unbound':
      case 'bindings.recorded':
      case 'project.reading-given':
      case 'project.reading-taken':
      case 'delivery.ignored':
      case 'gitlab.hinted': return before;
      default: return fact satisfies never;
    }
  },
};

function registered(fact: Fact<'codebase.registered'>): CodebaseRow {
  const { codebaseId, sourceId, gitlabProjectId, path, followed } = fact.data;
  return {
    codebase_id: codebaseId, source_id: sourceId, gitlab_project_id: gitlabProjectId, path, followed, default_ref: null,
    hook_state: 'pending', hook_reason: null, hook_is_signed: null, registered_at: fact.time, began_at: fact.position, last_hint_at: fact.time, last_whole_hint_at: fact.time, last_observed_at: null,
    state: 'active', removed_at: null, revision: fact.revision,
  };
}

/** What names refs waits in the table of syncs; what stands for every ref is remembered here. */
function hinted(before: CodebaseRow, { time }: Fact, isWhole: boolean): CodebaseRow {
  return { ...before, last_hint_at: later(before.last_hint_at, time), last_whole_hint_at: isWhole ? later(before.last_whole_hint_at, time) : before.last_whole_hint_at };
}

/** A hint that waited in a spool is recorded after newer ones. */
const later = (before: string | null, time: string) => (before !== null && before > time ? before : time);

/** Looks may be recorded out of order over refs: the latest look counts. */
function seen(before: CodebaseRow, observedAt: string, defaultRef: string | null): CodebaseRow {
  if (before.last_observed_at !== null && before.last_observed_at > observedAt) return before;
  return { ...before, last_observed_at: observedAt, default_ref: defaultRef };
}
