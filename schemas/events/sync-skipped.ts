import { z } from 'zod';
import { objectId, refName, syncId } from '../brand.ts';
import { defineFact } from './fact.ts';
import { syncOf } from './sync.ts';

/** The cause needed no work of its own. */
export const syncSkipped = defineFact({
  type: 'sync.skipped',
  schemaVersion: 1,
  streamPrefixes: ['sync-'],
  data: z.object({
    ...syncOf,
    reason: z.enum(['up-to-date', 'newer-hint', 'not-followed', 'nothing-there', 'codebase-archived', 'codebase-removed']),
    /** The sync that brought, or will bring, what this cause asked for. */
    coveredBy: syncId.nullable(),
    commit: objectId.nullable(),
    defaultRef: refName.nullable(),
    /** When GitLab was asked for the head; null when the answer was left to `coveredBy`. */
    observedAt: z.iso.datetime().nullable(),
    hintReached: z.boolean().nullable(),
  }),
});
