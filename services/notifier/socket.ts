import type { WebSocket } from 'ws';
import { clientFrame, type ClientFrame, type ServerFrame } from '#schemas/live/frames.ts';
import { positionInside } from '#schemas/positions.ts';
import type { Position } from '#schemas/brand.ts';
import type { Progress } from '#shared/bus/bus.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import type { Access } from '#shared/runtime/access.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { CATCH_UP_FACTS_MAX, createSubscription, type Subscription, type SubscriptionDeps } from './subscription.ts';

/** A client that does not read is let go: 4 MiB are some 4,000 facts. */
const BACKLOG_BYTES_MAX = 4 * 1_048_576;
const CONNECT_MS_MAX = 10_000;
export const PING_MS = 25_000;
const CHANNELS_MAX = 200;

/** 4000–4499: come back, with the position; 4500–4999: do not, mend it first. */
export const CLOSE = { restarting: 4_001, tooSlow: 4_008, notAuthenticated: 4_501, malformed: 4_502 } as const;

export interface SocketDeps extends Omit<SubscriptionDeps, 'store'> {
  readonly store: Pick<ReadStore, 'facts' | 'position'>;
  readonly access: Access;
  readonly logger: Logger;
}

export interface LiveSocket {
  take(fact: Recorded): void;
  tellProgress(progress: Progress): void;
  close(code: number, reason: string): void;
}

/** Speaks the live protocol with one client. */
export function serveSocket(deps: SocketDeps, socket: WebSocket, options: { isKnown: boolean }): LiveSocket {
  const subscriptions = new Map<string, Subscription>();
  const closing = new AbortController();
  let isKnown = options.isKnown;
  const lateFrame = setTimeout(() => { if (!isKnown) socket.close(CLOSE.notAuthenticated, 'send a connect frame within 10 s'); }, CONNECT_MS_MAX);
  // One frame after the other: a subscribe that reads must not be overtaken by the next.
  let turn = Promise.resolve();

  socket.on('message', (message: Buffer) => {
    turn = turn.then(() => onMessage(message)).catch((error: unknown) => {
      deps.logger.warn({ error }, 'a live socket failed');
      socket.close(CLOSE.restarting, 'something we depend on is away; come back');
    });
  });
  socket.on('close', () => { clearTimeout(lateFrame); closing.abort(); });
  socket.on('error', (error) => deps.logger.debug({ error }, 'a live socket broke'));
  if (isKnown) greet();

  return {
    take: (fact) => { for (const subscription of subscriptions.values()) subscription.take(fact); },
    tellProgress(progress) {
      for (const ch of ['all', `codebase:${progress.codebaseId}`]) if (subscriptions.has(ch)) send({ op: 'progress', ch, progress });
    },
    close: (code, reason) => socket.close(code, reason),
  };

  async function onMessage(message: Buffer): Promise<void> {
    const frame = parse(message);
    if (frame === undefined) { socket.close(CLOSE.malformed, 'not a frame of protocol version 1'); return; }
    if (frame.op === 'connect') { connect(frame.token); return; }
    if (!isKnown) { socket.close(CLOSE.notAuthenticated, 'connect first'); return; }
    if (frame.op === 'unsubscribe') { subscriptions.delete(frame.ch); send({ op: 'unsubscribed', ch: frame.ch }); return; }
    await subscribe(frame);
  }

  function connect(token: string): void {
    if (deps.access.actorOf(token) === undefined) { socket.close(CLOSE.notAuthenticated, 'this token is not known'); return; }
    isKnown = true;
    greet();
  }

  function greet(): void {
    send({ op: 'connected', v: 1, pingMs: PING_MS, limits: { channels: CHANNELS_MAX, catchUpFacts: CATCH_UP_FACTS_MAX } });
  }

  async function subscribe({ ch, since }: Extract<ClientFrame, { op: 'subscribe' }>): Promise<void> {
    if (subscriptions.size >= CHANNELS_MAX && !subscriptions.has(ch)) { send({ op: 'error', code: 'too-many-channels', detail: `A socket has at most ${CHANNELS_MAX} channels.` }); return; }
    const from = await whereFrom(ch, since);
    if (from === undefined) { send({ op: 'error', code: 'position-malformed', detail: 'since= is no position as answers give them.' }); return; }
    const subscription = createSubscription(deps, { ch, since: from.position, send });
    // It listens before it looks, so that nothing falls between the two.
    subscriptions.set(ch, subscription);
    send({ op: 'subscribed', ch, position: subscription.position(), recovered: from.recovered });
    await subscription.catchUp(closing.signal);
  }

  async function whereFrom(ch: string, since: string | undefined): Promise<{ position: Position; recovered: boolean } | undefined> {
    const now = await deps.store.position();
    if (since === undefined) return { position: now, recovered: true };
    const inside = positionInside(deps.epoch, since);
    if (inside.kind === 'malformed') return undefined;
    if (inside.kind === 'otherEpoch') return { position: now, recovered: false };
    const key = ch === 'all' ? {} : { key: ch.slice('codebase:'.length) };
    const missed = await deps.store.facts({ ...key, after: inside.position, limit: CATCH_UP_FACTS_MAX + 1 });
    return missed.length > CATCH_UP_FACTS_MAX ? { position: now, recovered: false } : { position: inside.position, recovered: true };
  }

  function send(frame: ServerFrame): void {
    if (socket.readyState !== socket.OPEN) return;
    if (socket.bufferedAmount > BACKLOG_BYTES_MAX) {
      const ch = 'ch' in frame ? frame.ch : '';
      socket.close(CLOSE.tooSlow, `too slow; resume after ${frame.op === 'pub' ? frame.previous : subscriptions.get(ch)?.position() ?? 'where you stand'}`);
      return;
    }
    socket.send(JSON.stringify(frame));
  }
}

function parse(message: Buffer): ClientFrame | undefined {
  try {
    return clientFrame.parse(JSON.parse(message.toString('utf8')));
  } catch {
    return undefined;
  }
}
