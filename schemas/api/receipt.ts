import { z } from 'zod';
import { codebaseId, objectId, refName } from '../brand.ts';

/** A position as the outside sees it: opaque, carries the log's epoch. */
export const apiPosition = z.string().min(1).max(200);
export const apiTime = z.iso.datetime();

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
  /** Work on this codebase is set aside until somebody redrives it: `GET /v1/parked?key=`. */
  isParked: z.boolean(),
  position: apiPosition,
});
export type Receipt = z.infer<typeof receipt>;
