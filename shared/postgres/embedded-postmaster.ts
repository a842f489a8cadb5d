import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './embedded-cluster.ts';
import { EmbeddedPostgresError } from './embedded-error.ts';
import type { ServerHome } from './embedded-home.ts';
import { disownStalePidFile, isPostmasterOf } from './embedded-pid-file.ts';
import { commandLine, serverLogOf } from './embedded-settings.ts';

/** A postmaster that we started: what it said so far, and whether it has ended. */
export type Postmaster = { child: ChildProcess; port: number; said(): Promise<string>; hasEnded(): boolean };

const LOG_BYTES_MAX = 10 * 1024 * 1024;
/** Outside what Linux (32768–60999) and macOS (49152–65535) hand out for outgoing connections: nobody takes it between two starts by chance. */
const PORTS = { from: 20_000, to: 32_000 };
const PORT_TRIES_MAX = 50;
/** Fast shutdown writes a checkpoint: at most `max_wal_size` to apply on a slow disk. */
const FAST_STOP_MS_MAX = 30_000;
const IMMEDIATE_STOP_MS_MAX = 10_000;
const POLL_MS = 20;

/**
 * Starts a postmaster and returns at once. In a process group of its own, so that Ctrl-C reaches the engine first; with a file
 * for its log and no pipe to us, so that it can outlive us when we are killed.
 */
export async function spawnPostmaster({ home, cluster, program, port }: {
  home: ServerHome; cluster: Cluster; program: string; port: number;
}): Promise<Postmaster> {
  await disownStalePidFile(cluster.data);
  const file = serverLogOf(home.directory);
  const log = await openLog(file);
  try {
    if (home.account.switchTo) await log.chown(home.account.uid, home.account.gid);
    const { size: saidBefore } = await log.stat();
    const child = spawn(program, commandLine(cluster.data, port), {
      ...home.account.switchTo, cwd: '/', env: { LC_ALL: 'C', TZ: 'UTC' }, detached: true, stdio: ['ignore', log.fd, log.fd],
    });
    let failure = '';
    child.once('error', (error) => { failure = error.message; });
    return {
      child,
      port,
      said: async () => failure || (await readFile(file)).subarray(saidBefore).toString('utf8').slice(-8_000),
      hasEnded: () => failure !== '' || child.exitCode !== null || child.signalCode !== null,
    };
  } finally {
    await log.close();
  }
}

async function openLog(file: string) {
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
  const log = await open(file, flags, 0o600);
  if ((await log.stat()).size <= LOG_BYTES_MAX) return log;
  await log.close();
  await rename(file, `${file}.1`);
  return open(file, flags, 0o600);
}

/** Fast shutdown, then immediate; done when the process is gone. Says so if neither helps. */
export async function stopPostmaster(data: string, pid: number): Promise<void> {
  for (const [signal, waitMsMax] of [['SIGINT', FAST_STOP_MS_MAX], ['SIGQUIT', IMMEDIATE_STOP_MS_MAX]] as const) {
    // Looked at each time: the id of an adopted one may have passed to another program.
    if (!await isPostmasterOf(data, pid)) return;
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
      throw error;
    }
    for (const deadline = performance.now() + waitMsMax; performance.now() < deadline; await sleep(POLL_MS)) {
      if (!await isPostmasterOf(data, pid)) return;
    }
  }
  throw new EmbeddedPostgresError('not-answering', {
    tried: `stop the server (process ${pid})`,
    why: 'it ended neither on a fast nor on an immediate shutdown.',
    todo: `see what holds it (a disk that hangs?), then \`kill -QUIT ${pid}\`; the next start goes on with it if it still lives.`,
  });
}

/** The port of last time if it is free, so that URLs noted elsewhere stay good; else a new one. */
export async function choosePort(cluster: Cluster): Promise<number> {
  const noted = Number(await readFile(cluster.portFile, 'utf8').catch(() => ''));
  if (noted > 0 && await isFree(noted)) return noted;
  return findFreePort();
}

/** For the next start. Only who holds the engine lock notes. */
export async function notePort(cluster: Cluster, port: number): Promise<void> {
  await writeFile(`${cluster.portFile}.new`, `${port}\n`);
  await rename(`${cluster.portFile}.new`, cluster.portFile);
}

/** A port on 127.0.0.1 on which nobody listens now. */
export async function findFreePort(): Promise<number> {
  for (let tries = 0; tries < PORT_TRIES_MAX; tries += 1) {
    const port = randomInt(PORTS.from, PORTS.to);
    if (await isFree(port)) return port;
  }
  throw new EmbeddedPostgresError('port-taken', {
    tried: `find a free port on 127.0.0.1 between ${PORTS.from} and ${PORTS.to}`,
    why: `${PORT_TRIES_MAX} at random were all taken, or this process may not listen at all.`,
    todo: 'see what listens there (`ss -ltn`), or set TEKAI_DATABASE_URL to a Postgres of your own.',
  });
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ port, host: '127.0.0.1' });
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    if (server.listening) await new Promise((resolve) => { server.close(resolve); });
  }
}

