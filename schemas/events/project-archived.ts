import { z } from 'zod';
import { projectId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** Kept for looking; its codebases are synced as before, for they may be in others too. */
export const projectArchived = defineFact({
  type: 'project.archived',
  schemaVersion: 1,
  streamPrefixes: ['project-'],
  data: z.object({ projectId, command }),
});
