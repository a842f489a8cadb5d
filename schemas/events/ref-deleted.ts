import { z } from 'zod';
import { objectId, refName } from '../brand.ts';
import { defineFact } from './fact.ts';
import { syncOf } from './sync.ts';

/** GitLab said twice that the ref is gone, while the project itself was readable. */
export const refDeleted = defineFact({
  type: 'ref.deleted',
  schemaVersion: 1,
  streamPrefixes: ['sync-'],
  data: z.object({ ...syncOf, lastCommit: objectId.nullable(), defaultRef: refName.nullable(), observedAt: z.iso.datetime() }),
});
