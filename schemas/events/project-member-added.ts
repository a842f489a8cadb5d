import { z } from 'zod';
import { projectId, userId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** What somebody is in a project: who decides about it and its people, and who is in it. */
export const memberRole = z.enum(['member', 'admin']);
export type MemberRole = z.infer<typeof memberRole>;

/** Somebody belongs to the project. Who created it does so from the beginning: `project.created` of a user makes them its admin. */
export const projectMemberAdded = defineFact({
  type: 'project.member-added',
  schemaVersion: 1,
  streamPrefixes: ['project-'],
  data: z.object({ projectId, userId, role: memberRole, command }),
});
