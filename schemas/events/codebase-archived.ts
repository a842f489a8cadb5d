import { z } from 'zod';
import { codebaseId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** What is stored stays readable; nothing is synced any more. */
export const codebaseArchived = defineFact({
  type: 'codebase.archived',
  schemaVersion: 1,
  streamPrefixes: ['codebase-'],
  data: z.object({ codebaseId, command }),
});
