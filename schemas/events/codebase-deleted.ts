import { z } from 'zod';
import { codebaseId } from '../brand.ts';
import { defineFact } from './fact.ts';

/** Nobody undid its removal in time: it is gone for good. Registering the GitLab project again begins anew. */
export const codebaseDeleted = defineFact({
  type: 'codebase.deleted',
  schemaVersion: 1,
  streamPrefixes: ['codebase-'],
  data: z.object({ codebaseId }),
});
