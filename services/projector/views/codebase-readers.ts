import type { View } from '../view.ts';

export type CodebaseReadersRow = { codebase_id: string; source_id: string; gitlab_users: number[]; beyond_members: 'nobody' | 'signed-in' | 'everybody'; observed_at: string; revision: number };

/** Who reads a codebase by what its GitLab project says, as GitLab user ids in their order. Nobody, once it is deleted; the stream of its readers goes on if it is registered again. */
export const codebaseReaders: View<CodebaseReadersRow> = {
  table: 'codebase_readers',
  key: ['codebase_id'],
  columns: { codebase_id: 'indexed text', source_id: 'text', gitlab_users: 'bigint[]', beyond_members: 'text', observed_at: 'text', revision: 'integer' },
  keysOf: (fact) => (fact.type === 'codebase.readers-observed' || fact.type === 'codebase.deleted' ? [[fact.data.codebaseId]] : []),
  fold(before, fact) {
    if (fact.type === 'codebase.deleted') return before === undefined ? undefined : { ...before, gitlab_users: [], beyond_members: 'nobody' };
    if (fact.type !== 'codebase.readers-observed') return before;
    const { codebaseId, sourceId, granted, revoked, beyondMembers, observedAt } = fact.data;
    const out = new Set(revoked);
    const users = new Set([...before?.gitlab_users ?? [], ...granted].filter((user) => !out.has(user)));
    return { codebase_id: codebaseId, source_id: sourceId, gitlab_users: [...users].sort((one, other) => one - other), beyond_members: beyondMembers, observed_at: observedAt, revision: fact.revision };
  },
};
