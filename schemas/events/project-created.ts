import { z } from 'zod';
import { projectId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** What people call a project: one line, no control characters. */
export const projectName = z.string().min(1).max(200).regex(/^[^\u0000-\u001f\u007f]*$/, 'no control characters').refine((name) => !/\p{Surrogate}/u.test(name), 'half of a surrogate pair');

/** Somebody wants codebases grouped under a name. */
export const projectCreated = defineFact({
  type: 'project.created',
  schemaVersion: 1,
  streamPrefixes: ['project-'],
  data: z.object({ projectId, name: projectName, command }),
});
