import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A real server of others, run as a process of ours: no Docker. It keeps what it keeps in `directory`. */
export interface RunningServer {
  readonly name: string;
  readonly port: number;
  /** How a client names it: `127.0.0.1:9092`, `redis://…`, `http://…`. */
  readonly url: string;
  readonly child: ChildProcess;
  /** As the operator would: resolves when it has ended. */
  stop(): Promise<void>;
  /** kill -9: resolves when it is gone. */
  kill(): Promise<void>;
}

export interface ServerOptions {
  readonly directory: string;
  /** By default one that is free. */
  readonly port?: number;
}

/** What this machine lacks, and how to get it. Whoever needs the server says that it was not tried. */
export class NotHere extends Error {
  override readonly name = 'NotHere';
}

/** Of a JVM on two busy cores. What has not come up by then never does. */
const READY_MS_MAX = 180_000;
/** Then it is killed: it is no drill of ours that it ends well. */
const STOP_MS_MAX = 20_000;
const LOOK_EVERY_MS = 100;

export interface Run {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** As whom, where this process is root and the server must not be. */
  readonly uid?: number;
  readonly gid?: number;
  /** Resolves true once a client would be served. May throw meanwhile. */
  isReady(): Promise<boolean>;
}

/** Starts it and waits until it serves. @throws with the last it said when it ends before that, or never comes up */
export async function runServer({ name, port, url, command, args, env = {}, uid, gid, isReady }: Run): Promise<RunningServer> {
  const child = spawn(command, args, { ...(uid === undefined ? {} : { uid, cwd: '/' }), ...(gid === undefined ? {} : { gid }), stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env } });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => { said = (said + piece.toString()).slice(-8_000); });
  let failure: Error | undefined;
  child.once('error', (error) => { failure = error; });
  const ended = new Promise<void>((resolve) => { child.once('close', () => resolve()); });
  const hasEnded = () => failure !== undefined || child.exitCode !== null || child.signalCode !== null;

  const server: RunningServer = {
    name, port, url, child,
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
      await ended;
      clearTimeout(timer);
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
  for (const end = performance.now() + READY_MS_MAX; ; await sleep(LOOK_EVERY_MS)) {
    if (hasEnded()) throw new Error(`${name} ended at its start (${failure?.message ?? child.exitCode ?? child.signalCode}): ${said}`);
    if (await isReady().catch(() => false)) return server;
    if (performance.now() < end) continue;
    await server.kill();
    throw new Error(`${name} did not come up within ${READY_MS_MAX / 1_000} s; it said: ${said}`);
  }
}

/** A port on 127.0.0.1 on which nobody listens now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Whether somebody listens there. */
export async function accepts(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } finally {
    socket.destroy();
  }
}
