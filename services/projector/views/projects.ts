import type { Fact } from '#schemas/events/facts.ts';
import type { View } from '../view.ts';

export type ProjectRow = { project_id: string; name: string; state: 'active' | 'archived' | 'removed'; created_at: string; removed_at: string | null; revision: number };

export const projects: View<ProjectRow> = {
  table: 'projects',
  key: ['project_id'],
  keysOf: (fact) => ('projectId' in fact.data ? [[fact.data.projectId]] : []),
  fold(before, fact) {
    const { revision, time } = fact;
    if (fact.type === 'project.created') return { project_id: fact.data.projectId, name: fact.data.name, state: 'active', created_at: time, removed_at: null, revision };
    if (before === undefined) return undefined;
    switch (fact.type) {
      case 'project.renamed': return { ...before, name: fact.data.name, revision };
      case 'project.archived': return { ...before, state: 'archived', revision };
      case 'project.restored': return { ...before, state: 'active', removed_at: null, revision };
      case 'project.removed': return { ...before, state: 'removed', removed_at: time, revision };
      default: return { ...before, revision };
    }
  },
};

export type ProjectCodebaseRow = { project_id: string; codebase_id: string; is_member: boolean };

/** Which codebases belong to which project, and which did. */
export const projectCodebases: View<ProjectCodebaseRow> = {
  table: 'project_codebases',
  key: ['project_id', 'codebase_id'],
  keysOf: (fact) => (isMembership(fact) ? [[fact.data.projectId, fact.data.codebaseId]] : []),
  fold: (before, fact) => (isMembership(fact) ? { project_id: fact.data.projectId, codebase_id: fact.data.codebaseId, is_member: fact.type === 'project.codebase-added' } : before),
};

function isMembership(fact: Fact): fact is Fact<'project.codebase-added' | 'project.codebase-removed'> {
  return fact.type === 'project.codebase-added' || fact.type === 'project.codebase-removed';
}
