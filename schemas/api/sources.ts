import { z } from 'zod';
import { sourceId } from '../brand.ts';
import { apiTime } from './receipt.ts';

/** `GET /v1/sources` */
export const sourceList = z.object({ sources: z.array(z.object({ id: sourceId, name: z.string(), baseUrl: z.string(), registeredAt: apiTime, revision: z.int().min(0) })) });
export type SourceAnswer = z.infer<typeof sourceList>['sources'][number];

/** `POST /v1/sources` */
export const sourceRegistered = z.object({ id: sourceId, webhookUrl: z.string() });
export type SourceRegisteredAnswer = z.infer<typeof sourceRegistered>;

/** `PATCH`, `DELETE /v1/sources/{id}`: which of its settings were changed, never to what. */
export const sourceChangedAnswer = z.object({
  id: sourceId, name: z.string(), state: z.enum(['active', 'removed']), revision: z.int().min(0), changed: z.array(z.enum(['name', 'token', 'ca', 'proxy'])),
});
export type SourceChangedAnswer = z.infer<typeof sourceChangedAnswer>;
