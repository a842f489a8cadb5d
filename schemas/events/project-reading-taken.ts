import { z } from 'zod';
import { codebaseId, projectId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** The members of the project read this codebase of it no longer, unless for another reason. A codebase that leaves the project is read by its members no longer either. */
export const projectReadingTaken = defineFact({
  type: 'project.reading-taken',
  schemaVersion: 1,
  streamPrefixes: ['project-'],
  data: z.object({ projectId, codebaseId, command }),
});
