import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresBinaries } from './embedded-binaries.ts';
import type { Cluster } from './embedded-cluster.ts';
import { explainOutput, isHeldByAnother } from './embedded-complaints.ts';
import { EmbeddedPostgresError, explainFileError } from './embedded-error.ts';
import { type Hold, tryHold } from './embedded-hold.ts';
import type { ServerHome } from './embedded-home.ts';
import { findPostmaster, isServedOutOfSight } from './embedded-pid-file.ts';
import { choosePort, notePort, type Postmaster, spawnPostmaster, stopPostmaster } from './embedded-postmaster.ts';
import { serverLogOf } from './embedded-settings.ts';

/** All that is needed to run the server of one state folder. */
export type ServerSite = { home: ServerHome; binaries: PostgresBinaries; cluster: Cluster };

/** A server that runs and is ours. `adopted`: an engine before us started it. */
export type HeldServer = { pid: number; port: number; adopted: boolean; hold: Hold };

/** How long a server may say nothing at all. While it says that it recovers we wait for as long as that takes. */
const SILENCE_MS_MAX = 60_000;
const PORT_TRIES_MAX = 5;
/** Of room: a segment of its write-ahead log, which recovery may have to begin. */
const START_BYTES_MIN = 16 * 1_048_576;
const POLL_MS = 20;

/** Runs or adopts the server, on a port of its own choosing; another one if the chosen one is taken meanwhile. */
export async function runOnAnyPort(site: ServerSite, signal: AbortSignal): Promise<HeldServer> {
  for (let tries = 1; ; tries += 1) {
    try {
      const server = await runServer(site, { port: await choosePort(site.cluster), signal });
      await notePort(site.cluster, server.port);
      return server;
    } catch (error) {
      if (!(error instanceof EmbeddedPostgresError && error.kind === 'port-taken') || tries === PORT_TRIES_MAX) throw error;
    }
  }
}

/**
 * Brings the server to where it runs and this engine holds it: looks, does what is missing, looks again. So it makes no
 * difference who else starts, stops or kills it at the same time.
 */
export async function runServer(site: ServerSite, { port, signal }: { port: number; signal: AbortSignal }): Promise<HeldServer> {
  let started: Postmaster | undefined;
  let lastWord = { atMs: performance.now(), detail: 'nothing' };
  try {
    for (;;) {
      signal.throwIfAborted();
      const live = await findPostmaster(site.cluster.data);
      if (live?.port !== undefined) {
        const attempt = await tryHold(site.cluster, live.port);
        if (attempt.kind === 'held') {
          if (!signal.aborted) return { pid: live.pid, port: live.port, adopted: live.pid !== started?.child.pid, hold: attempt.hold };
          await attempt.hold.release();
          signal.throwIfAborted();
        } else lastWord = { atMs: attempt.isAlive ? performance.now() : lastWord.atMs, detail: attempt.detail };
      } else if (!live && (!started || started.hasEnded())) {
        if (started) await refuseUnlessHeld(started, site.home.directory);
        if (await isServedOutOfSight(site.cluster.data)) throw outOfSight(site);
        started = await startPostmaster(site, port);
      }
      if (performance.now() - lastWord.atMs > SILENCE_MS_MAX) throw silence(site, live?.pid, lastWord.detail);
      await sleep(POLL_MS, undefined, { signal });
    }
  } catch (error) {
    // Whom we started and cannot use is not left behind. But another engine may be using whom we started.
    const isInUse = error instanceof EmbeddedPostgresError && error.kind === 'in-use';
    if (started?.child.pid && !started.hasEnded() && !isInUse) await stopPostmaster(site.cluster.data, started.child.pid);
    throw error;
  }
}

/** A start that failed because another has the folder (a second starter; backends of a killed postmaster) is tried again. */
async function refuseUnlessHeld(ended: Postmaster, home: string): Promise<void> {
  const said = await ended.said();
  if (isHeldByAnother(said)) return;
  const why = explainOutput('start the server', said);
  // On a full disk it cannot even write down why: its log lies there too.
  throw why.kind === 'failed' && await isFull(home) ? explainFileError('start the server', home, Object.assign(new Error(why.message), { code: 'ENOSPC' })) : why;
}

async function isFull(home: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(home);
  return bavail * bsize < START_BYTES_MIN;
}

async function startPostmaster(site: ServerSite, port: number): Promise<Postmaster> {
  try {
    return await spawnPostmaster({ ...site, program: join(site.binaries.directory, 'bin', 'postgres'), port });
  } catch (error) {
    throw explainFileError('start the server', site.home.directory, error);
  }
}

function outOfSight({ home }: ServerSite): EmbeddedPostgresError {
  return new EmbeddedPostgresError('in-use', {
    tried: `start the server in ${home.directory}`,
    why: 'one that is no process of this container or machine serves these files: an engine in another container on the same volume.',
    todo: 'stop that one first, or give this engine a state folder (a volume) of its own.',
  });
}

function silence({ home, cluster }: ServerSite, pid: number | undefined, detail: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError('not-answering', {
    tried: `reach the server of ${cluster.data}${pid ? ` (process ${pid})` : ''}`,
    why: `it has not answered for ${SILENCE_MS_MAX / 1_000} s; the last we heard was: ${detail}.`,
    todo: `see ${serverLogOf(home.directory)}${pid ? `; if it hangs, \`kill -QUIT ${pid}\` and start again` : ''}.`,
  });
}
