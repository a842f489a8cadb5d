import type { WebSocket } from 'ws';
import { bearerOf } from '#shared/runtime/access.ts';
import type { HttpDoor } from '#shared/runtime/http-door.ts';
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
  onSocket(socket: WebSocket, authorization: string | undefined): void;
  /** Sockets that are open. */
  sockets(): number;
  stop(): Promise<void>;
}

/** Durable followers: by HTTP, by WebSocket, and by webhooks that we send. */
export function serveFollowers(deps: FollowerDeps): RunningFollowers {
  const stopping = new AbortController();
  const sockets = new Set<WebSocket>();
  deps.door.use(followerRoutes(deps, stopping.signal));
  const delivering = deliverWebhooks(deps, stopping.signal);

  return {
    onSocket(socket, authorization) {
      const token = bearerOf(authorization);
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      serveFollower(deps, socket, { actor: token === undefined ? undefined : deps.access.actorOf(token), pingMs: PING_MS });
    },
    sockets: () => sockets.size,
    async stop() {
      // Whoever waits is told to come back, not that something went wrong.
      stopping.abort(new Unavailable('engine', 'it is stopping', { retryAfterMs: 2_000 }));
      for (const socket of sockets) socket.close(CLOSE.restarting, 'the engine is stopping; come back');
      await delivering;
    },
  };
}
