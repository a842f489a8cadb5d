import type { CodebaseId, ProjectId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import type { MemberRole } from '#schemas/events/project-member-added.ts';

/** What people decided about a project. */
export interface ProjectState {
  readonly id: ProjectId;
  readonly revision: number;
  readonly decidedAt: number;
  readonly standing: 'active' | 'archived' | 'removed';
  readonly name: string;
  /** Whether the codebase that was asked about belongs to it. */
  readonly isMember: boolean;
  /** Whether the project's members read it. */
  readonly isRead: boolean;
  /** Who is in it, by user id. */
  readonly people: ReadonlyMap<string, MemberRole>;
}

/**
 * The fold of a project's stream, pure, with an eye on one codebase: a project of thousands is read for one member at a time,
 * and nobody needs the set of them here.
 */
export const applyToProject = (about?: CodebaseId) => (before: ProjectState | undefined, fact: Fact): ProjectState | undefined => {
  const { revision, actor } = fact;
  if (fact.type === 'project.created') return { id: fact.data.projectId, revision, decidedAt: revision, standing: 'active', name: fact.data.name, isMember: false, isRead: false, people: new Map(actor.kind === 'user' ? [[actor.id, 'admin']] : []) };
  if (before === undefined) return undefined;
  const decided = { ...before, revision, decidedAt: revision };
  switch (fact.type) {
    case 'project.renamed': return { ...decided, name: fact.data.name };
    case 'project.archived': return { ...decided, standing: 'archived' };
    case 'project.restored': return { ...decided, standing: 'active' };
    case 'project.removed': return { ...decided, standing: 'removed' };
    case 'project.codebase-added': return { ...decided, isMember: before.isMember || fact.data.codebaseId === about };
    case 'project.codebase-removed': return { ...decided, isMember: before.isMember && fact.data.codebaseId !== about, isRead: before.isRead && fact.data.codebaseId !== about };
    case 'project.reading-given': return { ...decided, isRead: before.isRead || fact.data.codebaseId === about };
    case 'project.reading-taken': return { ...decided, isRead: before.isRead && fact.data.codebaseId !== about };
    case 'project.member-added':
    case 'project.member-changed': return { ...decided, people: new Map([...before.people, [fact.data.userId, fact.data.role]]) };
    case 'project.member-removed': return { ...decided, people: new Map([...before.people].filter(([user]) => user !== fact.data.userId)) };
    default: return { ...before, revision };
  }
};
