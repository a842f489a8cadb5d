import { z } from 'zod';
import { codebaseId, projectId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** A codebase belongs to the project no longer. */
export const projectCodebaseRemoved = defineFact({
  type: 'project.codebase-removed',
  schemaVersion: 1,
  streamPrefixes: ['project-'],
  data: z.object({ projectId, codebaseId, command }),
});
