import type { Duplex } from 'node:stream';
import type { Request } from 'express';
import { WebSocketServer, type WebSocket } from 'ws';
import type { SyncId } from '#schemas/brand.ts';
import type { Bus } from '#shared/bus/bus.ts';
import type { EventLog, Recorded } from '#shared/log/event-log.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { ORIGIN_REFUSED, type Origins } from '#shared/access/origins.ts';
import { refusalsOfSocket, type NoteRefusal, type RefusedOnSocket } from '#shared/audit/note-refusals.ts';
import { callerOf, type Access, type Principal } from '#shared/runtime/access.ts';
import type { HttpDoor } from '#shared/runtime/http-door.ts';
import { networkOf } from '#shared/runtime/limit-requests.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import type { PositionSignal } from '#shared/runtime/position-signal.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import type { Tracing } from '#shared/runtime/tracing.ts';
import { tookStep } from '#shared/runtime/trail.ts';
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
  /** Of the database itself. */
  readonly rightsOf: ReadStore['rightsOf'];
  readonly query: Query;
  readonly bus: Pick<Bus, 'onProgress'>;
  readonly projected: PositionSignal;
  readonly door: HttpDoor;
  readonly access: Access;
  readonly origins: Origins;
  readonly noteRefusal: NoteRefusal;
  readonly tracing: Pick<Tracing, 'inSpans'>;
  readonly logger: Logger;
  now(): Date;
}

/** A frame of a client is small. */
const FRAME_BYTES_MAX = 64 * 1_024;
/** At 15 kB each, 150 MB. */
const SOCKETS_MAX = 10_000;
/** Catch-ups that read at once: however many clients come back, the connections to the database are not theirs alone. */
const CATCH_UPS_AT_ONCE = 2;
/** With the two seconds that an answer is remembered, less than the five of I7. */
const RECHECK_EVERY_MS = 2_000;
/** Each may ask the database: once for all sockets of one sign-in. */
const RECHECKED_AT_ONCE = 4;
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

  deps.door.onUpgrade('/v1/followers/live', (request, wire, head) => admit({ request, wire, route: 'WS /v1/followers/live' }, (caller) => server.handleUpgrade(request, wire, head, (ws) => {
    followers.onSocket(ws, caller);
    const pinging = keepAlive(ws);
    ws.on('close', () => clearInterval(pinging));
  })));
  deps.door.use(streams.routes);
  deps.door.onUpgrade('/v1/live', (request, wire, head) => admit({ request, wire, route: 'WS /v1/live' }, (caller) => server.handleUpgrade(request, wire, head, (socket) => onSocket(socket, { ...caller, wire }))));
  const following = followTail(deps, { after, signal: stopping.signal, tell });
  const rechecking = recheckForever();
  const unlisten = deps.bus.onProgress((one) => { if (progress.keep(one)) fanOut.progress(one); });

  return { name: 'notifier', stop };

  /** Of both kinds together. Who asks by a header is known before the socket is; the others say so in a frame. A page of elsewhere is refused before all. */
  async function admit({ request, wire, route }: { request: Request; wire: Duplex; route: string }, take: (caller: { principal: Principal | undefined; refused: RefusedOnSocket }) => void): Promise<void> {
    const refused = refusalsOfSocket(deps.noteRefusal, { route, network: networkOf(request) });
    if (deps.origins.isForeign(request.headers)) {
      refused(undefined, { code: ORIGIN_REFUSED });
      wire.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n');
      return;
    }
    const found = await callerOf(deps.access, request.headers.authorization).then((principal) => ({ principal }), (error: unknown) => { deps.logger.warn({ error }, 'who asks for a socket cannot be told'); return undefined; });
    if (found !== undefined && sockets.size + followers.sockets() < SOCKETS_MAX && !stopping.signal.aborted) take({ ...found, refused });
    else wire.end('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\r\n');
  }

  function onSocket(socket: WebSocket, caller: { principal: Principal | undefined; refused: RefusedOnSocket; wire: Duplex }): void {
    sockets.set(socket, serveSocket(live, { socket, ...caller }));
    const pinging = keepAlive(socket);
    socket.on('close', () => { sockets.delete(socket); clearInterval(pinging); });
  }

  /** Who was told off is out of sockets and streams too: their requests are asked each time, these only here. */
  async function recheckForever(): Promise<void> {
    for (;;) {
      await deps.sleep(RECHECK_EVERY_MS, stopping.signal);
      if (stopping.signal.aborted) return;
      await Promise.all([mapBounded([...sockets.values()], RECHECKED_AT_ONCE, (one) => one.recheck()), streams.recheck(), followers.recheck(), lookAtRights()]);
    }
  }

  /** While nobody can tell what somebody may hear, they may what they might. */
  async function lookAtRights(): Promise<void> {
    await fanOut.rights.look().catch((error: unknown) => deps.logger.warn({ error }, 'what listeners may hear cannot be looked up'));
  }

  async function tell(facts: readonly Recorded[]): Promise<void> {
    await deps.tracing.inSpans('notify', facts, () => fanOut.tell(facts, stopping.signal));
    const last = facts.at(-1);
    if (last !== undefined && !stopping.signal.aborted) tookStep(deps.logger, 'told', { position: last.position });
    for (const fact of facts) if (ENDS.has(fact.type)) progress.forget((fact.data as { syncId: SyncId }).syncId);
  }

  async function stop(): Promise<void> {
    stopping.abort();
    unlisten();
    streams.stop();
    for (const socket of sockets.values()) socket.close(CLOSE.restarting, 'the engine is stopping; come back');
    await Promise.all([following, rechecking, followers.stop()]);
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
