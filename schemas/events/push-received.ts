import { z } from 'zod';
import { codebaseId, gitlabProjectId, refName, sourceId } from '../brand.ts';
import { defineFact } from './fact.ts';

/** A commit id as a payload names it: all zeros for "no commit". Never trusted, only expected. */
const hintedCommit = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/);

export const refHint = z.object({ ref: refName, before: hintedCommit.nullable(), after: hintedCommit.nullable() });
export type RefHint = z.infer<typeof refHint>;

/** What is known of a delivery's raw body, which itself lies in ingress's table `deliveries`. */
export const deliveryBody = z.object({ bytes: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) });

/** GitLab said that refs of a codebase moved. A hint: the work is always "bring the ref to what GitLab has now". */
export const pushReceived = defineFact({
  type: 'push.received',
  schemaVersion: 1,
  streamPrefixes: ['delivery-'],
  data: z.object({
    deliveryId: z.uuid(),
    sourceId,
    codebaseId,
    gitlabProjectId,
    /** Empty when the payload names none that we can use: then every followed ref is looked at. */
    refs: z.array(refHint).max(5_000),
    body: deliveryBody,
  }),
});
