import { z } from 'zod';
import { defineFact } from './fact.ts';
import { objectCounts, packMade, refState, syncOf } from './sync.ts';

/** The objects that a ref's head needs and we did not have lie in the blob store, in these packs. Not yet verified. */
export const codebaseFetched = defineFact({
  type: 'codebase.fetched',
  schemaVersion: 1,
  streamPrefixes: ['sync-'],
  data: z.object({
    ...syncOf,
    ...refState,
    packs: z.array(packMade).max(10_000),
    counts: objectCounts,
    /** Bytes of the new objects before compression. */
    bytes: z.int().min(0),
    attempt: z.int().min(1),
  }),
});
