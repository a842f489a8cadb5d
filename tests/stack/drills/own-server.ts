import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RunningServer } from '../../../infra/servers/server.ts';
import { takePorts } from '../../../infra/stack/ports.ts';
import type { Restarted } from './restarts.ts';

/** A server of a drill's own. */
export interface OwnServer extends Restarted {
  /** As RunningServer names it. */
  readonly url: string;
  remove(): Promise<void>;
}

export interface OwnServerOptions {
  readonly ports: number;
  start(at: { readonly directory: string; readonly ports: readonly number[] }): Promise<RunningServer>;
}

/** On ports and in a folder that it keeps. */
async function startOwnServer({ ports: count, start }: OwnServerOptions): Promise<OwnServer> {
  const directory = await mkdtemp(path.join(tmpdir(), 'tekai-drill-server-'));
  // Postgres does not run as root, and lies in here.
  await chmod(directory, 0o755);
  const ports = await takePorts(count);
  let running = await start({ directory, ports });
  return {
    url: running.url, name: running.name,
    end: (signal) => endServer(running, signal),
    async start() { running = await start({ directory, ports }); },
    async remove() {
      await endServer(running, 'SIGKILL');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Runs the drill on one, of its own, that is gone after it. */
export async function withOwnServer<T>(options: OwnServerOptions, drill: (server: OwnServer) => Promise<T>): Promise<T> {
  const server = await startOwnServer(options);
  try {
    return await drill(server);
  } finally {
    await server.remove();
  }
}

export async function endServer({ child }: RunningServer, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'close');
  child.kill(signal);
  await gone;
}
