import type { ObjectId, SyncId } from '#schemas/brand.ts';
import type { GitLabProject } from '#shared/gitlab/gitlab.ts';
import type { Head } from './heads.ts';
import type { Expected } from './hints.ts';

/** What GitLab showed of a ref, and when it was asked. */
export interface Observed {
  readonly at: Date;
  readonly project: GitLabProject;
  /** Undefined: GitLab said twice that there is no such ref. */
  readonly commit: ObjectId | undefined;
  /** Of that commit, as far as GitLab told. */
  readonly parents: readonly ObjectId[];
  /** Whether GitLab knows the commit that the hint named; undefined when it was not asked. */
  readonly isExpectedKnown: boolean | undefined;
}

export type Decision =
  | { readonly kind: 'bring'; readonly commit: ObjectId; readonly hintReached: boolean | null }
  | { readonly kind: 'empty' }
  | { readonly kind: 'deleted'; readonly lastCommit: ObjectId | null }
  | { readonly kind: 'skip'; readonly reason: 'up-to-date' | 'nothing-there'; readonly coveredBy: SyncId | null; readonly commit: ObjectId | null; readonly hintReached: boolean | null }
  | { readonly kind: 'wait'; readonly afterMs: number; readonly expected: string };

/** How long GitLab may show an older state than its own hook spoke of; then the hint is given up, and said to be. */
const LAG_MS_MAX = 60_000;

export interface DecideHead {
  readonly observed: Observed;
  readonly known: Head | undefined;
  readonly expected: Expected;
  /** Where the hints say the ref came from. */
  readonly befores: readonly (string | null)[];
  readonly sinceFirstMs: number;
}

/** What to do about a ref: the whole rule, without asking anybody. */
export function decideHead({ observed, known, expected, sinceFirstMs, befores }: DecideHead): Decision {
  const hintReached = isReached(observed, expected, befores);
  const isNew = known === undefined || known.isDeleted || known.commit !== (observed.commit ?? null);
  const mayLag = hintReached === false && sinceFirstMs < LAG_MS_MAX;

  if (observed.commit !== undefined) {
    // Something new is brought at once, hint or not; only a look that found nothing waits.
    if (isNew) return { kind: 'bring', commit: observed.commit, hintReached };
    if (mayLag) return { kind: 'wait', afterMs: lagWaitMs(sinceFirstMs), expected: String(expected) };
    return { kind: 'skip', reason: 'up-to-date', coveredBy: known?.sync ?? null, commit: observed.commit, hintReached };
  }
  if (mayLag) return { kind: 'wait', afterMs: lagWaitMs(sinceFirstMs), expected: String(expected) };
  if (observed.project.isEmpty) {
    if (known === undefined || known.isDeleted) return { kind: 'empty' };
    if (known.commit === null) return { kind: 'skip', reason: 'up-to-date', coveredBy: known.sync, commit: null, hintReached };
    return { kind: 'deleted', lastCommit: known.commit };
  }
  if (known === undefined || known.isDeleted) return { kind: 'skip', reason: 'nothing-there', coveredBy: known?.sync ?? null, commit: null, hintReached };
  return { kind: 'deleted', lastCommit: known.commit };
}

/** Null when the hint named nothing. A commit that GitLab knows and that is not the head was passed by already. */
function isReached({ commit, isExpectedKnown }: Observed, expected: Expected, befores: readonly (string | null)[]): boolean | null {
  if (expected === null) return null;
  if (expected === 'deleted') return true; // Gone, or there again: GitLab's present word either way.
  if (commit === expected) return true;
  // Still where the hint says it was: GitLab is behind, even if it knows the commit from another branch.
  return isExpectedKnown === true && (commit === undefined || !befores.includes(commit));
}

/** Half a second at first, growing with the wait: about ten looks in a minute. */
const lagWaitMs = (sinceFirstMs: number) => Math.max(500, Math.min(10_000, sinceFirstMs));
