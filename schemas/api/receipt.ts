import { z } from 'zod';
import { codebaseId, objectId, refName } from '../brand.ts';

/** A position as the outside sees it: opaque, carries the log's epoch. */
export const apiPosition = z.string().min(1).max(200);
export const apiTime = z.iso.datetime();

/** How a push is learned of: by webhook, or by looking at GitLab's refs from time to time. */
export const watchedBy = z.enum(['hook', 'poll']);

/** When GitLab was last asked and what we have was found current: by a sync, or by a look at its refs. */
export const lastLook = z.object({ at: apiTime, how: z.enum(['sync', 'poll']) });

/** How fresh an answer is, and not a bit more (invariant I10). */
export const receipt = z.object({
  codebase: codebaseId,
  ref: refName,
  commit: objectId.nullable(),
  tree: objectId.nullable(),
  storedAt: apiTime,
  observedAt: apiTime,
  /** A push or a command came after GitLab was last asked. */
  isHintWaiting: z.boolean(),
  watchedBy,
  /** Counts for this ref alone. */
  lastLook: lastLook.nullable(),
  /** Work on this codebase is set aside until somebody redrives it: `GET /v1/parked?key=`. */
  isParked: z.boolean(),
  position: apiPosition,
});
