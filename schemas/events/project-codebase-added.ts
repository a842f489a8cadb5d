import { z } from 'zod';
import { codebaseId, projectId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** A codebase belongs to the project. */
export const projectCodebaseAdded = defineFact({
  type: 'project.codebase-added',
  schemaVersion: 1,
  streamPrefixes: ['project-'],
  data: z.object({ projectId, codebaseId, command }),
});
