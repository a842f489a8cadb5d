import type { IncomingMessage } from 'node:http';
import { WebSocketServer, type WebSocket } from 'ws';
import type { SyncId } from '#schemas/brand.ts';
import type { Bus } from '#shared/bus/bus.ts';
import type { EventLog, Recorded } from '#shared/log/event-log.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { bearerOf, type Access } from '#shared/runtime/access.ts';
import type { HttpDoor } from '#shared/runtime/http-door.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import type { PositionSignal } from '#shared/runtime/position-signal.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { serveFollowers, type FollowerDeps } from './followers/serve-followers.ts';
import { createProgressKeeper } from './keep-progress.ts';
import { CLOSE, PING_MS, serveSocket, type LiveSocket } from './socket.ts';
import { followTail } from './tail.ts';

export interface NotifierDeps extends Omit<FollowerDeps, 'epoch' | 'store' | 'door'> {
  readonly log: Pick<EventLog, 'subscribe' | 'readStream' | 'epoch'>;
  readonly store: Pick<ReadStore, 'facts' | 'position'>;
  readonly query: Query;
  readonly bus: Pick<Bus, 'onProgress'>;
  readonly projected: PositionSignal;
  readonly door: HttpDoor;
  readonly access: Access;
  readonly logger: Logger;
  now(): Date;
}

/** A frame of a client is small. */
const FRAME_BYTES_MAX = 64 * 1_024;
const ENDS = new Set(['codebase.stored', 'sync.skipped', 'ref.deleted', 'sync.failed']);

/** Tells whoever listens what happened, as soon as it can be read. */
export async function start(deps: NotifierDeps): Promise<RunningService> {
  const stopping = new AbortController();
  const epoch = await deps.log.epoch();
  const sockets = new Map<WebSocket, LiveSocket>();
  const progress = createProgressKeeper(deps);
  // No compression: it costs a context a socket, and fragments memory.
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: FRAME_BYTES_MAX, clientTracking: false });

  const followers = serveFollowers({ ...deps, epoch });

  deps.door.onUpgrade('/v1/followers/live', (request, socket, head) => server.handleUpgrade(request, socket, head, (ws) => {
    followers.onSocket(ws, request.headers.authorization);
    const pinging = keepAlive(ws);
    ws.on('close', () => clearInterval(pinging));
  }));
  deps.door.onUpgrade('/v1/live', (request, socket, head) => server.handleUpgrade(request, socket, head, (ws) => onSocket(ws, request)));
  const following = followTail(deps, { after: await deps.store.position(), signal: stopping.signal, tell });
  const unlisten = deps.bus.onProgress((one) => {
    progress.keep(one);
    for (const socket of sockets.values()) socket.tellProgress(one);
  });

  return { name: 'notifier', stop };

  function onSocket(ws: WebSocket, request: IncomingMessage): void {
    const token = bearerOf(request.headers.authorization);
    const isKnown = token !== undefined && deps.access.actorOf(token) !== undefined;
    sockets.set(ws, serveSocket({ ...deps, epoch }, ws, { isKnown }));
    const pinging = keepAlive(ws);
    ws.on('close', () => { sockets.delete(ws); clearInterval(pinging); });
  }

  function tell(facts: readonly Recorded[]): void {
    for (const fact of facts) {
      for (const socket of sockets.values()) socket.take(fact);
      if (ENDS.has(fact.type)) progress.forget((fact.data as { syncId: SyncId }).syncId);
    }
  }

  async function stop(): Promise<void> {
    stopping.abort();
    unlisten();
    for (const socket of sockets.values()) socket.close(CLOSE.restarting, 'the engine is stopping; come back');
    await Promise.all([following, followers.stop()]);
  }
}

/** A client that did not answer the last ping is gone. */
function keepAlive(ws: WebSocket): NodeJS.Timeout {
  let isAlive = true;
  ws.on('pong', () => { isAlive = true; });
  const pinging = setInterval(() => {
    if (!isAlive) { ws.terminate(); return; }
    isAlive = false;
    ws.ping();
  }, PING_MS);
  pinging.unref();
  return pinging;
}
