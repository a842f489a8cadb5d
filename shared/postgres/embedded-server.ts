import { setTimeout as sleep } from 'node:timers/promises';
import { binariesFor } from './embedded-binaries.ts';
import { openCluster } from './embedded-cluster.ts';
import { EmbeddedPostgresError, OWN_DATABASE_HINT } from './embedded-error.ts';
import { engineUrl } from './embedded-hold.ts';
import { chooseServerHome } from './embedded-home.ts';
import { stopPostmaster } from './embedded-postmaster.ts';
import { type HeldServer, runOnAnyPort, runServer, type ServerSite } from './embedded-run.ts';
import { serverLogOf } from './embedded-settings.ts';

/** What of a pino logger is used here. */
export type ServerLogger = Record<'info' | 'warn' | 'error', (fields: object, message: string) => void>;

export type EmbeddedPostgresOptions = {
  /** A folder on a local disk that outlives the process. Made if it is missing. */
  stateDir: string;
  logger?: ServerLogger;
  /** Cancels the start. What runs is stopped by `stop`. */
  signal?: AbortSignal;
};

export type EmbeddedPostgres = {
  /** `postgres://tekai:…@127.0.0.1:<port>/tekai`, good until `stop`: a restarted server keeps its port and password. Holds a secret. */
  url: string;
  /** Resolves, if ever, with the reason for which the server is not restarted any more: the engine should end with it. */
  givenUp: Promise<EmbeddedPostgresError>;
  /** Fast shutdown, immediate after 30 s. Close the pools first; what is still open is rolled back. */
  stop(): Promise<void>;
};

/** In a row, each within 60 s of the one before. With the delays below that is 12 s of trying. */
const RESTARTS_MAX = 8;
const STEADY_MS = 60_000;
const RESTART_DELAY_MS = 100;
const RESTART_DELAY_MS_MAX = 5_000;

/**
 * Runs a real Postgres 18 out of the npm package, with its data in the state folder, and keeps it running.
 *
 * When this process is killed (kill -9), the server lives on and the next start on the state folder adopts it; until then it
 * stays, doing nothing. An adopted server keeps the settings that it was started with. A second engine on the state folder of
 * one that is alive is refused.
 */
export async function startEmbeddedPostgres({ stateDir, logger = SILENT, signal }: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const stopping = new AbortController();
  const starting = signal ? AbortSignal.any([signal, stopping.signal]) : stopping.signal;
  try {
    const home = await chooseServerHome(stateDir);
    if (home.isElsewhere) {
      logger.warn({ stateDir, home: home.directory }, 'the database lies outside the state folder, whose parent folders are closed to it: keep and back up both');
    }
    const binaries = await binariesFor(home.directory, home.account);
    starting.throwIfAborted();
    const site: ServerSite = { home, binaries, cluster: await openCluster(home, binaries, signal) };
    const server = await runOnAnyPort(site, starting);
    logger.info({ port: server.port, pid: server.pid, adopted: server.adopted, data: site.cluster.data }, 'embedded Postgres runs');
    return superviseServer(site, { server, logger, stopping });
  } catch (error) {
    if (!signal?.aborted) throw error;
    throw new EmbeddedPostgresError('aborted', { tried: 'start', why: 'the start was cancelled.', todo: 'nothing; the next start goes on.', cause: error });
  }
}

