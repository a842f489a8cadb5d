import { z } from 'zod';
import { codebaseId, refName } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** Somebody asks for a look at GitLab now: for one ref, or (null) for every followed one. */
export const syncRequested = defineFact({
  type: 'sync.requested',
  schemaVersion: 1,
  streamPrefixes: ['command-'],
  data: z.object({ codebaseId, ref: refName.nullable(), command }),
});
