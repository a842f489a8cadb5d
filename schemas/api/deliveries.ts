import { z } from 'zod';
import { codebaseId, factId, sourceId } from '../brand.ts';
import { refHint } from '../events/push-received.ts';
import { apiPosition, apiTime } from './receipt.ts';
import { syncAnswer } from './syncs.ts';

/** One row of `GET /v1/deliveries`: a webhook request as it was understood. */
export const deliverySummary = z.object({
  id: z.string(),
  /** The fact that it became: a cause, when it is a push. */
  fact: factId,
  kind: z.enum(['push', 'ignored', 'hinted']),
  sourceId,
  receivedAt: apiTime,
  codebaseId: codebaseId.nullable(),
  gitlabProjectId: z.int().nullable(),
  /** What a push named; empty when every followed ref is looked at. */
  refs: z.array(refHint),
  /** Why it asks for no work. */
  reason: z.string().nullable(),
  /** What it hints at. */
  about: z.string().nullable(),
  event: z.string().nullable(),
  body: z.object({ bytes: z.int().min(0), sha256: z.string() }),
  position: apiPosition,
});
export type DeliverySummary = z.infer<typeof deliverySummary>;

/** `GET /v1/deliveries`, newest first. */
export const deliveryPage = z.object({ deliveries: z.array(deliverySummary), next: z.string().nullable() });

/** `GET /v1/deliveries/{id}`: `kept` while the request itself is there, for `…/body`. */
export const deliveryDetail = deliverySummary.extend({
  kept: z.object({ headers: z.record(z.string(), z.string()), bodyUrl: z.string() }).nullable(),
  syncs: z.array(syncAnswer),
});
export type DeliveryDetail = z.infer<typeof deliveryDetail>;
