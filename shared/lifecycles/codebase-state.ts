import type { FollowedRefs } from '#schemas/events/codebase-registered.ts';
import type { Fact } from '#schemas/events/facts.ts';

/** Archived: readable, not synced. Removed: hidden, can be undone. Deleted: gone; registering it again begins anew. */
export type Standing = 'active' | 'archived' | 'removed' | 'deleted';

/** What people and GitLab decided about a codebase, as its stream says. */
export interface CodebaseState {
  readonly revision: number;
  /** Of the newest fact that a command made. What came after it, the engine noted by itself. */
  readonly decidedAt: number;
  readonly standing: Standing;
  /** The newest: after a deletion it begins anew. */
  readonly registration: Fact<'codebase.registered'>;
  readonly followed: FollowedRefs;
  /** Of what is removed and not yet deleted. */
  readonly removal: Fact<'codebase.removed'> | undefined;
  /** Our webhook in GitLab, as far as we know. */
  readonly hook: { readonly id: number; /** GitLab said so: a delivery of it that is not signed is none of it. */ readonly isSigned: boolean } | undefined;
  /** The fact that the scheduler last told the end of: its hook was installed, refused or removed. */
  readonly hookToldOf: string | null;
}

const DAY_MS = 86_400_000;
/** How long a removal can be undone. */
export const UNDO_MS = 7 * DAY_MS;

/** When a codebase that was removed then is deleted: an ISO time. */
export const undoUntil = (removedAt: string) => new Date(Date.parse(removedAt) + UNDO_MS).toISOString();

/** The fold of a codebase's stream. Facts of other kinds change nothing but the revision. */
export function applyToCodebase(before: CodebaseState | undefined, fact: Fact): CodebaseState | undefined {
  if (fact.type === 'codebase.registered') {
    const { revision } = fact;
    return { revision, decidedAt: revision, standing: 'active', registration: fact, followed: fact.data.followed, removal: undefined, hook: undefined, hookToldOf: null };
  }
  if (before === undefined) return undefined;
  const noted = { ...before, revision: fact.revision };
  const decided = { ...noted, decidedAt: fact.revision };
  switch (fact.type) {
    case 'codebase.changed': return { ...decided, followed: fact.data.followed };
    case 'codebase.archived': return { ...decided, standing: 'archived' };
    case 'codebase.restored': return { ...decided, standing: 'active', removal: undefined };
    case 'codebase.removed': return { ...decided, standing: 'removed', removal: fact };
    // Nobody can go on from what is gone: it counts as decided.
    case 'codebase.deleted': return { ...decided, standing: 'deleted', removal: undefined, hook: undefined };
    case 'hook.installed': return { ...noted, hook: { id: fact.data.gitlabHookId, isSigned: fact.data.isSigned }, hookToldOf: fact.causationId };
    // Made by hand from here on: then nobody told us that it signs.
    case 'hook.refused': return { ...noted, hook: noted.hook && { ...noted.hook, isSigned: false }, hookToldOf: fact.causationId };
    case 'hook.removed': return { ...noted, hook: undefined, hookToldOf: fact.causationId };
    default: return noted;
  }
}
