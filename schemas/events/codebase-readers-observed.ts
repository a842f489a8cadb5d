import { z } from 'zod';
import { codebaseId, gitlabProjectId, sourceId } from '../brand.ts';
import { defineFact } from './fact.ts';

/** A GitLab user, by the id that their GitLab gave them. */
const gitlabUsers = z.array(z.int().min(1)).max(5_000);

/**
 * GitLab was asked who reads the code of this project, answered whole, and it is not as it was: who came in and who is out, since
 * the fact before in this stream. Ids only: names are GitLab's.
 */
export const codebaseReadersObserved = defineFact({
  type: 'codebase.readers-observed',
  schemaVersion: 1,
  streamPrefixes: ['readers-'],
  data: z.object({
    codebaseId,
    sourceId,
    gitlabProjectId,
    granted: gitlabUsers,
    revoked: gitlabUsers,
    /** Who GitLab lets read the code beside its members. */
    beyondMembers: z.enum(['nobody', 'signed-in', 'everybody']),
    observedAt: z.iso.datetime(),
  }),
});
