import type { CodebaseId, ObjectId, RefName, SyncId } from '#schemas/brand.ts';
import type { FollowedRefs } from '#schemas/events/codebase-registered.ts';
import { isFollowed } from '#shared/gitlab/followed.ts';
import type { RefHead } from '#shared/gitlab/gitlab.ts';
import type { VersionView } from '#shared/read-store/read-store.ts';

/** A followed ref that GitLab has elsewhere than our last sync left it. */
export interface Difference { readonly ref: RefName; readonly found: ObjectId | null; readonly known: ObjectId | null }

/** What differs between GitLab's list and our refs, of those that are followed. Ours without a commit is an empty repository: absent is equal. */
export function differencesOf({ listed, stored, followed }: { listed: readonly RefHead[]; stored: readonly VersionView[]; followed: FollowedRefs }): Difference[] {
  const found = new Map(listed.filter(({ ref }) => isFollowed(ref, followed)).map(({ ref, commit }) => [ref, commit]));
  const known = new Map(stored.filter(({ ref, state }) => state === 'stored' && isFollowed(ref, followed)).map(({ ref, commit }) => [ref, commit]));
  return [...new Set([...found.keys(), ...known.keys()])].flatMap((ref): Difference[] => {
    const difference = { ref, found: found.get(ref) ?? null, known: known.get(ref) ?? null };
    return difference.found === difference.known ? [] : [difference];
  });
}

/** The last sync of a ref that has ended, in any way. */
export interface LastEnded { readonly id: SyncId; readonly begunAt: string }

export interface Sight {
  readonly codebase: CodebaseId;
  readonly differences: readonly Difference[];
  /** Looked up after GitLab answered, in tables that had all that stood in the log before it was asked. */
  readonly refsUnderWay: ReadonlySet<RefName>;
  readonly lastEnded: ReadonlyMap<RefName, LastEnded>;
  /** The newest cause for every ref, while the fetcher may still be at it. */
  readonly wholeHintAt: string | null;
  /** What the look before saw differ: the last ended sync of each ref then. */
  readonly suspects: ReadonlyMap<RefName, SyncId | null>;
}

export interface Gap extends Difference { readonly lastEnded: LastEnded | undefined }

export interface Judgement {
  readonly gaps: readonly Gap[];
  readonly suspects: ReadonlyMap<RefName, SyncId | null>;
}

/**
 * A difference is a gap when a look some seconds before saw that ref differ too, and since then no sync of it has ended
 * and no hint of it has come: a webhook in flight would have. Where GitLab's head stood at the first look does not
 * matter: a ref that moves every second without a hook is a gap as well.
 */
export function judge({ differences, refsUnderWay, lastEnded, wholeHintAt, suspects }: Sight): Judgement {
  const gaps: Gap[] = [];
  const next = new Map<RefName, SyncId | null>();
  for (const difference of differences) {
    const { ref } = difference;
    const last = lastEnded.get(ref);
    const mayBeComing = wholeHintAt !== null && (last === undefined || last.begunAt < wholeHintAt);
    if (refsUnderWay.has(ref) || mayBeComing) continue;
    const id = last?.id ?? null;
    if (suspects.get(ref) === id) gaps.push({ ...difference, lastEnded: last });
    else next.set(ref, id);
  }
  return { gaps, suspects: next };
}
