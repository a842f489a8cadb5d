import { z } from 'zod';
import { codebaseId, objectId, refName } from '../brand.ts';
import { apiPosition, apiTime } from './receipt.ts';

/** A version; its commit is null where the ref was deleted, or the repository empty. */
const moment = z.object({ commit: objectId.nullable(), storedAt: apiTime, position: apiPosition });

export const occurrence = z.object({
  codebase: codebaseId,
  ref: refName,
  path: z.string(),
  pathHex: z.string().optional(),
  /** The first version that had it there. */
  from: moment,
  /** The first that had it there no longer; null while it is there. */
  to: moment.nullable(),
});
export type OccurrenceAnswer = z.infer<typeof occurrence>;

/** `GET /v1/objects/{blob id}/occurrences` */
export const occurrencesPage = z.object({
  object: objectId,
  occurrences: z.array(occurrence),
  /** Refs whose history is too much for one answer: what is told of them begins, or ends, at that position. */
  unfinished: z.array(z.object({ codebase: codebaseId, ref: refName, position: apiPosition, reason: z.enum(['versions', 'trees', 'places']) })),
  treesRead: z.int().min(0),
  /** True when this answer tells everything: it begins at the beginning, has no next, and nothing is unfinished. */
  isComplete: z.boolean(),
  next: z.string().nullable(),
});
export type OccurrencesPage = z.infer<typeof occurrencesPage>;
