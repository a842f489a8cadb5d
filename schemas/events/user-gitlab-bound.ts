import { z } from 'zod';
import { sourceId, userId } from '../brand.ts';
import { defineFact } from './fact.ts';

/** A GitLab user, by the id that their GitLab gave them. */
export const gitlabUserId = z.int().min(1);

/** One of us is this user of the source, in place of whom they were there before: they read what GitLab lets that user read. */
export const userGitLabBound = defineFact({
  type: 'user.gitlab-bound',
  schemaVersion: 1,
  streamPrefixes: ['people-'],
  data: z.object({ userId, sourceId, gitlabUserId }),
});
