import { z } from 'zod';
import { codebaseId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** It was archived or removed, and is kept in sync again. A cause: every followed ref is looked at. */
export const codebaseRestored = defineFact({
  type: 'codebase.restored',
  schemaVersion: 1,
  streamPrefixes: ['codebase-'],
  data: z.object({ codebaseId, command }),
});
