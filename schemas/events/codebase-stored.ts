import { z } from 'zod';
import { defineFact } from './fact.ts';
import { objectCounts, refState, syncOf } from './sync.ts';

/** The ref's head is a visible version: every object below it recomputes to its id and can be read. */
export const codebaseStored = defineFact({
  type: 'codebase.stored',
  schemaVersion: 1,
  streamPrefixes: ['sync-'],
  data: z.object({
    ...syncOf,
    ...refState,
    counts: objectCounts,
    /** Objects that the index did not have before this sync. */
    objectsAdded: z.int().min(0),
  }),
});
