import { z } from 'zod';
import { codebaseId, gitlabProjectId, sourceId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** Which refs of a codebase are followed: branches all or by pattern, tags by pattern only. `*` matches anything, `/` too. */
export const followedRefs = z.object({
  branches: z.array(z.string().min(1).max(255)).max(100),
  tags: z.array(z.string().min(1).max(255)).max(100),
});
export type FollowedRefs = z.infer<typeof followedRefs>;

/** Somebody wants this GitLab project kept in sync. A cause: the first sync of every followed ref. */
export const codebaseRegistered = defineFact({
  type: 'codebase.registered',
  schemaVersion: 1,
  streamPrefixes: ['codebase-'],
  data: z.object({
    codebaseId,
    sourceId,
    gitlabProjectId,
    /** As GitLab named it then, for display; null when GitLab could not be asked. */
    path: z.string().max(1_000).nullable(),
    followed: followedRefs,
    command,
  }),
});
