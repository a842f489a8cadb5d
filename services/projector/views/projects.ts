import type { MemberRole } from '#schemas/events/project-member-added.ts';
import type { View } from '../view.ts';

export type ProjectRow = { project_id: string; name: string; state: 'active' | 'archived' | 'removed'; created_at: string; removed_at: string | null; revision: number };

export const projects: View<ProjectRow> = {
  table: 'projects',
  key: ['project_id'],
  columns: { project_id: 'indexed text', name: 'text', state: 'text', created_at: 'text', removed_at: 'text', revision: 'integer' },
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

export type ProjectCodebaseRow = { project_id: string; codebase_id: string; is_member: boolean; is_read: boolean };

/** Which codebases belong to which project, and which did; and which of them its members read because an admin of it said so. */
export const projectCodebases: View<ProjectCodebaseRow> = {
  table: 'project_codebases',
  key: ['project_id', 'codebase_id'],
  columns: { project_id: 'indexed text', codebase_id: 'indexed text', is_member: 'boolean', is_read: 'boolean' },
  keysOf: ({ data }) => ('projectId' in data && 'codebaseId' in data ? [[data.projectId, data.codebaseId]] : []),
  fold(before, { type }, [project = '', codebase = '']) {
    const row = before ?? { project_id: project, codebase_id: codebase, is_member: false, is_read: false };
    switch (type) {
      case 'project.codebase-added': return { ...row, is_member: true };
      // What comes back is read by nobody until somebody says so again.
      case 'project.codebase-removed': return { ...row, is_member: false, is_read: false };
      case 'project.reading-given': return { ...row, is_read: true };
      case 'project.reading-taken': return { ...row, is_read: false };
      default: return before;
    }
  },
};

export type ProjectPersonRow = { project_id: string; user_id: string; role: MemberRole | null; since: string };

/** Who is what in which project, since when; of who is there no longer, since when not. */
export const projectPeople: View<ProjectPersonRow> = {
  table: 'project_people',
  key: ['project_id', 'user_id'],
  columns: { project_id: 'indexed text', user_id: 'indexed text', role: 'text', since: 'text' },
  keysOf(fact) {
    if (fact.type === 'project.created') return fact.actor.kind === 'user' ? [[fact.data.projectId, fact.actor.id]] : [];
    return 'projectId' in fact.data && 'userId' in fact.data ? [[fact.data.projectId, fact.data.userId]] : [];
  },
  fold(before, { type, data, time }, [project = '', user = '']) {
    switch (type) {
      case 'project.created': return { project_id: project, user_id: user, role: 'admin', since: time };
      case 'project.member-added':
      case 'project.member-changed': return { project_id: project, user_id: user, role: data.role, since: time };
      case 'project.member-removed': return { project_id: project, user_id: user, role: null, since: time };
      default: return before;
    }
  },
};
