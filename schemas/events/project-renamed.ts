import { z } from 'zod';
import { projectId } from '../brand.ts';
import { command, defineFact } from './fact.ts';
import { projectName } from './project-created.ts';

/** The project goes by another name. */
export const projectRenamed = defineFact({
  type: 'project.renamed',
  schemaVersion: 1,
  streamPrefixes: ['project-'],
  data: z.object({ projectId, name: projectName, command }),
});
