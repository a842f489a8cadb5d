import { z } from 'zod';
import { sourceId } from '../brand.ts';
import { apiTime } from './receipt.ts';

/** `GET /v1/sources` */
export const sourceList = z.object({ sources: z.array(z.object({ id: sourceId, name: z.string(), baseUrl: z.string(), registeredAt: apiTime })) });
export type SourceAnswer = z.infer<typeof sourceList>['sources'][number];

/** In `GET /v1/sources/{id}`: how close the looks at its refs can be within the budget of requests. Null until the first look. */
export const sourcePolling = z.object({
  /** A push without a webhook is found within so many seconds: of a codebase active in the last hour, and of a quiet one. */
  activeBoundSeconds: z.int(),
  idleBoundSeconds: z.int(),
  requestsPerMinute: z.int(),
  /** What the wanted pace would take. Above the budget the bounds are stretched. */
  wantedPerMinute: z.int(),
  /** GitLab asked for a pause, or does not answer: no look before this. */
  heldUntil: apiTime.nullable(),
  heldReason: z.string().nullable(),
});
export type SourcePolling = z.infer<typeof sourcePolling>;

/** `POST /v1/sources` */
export const sourceRegistered = z.object({ id: sourceId, webhookUrl: z.string() });
export type SourceRegisteredAnswer = z.infer<typeof sourceRegistered>;
