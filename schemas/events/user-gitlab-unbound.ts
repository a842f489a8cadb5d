import { z } from 'zod';
import { sourceId, userId } from '../brand.ts';
import { defineFact } from './fact.ts';
import { gitlabUserId } from './user-gitlab-bound.ts';

/** One of us is this user of the source no longer, nor any other. */
export const userGitLabUnbound = defineFact({
  type: 'user.gitlab-unbound',
  schemaVersion: 1,
  streamPrefixes: ['people-'],
  data: z.object({ userId, sourceId, gitlabUserId }),
});
