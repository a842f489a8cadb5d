import { z } from 'zod';
import { codebaseId, sourceId } from '../brand.ts';
import { defineFact } from './fact.ts';

/** GitLab will tell us of pushes to this codebase: the webhook stands there, made or adopted by us. */
export const hookInstalled = defineFact({
  type: 'hook.installed',
  schemaVersion: 1,
  streamPrefixes: ['codebase-'],
  data: z.object({
    codebaseId,
    sourceId,
    gitlabHookId: z.int(),
    /** `adopted`: taken as it stood. `repaired`: it had gone, was disabled by GitLab, pointed elsewhere, or lacked its signing token. */
    how: z.enum(['created', 'adopted', 'repaired']),
    /** GitLab said `signing_token_present`: deliveries carry a signature. */
    isSigned: z.boolean(),
  }),
});
