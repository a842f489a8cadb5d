import { z } from 'zod';
import { projectId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** Hidden, with its list of codebases. They themselves stay. */
export const projectRemoved = defineFact({
  type: 'project.removed',
  schemaVersion: 1,
  streamPrefixes: ['project-'],
  data: z.object({ projectId, command }),
});
