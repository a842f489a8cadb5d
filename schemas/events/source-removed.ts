import { z } from 'zod';
import { sourceId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** A GitLab is known no longer, and its credentials are forgotten. Final: it had no codebase left. */
export const sourceRemoved = defineFact({
  type: 'source.removed',
  schemaVersion: 1,
  streamPrefixes: ['source-'],
  data: z.object({ sourceId, command }),
});
