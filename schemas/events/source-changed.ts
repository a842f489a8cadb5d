import { z } from 'zod';
import { sourceId } from '../brand.ts';
import { command, defineFact } from './fact.ts';

/** A source got another name, token, authority, client certificate or proxy. What they are lies in ingress's table and in the vault, never here. */
export const sourceChanged = defineFact({
  type: 'source.changed',
  schemaVersion: 1,
  streamPrefixes: ['source-'],
  data: z.object({ sourceId, name: z.string().min(1).max(200), changed: z.array(z.enum(['name', 'token', 'ca', 'client', 'proxy'])).min(1).max(5), command }),
});
