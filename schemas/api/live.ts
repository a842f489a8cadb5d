import { z } from 'zod';
import { type ServerFrame, type StreamEvents } from '../live/frames.ts';
import { apiPosition } from './receipt.ts';

/** What the engine sends over `WS /v1/live`, read by a client. Its TypeScript twin is `ServerFrame`. */
export const serverFrame = z.discriminatedUnion('op', [
  z.object({ op: z.literal('connected'), v: z.literal(1), pingMs: z.number().min(1), limits: z.object({ channels: z.number(), catchUpFacts: z.number() }) }),
  z.object({ op: z.literal('subscribed'), ch: z.string(), position: apiPosition, recovered: z.boolean() }),
  z.object({
    op: z.literal('pub'), ch: z.string(), position: apiPosition, previous: apiPosition,
    type: z.string(), id: z.string(), time: z.string(), key: z.string(), traceparent: z.string().optional(), data: z.unknown(),
  }),
  z.object({ op: z.literal('progress'), ch: z.string(), progress: z.unknown() }),
  z.object({ op: z.literal('unsubscribed'), ch: z.string() }),
  z.object({ op: z.literal('error'), code: z.string(), detail: z.string(), ch: z.string().optional() }),
]) satisfies z.ZodType<ServerFrame>;

/** The data of a `pub` of `GET /v1/live`, which speaks server-sent events. */
export const streamedFact = z.object({
  channels: z.array(z.string()).min(1), position: apiPosition, previous: apiPosition,
  type: z.string(), id: z.string(), time: z.string(), key: z.string(), traceparent: z.string().optional(), data: z.unknown(),
}) satisfies z.ZodType<StreamEvents['pub']>;
/** The data of its first event. */
export const streamSubscribed = z.object({ channels: z.array(z.string()).min(1), position: apiPosition, recovered: z.boolean() });
/** The data of its last. */
export const streamError = z.object({ code: z.string(), detail: z.string(), position: apiPosition });
