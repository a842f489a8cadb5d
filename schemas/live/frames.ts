import { z } from 'zod';

/** What may be listened to: one codebase, the codebases of one project and the project itself, or everything. */
export const channel = z.string().regex(/^(?:all|(?:codebase|project):[0-9a-f-]{36})$/, '"all", "codebase:<id>" or "project:<id>"');

/** What a client sends over `WS /v1/live`, protocol version 1. */
export const clientFrame = z.discriminatedUnion('op', [
  z.object({ op: z.literal('connect'), v: z.literal(1), token: z.string().max(5_000) }),
  /** With `since`, everything after that position comes first; without, only what is new. */
  z.object({ op: z.literal('subscribe'), ch: channel, since: z.string().max(200).optional() }),
  z.object({ op: z.literal('unsubscribe'), ch: channel }),
]);
export type ClientFrame = z.infer<typeof clientFrame>;

export type ServerFrame =
  | { readonly op: 'connected'; readonly v: 1; readonly pingMs: number; readonly limits: { readonly channels: number; readonly catchUpFacts: number } }
  /** `recovered: false`: what was missed is too much, or of another log; load the state anew and go on from `position`. */
  | { readonly op: 'subscribed'; readonly ch: string; readonly position: string; readonly recovered: boolean }
  /** `previous` is the position told before on this channel: another one than yours means a hole. `traceparent`: the span in which the fact was made, if traces were on then. */
  | { readonly op: 'pub'; readonly ch: string; readonly position: string; readonly previous: string; readonly type: string; readonly id: string; readonly time: string; readonly key: string; readonly traceparent?: string | undefined; readonly data: unknown }
  | { readonly op: 'progress'; readonly ch: string; readonly progress: unknown }
  | { readonly op: 'unsubscribed'; readonly ch: string }
  /** `ch` when it is about one channel: that one is not subscribed. The socket stays. */
  | { readonly op: 'error'; readonly code: string; readonly detail: string; readonly ch?: string | undefined };

/** What `GET /v1/live` sends as server-sent events: the name of the event, and its data. One stream for all its channels, in the log's order. */
export interface StreamEvents {
  readonly subscribed: { readonly channels: readonly string[]; readonly position: string; readonly recovered: boolean };
  /** Once, however many of the channels it belongs to: `channels` are those. `previous` is the position told before on this stream. */
  readonly pub: { readonly channels: readonly string[]; readonly position: string; readonly previous: string; readonly type: string; readonly id: string; readonly time: string; readonly key: string; readonly traceparent?: string | undefined; readonly data: unknown };
  readonly progress: { readonly channels: readonly string[]; readonly progress: unknown };
  /** The last event: the stream ends behind it, and may be asked for again, after `position`. */
  readonly error: { readonly code: string; readonly detail: string; readonly position: string };
}
