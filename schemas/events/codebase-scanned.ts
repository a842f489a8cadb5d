import { z } from 'zod';
import { defineFact } from './fact.ts';
import { objectCounts, packMade, refState, syncOf } from './sync.ts';

/** Every new blob and tree was looked at; the findings lie in the blob store as one object under their SHA-256. */
export const codebaseScanned = defineFact({
  type: 'codebase.scanned',
  schemaVersion: 1,
  streamPrefixes: ['sync-'],
  data: z.object({
    ...syncOf,
    ...refState,
    packs: z.array(packMade).max(10_000),
    counts: objectCounts,
    /** Null when there was nothing new to look at. */
    findings: z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.int().min(0) }).nullable(),
    attempt: z.int().min(1),
  }),
});
