import { z } from 'zod';
import { codebaseId, factId, gitlabProjectId, refName, sourceId } from '../brand.ts';
import { followedRefs } from '../events/codebase-registered.ts';
import { apiTime, lastLook, receipt, watchedBy } from './receipt.ts';

/** One row of `GET /v1/codebases`. */
export const codebaseSummary = z.object({
  id: codebaseId,
  sourceId,
  gitlabProjectId,
  /** Null when GitLab could not be asked at registration. */
  path: z.string().nullable(),
  followed: followedRefs,
  /** Null until the first sync. */
  defaultRef: refName.nullable(),
  hook: z.object({ state: z.enum(['pending', 'installed', 'refused', 'removed']), reason: z.string().nullable(), isSigned: z.boolean().nullable() }),
  registeredAt: apiTime,
  lastHintAt: apiTime.nullable(),
  lastObservedAt: apiTime.nullable(),
  watchedBy,
  /** Counts where every followed ref was found current. */
  lastLook: lastLook.nullable(),
  /** Why the installed webhook does not work, as far as known. */
  hookTrouble: z.string().nullable(),
  /** Archived: read, and synced no longer. Removed: only to be restored. */
  state: z.enum(['active', 'archived', 'removed']),
  /** Until when a removal can be undone; null for what is not removed. */
  undoUntil: apiTime.nullable(),
  /** Of what people decided about it: `If-Match: "<revision>"`. */
  revision: z.int().min(0),
});
export type CodebaseSummary = z.infer<typeof codebaseSummary>;

/** `GET /v1/codebases` */
export const codebasePage = z.object({ codebases: z.array(codebaseSummary), next: z.string().nullable() });

/** `GET /v1/codebases/{id}` */
export const codebaseDetail = codebaseSummary.extend({
  refs: z.int().min(0),
  head: receipt.nullable(),
  parked: z.array(z.object({ group: z.string(), reason: z.string(), since: z.string(), type: z.string(), facts: z.int() })),
  /** Facts that could not be folded: what is answered may miss them. */
  unfolded: z.int().min(0),
});
export type CodebaseDetail = z.infer<typeof codebaseDetail>;

/** `POST /v1/codebases` */
export const codebaseRegistered = z.object({
  id: codebaseId, cause: factId, syncs: z.string(),
  /** `restored`: it was archived or removed. `known`: it is followed already, so. */
  how: z.enum(['registered', 'restored', 'known']),
});
export type CodebaseAnswer = z.infer<typeof codebaseRegistered>;

/** What a command on a codebase answers. */
export const codebaseChangedAnswer = z.object({
  id: codebaseId,
  state: z.enum(['active', 'archived', 'removed']),
  followed: followedRefs,
  revision: z.int().min(0),
  undoUntil: apiTime.nullable(),
  /** The fact that has GitLab looked at, and the syncs that follow from it; null when none do. */
  cause: factId.nullable(),
  syncs: z.string().nullable(),
});
export type CodebaseChangedAnswer = z.infer<typeof codebaseChangedAnswer>;
