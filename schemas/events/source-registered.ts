import { z } from 'zod';
import { allowAddresses } from '../addresses.ts';
import { sourceId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** A GitLab instance became known. Its credentials are in the vault, never here. Where it may be beside the public network was allowed by who registered it. */
export const sourceRegistered = defineFact({
  type: 'source.registered',
  schemaVersion: 1,
  streamPrefixes: ['source-'],
  data: z.object({ sourceId, name: z.string().min(1).max(200), baseUrl: z.url().max(2_000), allowAddresses: allowAddresses.optional(), command }),
});
