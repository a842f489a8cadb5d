import { z } from 'zod';
import { codebaseId } from '../brand.ts';
import { followedRefs } from './codebase-registered.ts';
import { command, defineFact } from './fact.ts';

/** Other refs are followed from now on. A cause: refs that are new to it are brought, refs that left it are no longer current. */
export const codebaseChanged = defineFact({
  type: 'codebase.changed',
  schemaVersion: 1,
  streamPrefixes: ['codebase-'],
  data: z.object({ codebaseId, followed: followedRefs, command }),
});
