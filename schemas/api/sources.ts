import { z } from 'zod';
import { sourceId } from '../brand.ts';
import { apiTime } from './receipt.ts';

/** `GET /v1/sources` */
export const sourceList = z.object({ sources: z.array(z.object({ id: sourceId, name: z.string(), baseUrl: z.string(), registeredAt: apiTime })) });
export type SourceAnswer = z.infer<typeof sourceList>['sources'][number];

/** `POST /v1/sources` */
export const sourceRegistered = z.object({ id: sourceId, webhookUrl: z.string() });
export type SourceRegisteredAnswer = z.infer<typeof sourceRegistered>;
