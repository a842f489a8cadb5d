import type { WebSocket } from 'ws';
import type { RefusedOnSocket } from '#shared/audit/note-refusals.ts';
import type { Principal } from '#shared/runtime/access.ts';
import type { HttpDoor } from '#shared/runtime/http-door.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { deliverWebhooks, type DeliverDeps } from './deliver-webhooks.ts';
import { CLOSE, PING_MS, serveFollower, type FollowerSocketDeps } from './follower-socket.ts';
import { followerRoutes, type RouteDeps } from './routes.ts';

export interface FollowerDeps extends RouteDeps, FollowerSocketDeps, Omit<DeliverDeps, 'vault'> {
  readonly door: Pick<HttpDoor, 'use'>;
  readonly vault: RouteDeps['vault'] & DeliverDeps['vault'];
}

export interface RunningFollowers {
  /** Takes over a socket of `WS /v1/followers/live`. */
  onSocket(socket: WebSocket, caller: { readonly principal: Principal | undefined; readonly refused: RefusedOnSocket }): void;
  /** Sockets that are open. */
  sockets(): number;
  /** Lets go of who may not be here any more. */
  recheck(): Promise<void>;
  stop(): Promise<void>;
}

/** Each may ask the database: once for all sockets of one sign-in. */
const RECHECKED_AT_ONCE = 4;

/** Durable followers: by HTTP, by WebSocket, and by webhooks that we send. */
export function serveFollowers(deps: FollowerDeps): RunningFollowers {
  const stopping = new AbortController();
  const sockets = new Map<WebSocket, { recheck(): Promise<void> }>();
  deps.door.use(followerRoutes(deps, stopping.signal));
  const delivering = deliverWebhooks(deps, stopping.signal);

  return {
    onSocket(socket, caller) {
      sockets.set(socket, serveFollower(deps, socket, { ...caller, pingMs: PING_MS }));
      socket.on('close', () => sockets.delete(socket));
    },
    sockets: () => sockets.size,
    recheck: async () => { await mapBounded([...sockets.values()], RECHECKED_AT_ONCE, (one) => one.recheck()); },
    async stop() {
      // Whoever waits is told to come back, not that something went wrong.
      stopping.abort(new Unavailable('engine', 'it is stopping', { retryAfterMs: 2_000 }));
      for (const socket of sockets.keys()) socket.close(CLOSE.restarting, 'the engine is stopping; come back');
      await delivering;
    },
  };
}
