import { z } from 'zod';
import { allowAddresses } from '../addresses.ts';
import { sourceId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** A source got another name, token, authority, client certificate, proxy or webhook secrets. What they are lies in ingress's table and in the vault, never here; but which private addresses it may have, once that was changed. */
export const sourceChanged = defineFact({
  type: 'source.changed',
  schemaVersion: 1,
  streamPrefixes: ['source-'],
  data: z.object({ sourceId, name: z.string().min(1).max(200), changed: z.array(z.enum(['name', 'token', 'ca', 'client', 'proxy', 'addresses', 'webhook-secret'])).min(1).max(7), allowAddresses: allowAddresses.optional(), command }),
});
