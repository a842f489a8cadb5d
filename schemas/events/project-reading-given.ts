import { z } from 'zod';
import { codebaseId, projectId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** An admin of the project says that its members read this codebase of it, whatever GitLab says of them. The fact's actor is who said so. */
export const projectReadingGiven = defineFact({
  type: 'project.reading-given',
  schemaVersion: 1,
  streamPrefixes: ['project-'],
  data: z.object({ projectId, codebaseId, command }),
});
