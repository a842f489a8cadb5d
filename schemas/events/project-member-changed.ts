import { z } from 'zod';
import { projectId, userId } from '../brand.ts';
import { command, defineFact } from './fact.ts';
import { memberRole } from './project-member-added.ts';

/** Somebody in the project is something else there from now on. */
export const projectMemberChanged = defineFact({
  type: 'project.member-changed',
  schemaVersion: 1,
  streamPrefixes: ['project-'],
  data: z.object({ projectId, userId, role: memberRole, command }),
});
