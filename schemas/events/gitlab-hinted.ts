import { z } from 'zod';
import { gitlabProjectId, sourceId } from '../brand.ts';
import { defineFact } from './fact.ts';
import { deliveryBody } from './push-received.ts';

/** GitLab said that members or projects may have changed. */
export const gitlabHinted = defineFact({
  type: 'gitlab.hinted',
  schemaVersion: 1,
  streamPrefixes: ['delivery-'],
  data: z.object({
    deliveryId: z.uuid(),
    sourceId,
    about: z.enum(['members', 'projects']),
    event: z.string().max(100),
    gitlabProjectId: gitlabProjectId.nullable(),
    body: deliveryBody,
  }),
});
