import { z } from 'zod';
import { codebaseId, sourceId } from '../brand.ts';
import { defineFact } from './fact.ts';

/** Our webhook does not stand in GitLab any more: taken away by us, or found gone. */
export const hookRemoved = defineFact({
  type: 'hook.removed',
  schemaVersion: 1,
  streamPrefixes: ['codebase-'],
  data: z.object({ codebaseId, sourceId, gitlabHookId: z.int() }),
});
