import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
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
import { createEventStreams } from './event-stream.ts';
import { createFanOut } from './fan-out.ts';
import { serveFollowers, type FollowerDeps } from './followers/serve-followers.ts';
import { createProgressKeeper } from './keep-progress.ts';
import { CLOSE, PING_MS, serveSocket, type LiveDeps, type LiveSocket } from './socket.ts';
import { LIMITS } from './subscription.ts';
import { followTail } from './tail.ts';
import { createTurns } from './turns.ts';

export interface NotifierDeps extends Omit<FollowerDeps, 'epoch' | 'store' | 'door'> {
  readonly log: Pick<EventLog, 'subscribe' | 'readStream' | 'epoch' | 'head'>;
  readonly store: Pick<ReadStore, 'facts' | 'factsOf' | 'members' | 'position'>;
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
/** At 15 kB each, 150 MB. */
const SOCKETS_MAX = 10_000;
/** Catch-ups that read at once: however many clients come back, the connections to the database are not theirs alone. */
const CATCH_UPS_AT_ONCE = 2;
const ENDS = new Set(['codebase.stored', 'sync.skipped', 'ref.deleted', 'sync.failed']);

/** Tells whoever listens what happened, as soon as it can be read. */
export async function start(deps: NotifierDeps): Promise<RunningService> {
  const stopping = new AbortController();
  const epoch = await deps.log.epoch();
  const after = await deps.store.position();
  const fanOut = createFanOut({ ...deps, epoch, yieldTurn: () => new Promise((resolve) => { setImmediate(resolve); }) }, { from: after });
  const live: LiveDeps = { ...deps, epoch, fanOut, turns: createTurns(CATCH_UPS_AT_ONCE), limits: LIMITS };
  const sockets = new Map<WebSocket, LiveSocket>();
  const streams = createEventStreams(live);
  const progress = createProgressKeeper(deps);
  // No compression: it costs a context a socket, and fragments memory.
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: FRAME_BYTES_MAX, clientTracking: false });

  const followers = serveFollowers({ ...deps, epoch });

  deps.door.onUpgrade('/v1/followers/live', (request, wire, head) => withRoom(wire, () => server.handleUpgrade(request, wire, head, (ws) => {
    followers.onSocket(ws, request.headers.authorization);
    const pinging = keepAlive(ws);
    ws.on('close', () => clearInterval(pinging));
  })));
  deps.door.use(streams.routes);
  deps.door.onUpgrade('/v1/live', (request, wire, head) => withRoom(wire, () => server.handleUpgrade(request, wire, head, (socket) => onSocket(socket, { request, wire }))));
  const following = followTail(deps, { after, signal: stopping.signal, tell });
  const unlisten = deps.bus.onProgress((one) => { if (progress.keep(one)) fanOut.progress(one); });

  return { name: 'notifier', stop };

  /** Of both kinds together. */
  function withRoom(wire: Duplex, take: () => void): void {
    if (sockets.size + followers.sockets() < SOCKETS_MAX && !stopping.signal.aborted) take();
    else wire.end('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\r\n');
  }

  function onSocket(socket: WebSocket, { request, wire }: { request: IncomingMessage; wire: Duplex }): void {
    const token = bearerOf(request.headers.authorization);
    const isKnown = token !== undefined && deps.access.actorOf(token) !== undefined;
    sockets.set(socket, serveSocket(live, { socket, wire, isKnown }));
    const pinging = keepAlive(socket);
    socket.on('close', () => { sockets.delete(socket); clearInterval(pinging); });
  }

  async function tell(facts: readonly Recorded[]): Promise<void> {
    await fanOut.tell(facts, stopping.signal);
    for (const fact of facts) if (ENDS.has(fact.type)) progress.forget((fact.data as { syncId: SyncId }).syncId);
  }

  async function stop(): Promise<void> {
    stopping.abort();
    unlisten();
    streams.stop();
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
