import { isFollowed } from '#shared/gitlab/followed.ts';
import type { CodebaseView, VersionView } from '#shared/read-store/read-store.ts';

export interface LastLook { readonly at: string; readonly how: 'sync' | 'poll' }

/** How we learn of a push: by GitLab's webhook, as long as it stands there and is not known to be broken; else by looking. */
export function watchedBy({ hook, look }: Pick<CodebaseView, 'hook' | 'look'>): 'hook' | 'poll' {
  return hook.state === 'installed' && (look?.hookTrouble ?? null) === null ? 'hook' : 'poll';
}

/** When GitLab was last asked about this version of a ref, and said that it is the one. A look that saw it differ, or saw an older one, does not count. */
export function lastLookAt({ look, followed }: CodebaseView, version: VersionView, isPast: boolean): LastLook {
  const sync: LastLook = { at: version.observedAt, how: 'sync' };
  if (isPast || look?.lookedAt === undefined || look.lookedAt === null || look.position === null || look.different === null) return sync;
  const counts = version.position <= look.position && !look.different.includes(version.ref) && isFollowed(version.ref, followed);
  return counts && look.lookedAt > version.observedAt ? { at: look.lookedAt, how: 'poll' } : sync;
}

/** Of the codebase as a whole: a look counts when it saw every followed ref equal. */
export function lastLookOf({ look, lastObservedAt }: CodebaseView): LastLook | null {
  const polled = look?.different?.length === 0 ? look.lookedAt : null;
  if (polled !== null && polled !== undefined && (lastObservedAt === null || polled > lastObservedAt)) return { at: polled, how: 'poll' };
  return lastObservedAt === null ? null : { at: lastObservedAt, how: 'sync' };
}
