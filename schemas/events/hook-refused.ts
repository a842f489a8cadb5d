import { z } from 'zod';
import { codebaseId, sourceId } from '../brand.ts';
import { defineFact } from './fact.ts';

/** GitLab answered that we may not make the webhook. Pushes will not be told until somebody makes it by hand. */
export const hookRefused = defineFact({
  type: 'hook.refused',
  schemaVersion: 1,
  streamPrefixes: ['codebase-'],
  data: z.object({ codebaseId, sourceId, reason: z.string().max(2_000) }),
});