function superviseServer(site: ServerSite, { server, logger, stopping }: {
  server: HeldServer; logger: ServerLogger; stopping: AbortController;
}): EmbeddedPostgres {
  let current = server;
  let giveUp: (reason: EmbeddedPostgresError) => void = () => {};
  const givenUp = new Promise<EmbeddedPostgresError>((resolve) => { giveUp = resolve; });
  const stopped = new Promise<void>((resolve) => { stopping.signal.addEventListener('abort', () => resolve(), { once: true }); });

  let isOurs = true;
  const supervision = (async () => {
    const restarts = new RestartBudget();
    for (;;) {
      await Promise.race([current.hold.ended, stopped]);
      if (stopping.signal.aborted) return;
      logger.warn({ pid: current.pid }, 'embedded Postgres is gone or dropped us: bringing it back');
      current = await bringBack(site, { port: current.port, restarts, logger, signal: stopping.signal });
      logger.info({ pid: current.pid, port: current.port }, 'embedded Postgres is back');
    }
  })().catch((error: unknown) => {
    if (stopping.signal.aborted) return;
    logger.error({ err: error }, 'embedded Postgres stays away');
    isOurs = !(error instanceof EmbeddedPostgresError && error.kind === 'in-use');
    giveUp(error as EmbeddedPostgresError);
  });

  const stopOnce = async () => {
    stopping.abort();
    await supervision;
    // Another engine may have taken the lock, and the server with it.
    if (isOurs) await stopPostmaster(site.cluster.data, current.pid);
    await current.hold.release();
    logger.info({ pid: current.pid }, 'embedded Postgres stopped');
  };
  let stop: Promise<void> | undefined;
  return { url: engineUrl(site.cluster, server.port), givenUp, stop: () => stop ??= stopOnce() };
}

async function bringBack(site: ServerSite, { port, restarts, logger, signal }: {
  port: number; restarts: RestartBudget; logger: ServerLogger; signal: AbortSignal;
}): Promise<HeldServer> {
  let lastError: unknown;
  for (;;) {
    const delayMs = restarts.next();
    if (delayMs === undefined) throw crashLoop(site, lastError);
    await sleep(delayMs, undefined, { signal });
    try {
      const server = await runServer(site, { port, signal });
      if (server.port === port) return server;
      await server.hold.release();
      throw anotherEngine(site);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof EmbeddedPostgresError && error.kind === 'in-use') throw error;
      logger.warn({ err: error }, 'embedded Postgres did not come back; trying again');
      lastError = error;
      // The disk is waited for, however long: it is no fault of the server, and nobody would start us again at the right time.
      if (error instanceof EmbeddedPostgresError && isOfTheDisk(error)) restarts.forgiveLast();
    }
  }
}

/** How long to wait before the next restart; undefined when there were too many in a row. */
class RestartBudget {
  private inARow = 0;
  private lastAtMs = -Infinity;

  next(): number | undefined {
    const nowMs = performance.now();
    this.inARow = nowMs - this.lastAtMs > STEADY_MS ? 1 : this.inARow + 1;
    this.lastAtMs = nowMs;
    if (this.inARow > RESTARTS_MAX) return undefined;
    // The first at once: pools are waiting.
    return this.inARow === 1 ? 0 : Math.min(RESTART_DELAY_MS * 2 ** (this.inARow - 2), RESTART_DELAY_MS_MAX);
  }

  /** Counts for the delay, and never so much that it is the last. */
  forgiveLast(): void {
    this.inARow = Math.min(this.inARow, RESTARTS_MAX - 1);
  }
}

function isOfTheDisk({ kind }: EmbeddedPostgresError): boolean {
  return kind === 'disk-full' || kind === 'not-writable';
}

function crashLoop({ home }: ServerSite, cause: unknown): EmbeddedPostgresError {
  return new EmbeddedPostgresError('crash-loop', {
    tried: 'keep the server running',
    why: `it went away ${RESTARTS_MAX + 1} times in a row${cause instanceof Error ? `; the last time: ${cause.message}` : '.'}`,
    todo: `see ${serverLogOf(home.directory)}, then start the engine again (nothing that was committed is lost), ${OWN_DATABASE_HINT}.`,
    cause,
  });
}

function anotherEngine({ home }: ServerSite): EmbeddedPostgresError {
  return new EmbeddedPostgresError('in-use', {
    tried: 'restart the server',
    why: `another engine has meanwhile started it on another port (${home.directory}).`,
    todo: 'run one engine on a state folder.',
  });
}

const SILENT: ServerLogger = { info: () => {}, warn: () => {}, error: () => {} };
