import { z } from 'zod';
import { codebaseId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** Hidden at once. Until the scheduler deletes it, seven days later, it can be restored. */
export const codebaseRemoved = defineFact({
  type: 'codebase.removed',
  schemaVersion: 1,
  streamPrefixes: ['codebase-'],
  data: z.object({ codebaseId, command }),
});
