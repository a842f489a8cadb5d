import { z } from 'zod';
import { projectId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** It was archived or removed, and is in use again. */
export const projectRestored = defineFact({
  type: 'project.restored',
  schemaVersion: 1,
  streamPrefixes: ['project-'],
  data: z.object({ projectId, command }),
});
