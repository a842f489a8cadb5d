import { z } from 'zod';
import { defineFact } from './fact.ts';

/**
 * An engine from before bindings were facts has told all that it had of them: who was bound to whom before this is not known. One
 * that told them from the beginning has no such fact.
 */
export const bindingsRecorded = defineFact({
  type: 'bindings.recorded',
  schemaVersion: 1,
  streamPrefixes: ['people-'],
  /** How many. */
  data: z.object({ bindings: z.int().min(0) }),
});
