import type { SourceId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';

/** What people decided about a source. Its address never changes: another GitLab is another source. */
export interface SourceState {
  readonly id: SourceId;
  readonly revision: number;
  readonly decidedAt: number;
  readonly standing: 'active' | 'removed';
  readonly name: string;
  /** Who reads the code of its public and internal projects. */
  readonly openProjectsReadBy: 'members' | 'signed-in';
}

/** The fold of a source's stream: pure. */
export function applyToSource(before: SourceState | undefined, fact: Fact): SourceState | undefined {
  const { revision } = fact;
  if (fact.type === 'source.registered') return { id: fact.data.sourceId, revision, decidedAt: revision, standing: 'active', name: fact.data.name, openProjectsReadBy: 'members' };
  if (before === undefined) return undefined;
  switch (fact.type) {
    case 'source.changed': return { ...before, revision, decidedAt: revision, name: fact.data.name };
    case 'source.open-projects-decided': return { ...before, revision, decidedAt: revision, openProjectsReadBy: fact.data.readBy };
    case 'source.removed': return { ...before, revision, decidedAt: revision, standing: 'removed' };
    default: return { ...before, revision };
  }
}
