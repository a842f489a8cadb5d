import { z } from 'zod';
import { factId } from '../brand.ts';
import { actor } from '../events/fact.ts';
import { apiPosition, apiTime } from './receipt.ts';

/** A fact as it is shown. Its data stays unread here: a client must not break on a kind of fact that is newer than itself. */
export const eventAnswer = z.object({
  id: factId,
  type: z.string(),
  schemaVersion: z.int(),
  key: z.string(),
  time: apiTime,
  actor,
  correlationId: z.string(),
  causationId: factId.nullable(),
  stream: z.string(),
  revision: z.int().min(0),
  position: apiPosition,
  data: z.unknown(),
});
export type EventAnswer = z.infer<typeof eventAnswer>;

/** `GET /v1/events`: `position` is where the read tables stand. */
export const eventPage = z.object({ events: z.array(eventAnswer), next: apiPosition.nullable(), position: apiPosition });
export type EventPage = z.infer<typeof eventPage>;

/** `GET /v1/parked` */
export const parkedList = z.object({
  parked: z.array(z.object({ group: z.string(), key: z.string(), reason: z.string(), since: z.string(), position: apiPosition, type: z.string(), facts: z.int().min(0) })),
  next: z.string().nullable().default(null),
});
export type ParkedAnswer = z.infer<typeof parkedList>['parked'][number];

/** `POST /v1/parked/{group}/{key}/redrive` */
export const redriven = z.object({ group: z.string(), key: z.string(), facts: z.int().min(0) });
export type Redriven = z.infer<typeof redriven>;
