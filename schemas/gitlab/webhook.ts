import { z } from 'zod';

// Only what routes a delivery; nothing else in a payload is trusted. Payloads of GitLab 8 to 19 must pass, so everything
// is optional, ids may be strings, and whatever has another shape counts as absent.

const id = z.coerce.number().pipe(z.int().min(1)).optional().catch(undefined);
const text = z.string().optional().catch(undefined);

const change = z.object({ ref: text, before: text, after: text });

export const webhookBody = z.object({
  object_kind: text,
  event_name: text,
  event_type: text,
  project_id: id,
  project: z.object({ id }).optional().catch(undefined),
  ref: text,
  before: text,
  after: text,
  changes: z.array(change.catch({})).optional().catch(undefined),
  refs: z.array(z.string()).optional().catch(undefined),
});
export type WebhookBody = z.infer<typeof webhookBody>;
