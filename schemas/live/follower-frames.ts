import { z } from 'zod';
import { followerEntry, followerName } from '../api/followers.ts';

/** `WS /v1/followers/live`: what a client says. One follower a socket. */
export const followerClientFrame = z.discriminatedUnion('op', [
  z.object({ op: z.literal('connect'), v: z.literal(1), token: z.string().max(4_096) }),
  /** Entries behind `after`, or behind what is acknowledged. */
  z.object({ op: z.literal('follow'), name: followerName, after: z.string().max(40_000).optional() }),
  /** Everything up to this cursor is held. */
  z.object({ op: z.literal('ack'), cursor: z.string().max(40_000) }),
]);
export type FollowerClientFrame = z.infer<typeof followerClientFrame>;

/** What the engine says. `entries` are those of `GET /v1/followers/{name}/changes`. */
export const followerServerFrame = z.discriminatedUnion('op', [
  z.object({ op: z.literal('connected'), v: z.literal(1), pingMs: z.number().min(1), inFlightMax: z.int().min(1) }),
  z.object({ op: z.literal('entries'), entries: z.array(followerEntry) }),
  z.object({ op: z.literal('acknowledged'), cursor: z.string() }),
  /** Then the socket is closed. */
  z.object({ op: z.literal('error'), code: z.string(), detail: z.string() }),
]);
export type FollowerServerFrame = z.infer<typeof followerServerFrame>;
