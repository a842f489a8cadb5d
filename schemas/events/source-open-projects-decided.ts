import { z } from 'zod';
import { sourceId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** Who reads the code of a source's public and internal projects: their members, as of all others; or whoever is signed in here. */
export const openProjectsReadBy = z.enum(['members', 'signed-in']);

/** Until somebody decides it, their members do. */
export const sourceOpenProjectsDecided = defineFact({
  type: 'source.open-projects-decided',
  schemaVersion: 1,
  streamPrefixes: ['source-'],
  data: z.object({ sourceId, readBy: openProjectsReadBy, command }),
});
