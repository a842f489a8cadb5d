import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { prepareServer, runPrepared } from '../harness/throwaway-server.ts';

const run = promisify(execFile);

/** The processes of the server that serves `data`: its postmaster first, then what that started. */
export async function processesOf(data: string): Promise<number[]> {
  const postmaster = Number((await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n')[0]);
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=']);
  const pairs = stdout.trim().split('\n').map((line) => line.trim().split(/\s+/).map(Number));
  return [postmaster, ...pairs.filter(([, parent]) => parent === postmaster).map(([pid]) => pid!)];
}

/** A process that ended meanwhile needs no signal. */
export function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** A Postgres of the drill's own, which the engine is given by URL. It keeps its port. */
export interface OwnPostgres {
  readonly url: string;
  readonly data: string;
  start(): Promise<void>;
  /** SIGINT: a fast shutdown. Resolves once it is gone. */
  stop(how: NodeJS.Signals): Promise<void>;
  remove(): Promise<void>;
}

export async function startOwnPostgres(): Promise<OwnPostgres> {
  const prepared = await prepareServer();
  let running: Awaited<ReturnType<typeof runPrepared>> | undefined = await runPrepared(prepared);
  const own: OwnPostgres = {
    url: prepared.url, data: prepared.data,
    async start() { running ??= await runPrepared(prepared); },
    async stop(how) {
      const [postmaster] = await processesOf(prepared.data);
      signal([postmaster!], how);
      while (isAlive(postmaster!)) await sleep(20);
      await running?.stop();
      running = undefined;
    },
    async remove() {
      // What is stopped ends only once it goes on.
      if (running !== undefined) signal(await processesOf(prepared.data).catch(() => []), 'SIGCONT');
      await running?.stop();
      await rm(prepared.folder, { recursive: true, force: true });
    },
  };
  return own;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
