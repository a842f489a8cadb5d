import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import express, { type Request, type RequestHandler } from 'express';
import helmet from 'helmet';
import { createAllowedMethods, shownRoute, type Serves } from './allowed-methods.ts';
import { compressJson } from './compress-json.ts';
import type { Logger } from './logger.ts';
import { notFoundHandler, Problem, problemHandler, sendProblem } from './problem.ts';

/** A client that sends slower than this is not a client. 25 MiB in 60 s is 3.5 Mbit/s. */
const REQUEST_MS_MAX = 60_000;
const HEADERS_MS_MAX = 10_000;
/** After this, connections that still stand are cut at close. */
const DRAIN_MS_MAX = 10_000;

/** A request as handlers get it, so that `ip` is who asks, also behind proxies that are trusted. */
export type UpgradeHandler = (request: Request, socket: Duplex, head: Buffer) => void;

/** One HTTP port that several services share: each adds what it serves, whoever owns the process listens. */
export interface HttpDoor {
  /** `serves`: where it is no router, so that OPTIONS and 405 know. */
  use(handler: RequestHandler, serves?: Serves): void;
  /** Takes WebSocket upgrades at exactly this path. */
  onUpgrade(path: string, handler: UpgradeHandler): void;
  /** Everything that is served, by path: `GET /v1/codebases/{id}`, `WS /v1/live`. */
  served(): readonly string[];
  /** Resolves to the port taken. */
  listen(port: number): Promise<number>;
  /** No new requests; those under way are answered. */
  close(): Promise<void>;
}

export interface HttpDoorOptions {
  readonly logger: Logger;
  readonly host?: string;
  /** By which the port is given, for who gave one that is taken. */
  readonly portSetting?: string;
  /** Addresses and ranges: of who comes through them, `request.ip` is what they say in X-Forwarded-For, from its end on. By default nobody is believed. */
  readonly trustedProxies?: readonly string[];
  /** False while services are still to come: what nobody serves yet is 503 and not 404, at which a client or GitLab would give up. */
  isWhole?(): boolean;
}

/**
 * What is answered is for programs, and may be anybody's file: a browser that is led to it runs nothing of it, shows it in no frame and
 * gives it to no page of elsewhere. Who ends TLS says whether a name is for TLS alone. What helmet has for pages is left out.
 */
const FOR_BROWSERS = helmet({
  contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"], frameAncestors: ["'none'"], sandbox: [] } },
  xFrameOptions: { action: 'deny' }, strictTransportSecurity: false, crossOriginOpenerPolicy: false, originAgentCluster: false, xDnsPrefetchControl: false, xDownloadOptions: false, xPermittedCrossDomainPolicies: false, xXssProtection: false,
});

const STARTING = new Problem(503, 'starting', 'The engine is starting and does not serve this yet. Nothing was taken; ask again.', { retryAfterS: 2 });

export function createHttpDoor({ logger, host = '0.0.0.0', portSetting = 'TEKAI_PORT', trustedProxies = [], isWhole = () => true }: HttpDoorOptions): HttpDoor {
  const app = express();
  app.disable('x-powered-by');
  app.set('trust proxy', [...trustedProxies]);
  // Parameter pollution: a name given twice is an array only where a handler asks for one.
  app.set('query parser', 'simple');
  // Of the whole body: a list that did not change is a 304, whoever serves it.
  app.set('etag', 'strong');
  app.use((_request, response, next) => { response.setHeader('X-Request-Id', randomUUID()); next(); });
  app.use(FOR_BROWSERS);
  app.use(compressJson());
  const allowed = createAllowedMethods();
  // Before any router: each would answer for itself alone.
  app.use((request, response, next) => {
    // What a token may read is no other's, and is asked for again each time.
    if (/^\/v1(?:\/|$)/i.test(request.path)) response.setHeader('Cache-Control', 'private, no-cache');
    const methods = request.method === 'OPTIONS' ? allowed.of(request.path) : [];
    if (methods.length === 0) next();
    else response.status(204).setHeader('Allow', methods.join(', ')).end();
  });
  const handlers: RequestHandler[] = [];
  app.use((request, response, next) => {
    const step = (index: number) => (error?: unknown) => {
      const handler = handlers[index];
      if (error !== undefined || handler === undefined) next(error);
      // What it throws at once too: a router passes on in a turn of its own, where nobody else would catch it.
      else new Promise((resolve) => { resolve(handler(request, response, step(index + 1))); }).catch(next);
    };
    step(0)();
  });
  // Said, not thrown: it is no failure, and worth no line of the log for each request.
  app.use((_request, response, next) => { if (isWhole()) next(); else sendProblem(response, STARTING); });
  app.use((request, response, next) => {
    const methods = allowed.of(request.path);
    if (methods.length === 0 || methods.includes(request.method)) { next(); return; }
    response.setHeader('Allow', methods.join(', '));
    throw new Problem(405, 'method-not-allowed', `${request.method} is not what ${request.path} takes. It takes ${methods.join(', ')}.`);
  });
  app.use(notFoundHandler);
  app.use(problemHandler(logger));

  const upgrades = new Map<string, UpgradeHandler>();
  const server = createServer({ requestTimeout: REQUEST_MS_MAX, headersTimeout: HEADERS_MS_MAX, connectionsCheckingInterval: 2_000 }, app);
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (request, socket, head) => {
    // Node lets go of an upgraded socket: without a listener a client that breaks off would end the process.
    socket.on('error', (error) => logger.debug({ error }, 'an upgraded connection broke'));
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
    const handler = upgrades.get((request.url ?? '').split('?')[0] ?? '');
    if (handler === undefined) socket.end(isWhole() ? 'HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n' : 'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\n\r\n');
    // As express does with those that it handles.
    else handler(Object.setPrototypeOf(request, app.request) as Request, socket, head);
  });

  return {
    use(handler, serves = []) {
      handlers.push(handler);
      allowed.add(handler, serves);
    },
    onUpgrade: (path, handler) => void upgrades.set(path, handler),
    served: () => [...allowed.all(), ...[...upgrades.keys()].map((path) => `WS ${path}`)].map(shownRoute).sort(byPath),
    async listen(port) {
      server.listen(port, host);
      await once(server, 'listening').catch((error: unknown) => { throw portTaken(portSetting, port, error); });
      return (server.address() as AddressInfo).port;
    },
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      const cut = setTimeout(() => {
        server.closeAllConnections();
        for (const socket of upgraded) socket.destroy();
      }, DRAIN_MS_MAX);
      await closed;
      clearTimeout(cut);
    },
  };
}

const pathFirst = (route: string) => route.split(' ').reverse().join(' ');
const byPath = (one: string, other: string) => (pathFirst(one) < pathFirst(other) ? -1 : 1);

/** An error that says which setting to change. */
export function portTaken(setting: string, port: number, error: unknown): Error {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return error as Error;
  return new Error(`Port ${port} is taken by another program. Stop that, or set ${setting} to a free port.`, { cause: error });
}
