import { setTimeout as sleepFor } from 'node:timers/promises';
import { syncProgress, type SyncProgress } from '#schemas/api/syncs.ts';
import type { ServerFrame } from '#schemas/live/frames.ts';
import { ApiProblem, EngineUnreachable, UnexpectedAnswer } from './api-errors.ts';
import { openLiveSocket, type LiveSocketEnd } from './live-socket.ts';

export interface LiveOptions {
  /** `all`, `codebase:<id>`, or `project:<id>`. */
  readonly channel: string;
  /** Everything after this position comes first; without it, only what is new. */
  readonly since?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** `position` is always the place to resume from. */
export type LiveMessage =
  /** Everything after `position` will come. The first message. */
  | { readonly kind: 'listening'; readonly position: string }
  | { readonly kind: 'fact'; readonly position: string; readonly type: string; readonly id: string; readonly time: string; readonly key: string; readonly data: unknown }
  | { readonly kind: 'progress'; readonly progress: SyncProgress }
  /** The connection is gone; it is made again, and goes on after `position`. */
  | { readonly kind: 'lost'; readonly reason: string; readonly position: string | undefined }
  | { readonly kind: 'resumed'; readonly position: string }
  /** Facts before `position` were missed for good: read the state anew. */
  | { readonly kind: 'gap'; readonly position: string };

export interface LiveDeps { readonly url: string; readonly token: string | undefined }

/** From 0.1 s, doubled, up to 5 s, each with up to half of it added by chance: clients must not come back in step. */
const RETRY_MS_FIRST = 100;
const RETRY_MS_MAX = 5_000;
/** Close codes: from here on coming back is of no use before something was mended. */
const CLOSE_FINAL_FROM = 4_500;
const CLOSE_NOT_AUTHENTICATED = 4_501;

/** As an address would be answered. */
const STATUS: Readonly<Record<string, number>> = { 'codebase-unknown': 404, 'project-unknown': 404, 'not-allowed': 403, 'access-lost': 403 };

interface Place {
  position: string | undefined;
  hasListened: boolean;
  failures: number;
  /** The last connection showed a hole: asked for again once, then believed. */
  hasHole: boolean;
}

/** @throws ApiProblem | EngineUnreachable when it cannot begin; after that only for what no new connection mends. */
export async function* followLive(deps: LiveDeps, { channel, since, signal = new AbortController().signal }: LiveOptions): AsyncGenerator<LiveMessage> {
  const place: Place = { position: since, hasListened: false, failures: 0, hasHole: false };
  while (!signal.aborted) {
    const reason = yield* oneConnection(deps, { channel, place, signal });
    if (signal.aborted) return;
    yield { kind: 'lost', reason, position: place.position };
    const waitMs = Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** place.failures) * (1 + Math.random() / 2);
    place.failures += 1;
    await sleepFor(waitMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Speaks until the connection ends; returns why it did. */
async function* oneConnection(deps: LiveDeps, { channel, place, signal }: { channel: string; place: Place; signal: AbortSignal }): AsyncGenerator<LiveMessage, string> {
  const socket = openLiveSocket({ ...deps, channel, since: place.position, signal });
  let isListening = false;
  try {
    for await (const frame of socket.frames) {
      const message = messageOf(frame, place);
      if (message === 'hole') return 'a message is missing: it is asked for again';
      if (message === undefined) continue;
      if (message.kind === 'listening' || message.kind === 'resumed') { isListening = true; place.failures = 0; }
      yield message;
    }
  } finally {
    socket.close();
  }
  return reasonToComeBack(deps, await socket.ended, place.hasListened || isListening);
}

function messageOf(frame: ServerFrame, place: Place): LiveMessage | 'hole' | undefined {
  switch (frame.op) {
    case 'connected':
    case 'unsubscribed': return undefined;
    case 'error': throw new ApiProblem({ status: STATUS[frame.code] ?? 400, code: frame.code, detail: frame.detail });
    case 'progress': {
      const parsed = syncProgress.safeParse(frame.progress);
      return parsed.success ? { kind: 'progress', progress: parsed.data } : undefined;
    }
    case 'subscribed': {
      const kind = !frame.recovered ? 'gap' : place.hasListened ? 'resumed' : 'listening';
      place.position = frame.position;
      place.hasListened = true;
      place.failures = 0;
      return { kind, position: frame.position };
    }
    case 'pub': {
      const isHole = frame.previous !== place.position;
      if (isHole && !place.hasHole) { place.hasHole = true; return 'hole'; }
      place.hasHole = false;
      place.position = frame.position;
      const { position, type, id, time, key, data } = frame;
      return { kind: 'fact', position, type, id, time, key, data };
    }
    default: return frame satisfies never;
  }
}

function reasonToComeBack(deps: LiveDeps, end: LiveSocketEnd, hasListened: boolean): string {
  switch (end.kind) {
    case 'unreachable':
      if (!hasListened) throw new EngineUnreachable(deps.url, end.cause);
      return end.reason;
    case 'refused': throw new ApiProblem({ status: end.status, code: 'no-live-updates', detail: `${deps.url}/v1/live was answered ${end.status} instead of a WebSocket. Does the engine there run the notifier, and do proxies on the way let WebSockets pass?` });
    case 'notUnderstood': throw new UnexpectedAnswer(`${deps.url}/v1/live sent what this program does not understand (${end.detail}). Are it and the engine of one version?`);
    case 'closed':
      if (end.code === CLOSE_NOT_AUTHENTICATED) throw new ApiProblem({ status: 401, code: 'not-authenticated', detail: `The engine at ${deps.url} does not know this access token (${end.reason}).` });
      if (end.code >= CLOSE_FINAL_FROM && end.code < 5_000) throw new ApiProblem({ status: 400, code: `closed-${end.code}`, detail: end.reason });
      return end.reason === '' ? `the connection was closed (${end.code})` : end.reason;
    default: return end satisfies never;
  }
}
