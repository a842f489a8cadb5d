import { z } from 'zod';
import { defineFact } from './fact.ts';
import { syncOf } from './sync.ts';

/** This attempt cannot succeed. A cause again: the fetcher starts anew until the attempts are used up, then parks the key. */
export const syncFailed = defineFact({
  type: 'sync.failed',
  schemaVersion: 1,
  streamPrefixes: ['sync-'],
  data: z.object({
    ...syncOf,
    step: z.enum(['fetch', 'store']),
    reason: z.enum(['pack-damaged', 'object-damaged', 'object-missing', 'tree-malformed', 'repository-unreadable', 'bound-passed']),
    detail: z.string().max(2_000),
    attempt: z.int().min(1),
  }),
});
