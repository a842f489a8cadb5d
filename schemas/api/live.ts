import { z } from 'zod';
import { type ServerFrame } from '../live/frames.ts';
import { apiPosition } from './receipt.ts';

/** What the engine sends over `WS /v1/live`, read by a client. Its TypeScript twin is `ServerFrame`. */
export const serverFrame = z.discriminatedUnion('op', [
  z.object({ op: z.literal('connected'), v: z.literal(1), pingMs: z.number().min(1), limits: z.object({ channels: z.number(), catchUpFacts: z.number() }) }),
  z.object({ op: z.literal('subscribed'), ch: z.string(), position: apiPosition, recovered: z.boolean() }),
  z.object({
    op: z.literal('pub'), ch: z.string(), position: apiPosition, previous: apiPosition,
    type: z.string(), id: z.string(), time: z.string(), key: z.string(), data: z.unknown(),
  }),
  z.object({ op: z.literal('progress'), ch: z.string(), progress: z.unknown() }),
  z.object({ op: z.literal('unsubscribed'), ch: z.string() }),
  z.object({ op: z.literal('error'), code: z.string(), detail: z.string() }),
]) satisfies z.ZodType<ServerFrame>;
