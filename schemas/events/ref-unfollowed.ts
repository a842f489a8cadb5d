import { z } from 'zod';
import { objectId } from '../brand.ts';
import { defineFact } from './fact.ts';
import { syncOf } from './sync.ts';

/** The codebase follows this ref no longer: it is no current state of anything. What was stored of it stays as history. */
export const refUnfollowed = defineFact({
  type: 'ref.unfollowed',
  schemaVersion: 1,
  streamPrefixes: ['sync-'],
  data: z.object({ ...syncOf, lastCommit: objectId.nullable() }),
});
