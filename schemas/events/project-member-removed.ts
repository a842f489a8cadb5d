import { z } from 'zod';
import { projectId, userId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** Somebody does not belong to the project any more. */
export const projectMemberRemoved = defineFact({
  type: 'project.member-removed',
  schemaVersion: 1,
  streamPrefixes: ['project-'],
  data: z.object({ projectId, userId, command }),
});
