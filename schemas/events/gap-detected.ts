import { z } from 'zod';
import { codebaseId, objectId, refName } from '../brand.ts';
import { defineFact } from './fact.ts';

/**
 * A look at GitLab showed a ref where our last sync did not leave it, and no hint of it was on its way: a webhook was
 * lost, or there is none. A cause: the ref is brought to what GitLab has now.
 */
export const gapDetected = defineFact({
  type: 'gap.detected',
  schemaVersion: 1,
  streamPrefixes: ['command-'],
  data: z.object({
    codebaseId,
    ref: refName,
    /** Where GitLab had the ref; null when it listed none of that name. */
    found: objectId.nullable(),
    /** What our last sync left; null when we have none of that name, or an empty repository. */
    known: objectId.nullable(),
    /** When GitLab was asked. */
    lookedAt: z.iso.datetime(),
    how: z.enum(['poll']),
  }),
});
