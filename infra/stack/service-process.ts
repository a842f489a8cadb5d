import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { setPriority } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** Built: what is run on many machines is run here. */
export const PROGRAM = path.resolve(import.meta.dirname, import.meta.url.endsWith('.ts') ? '../../dist/services/main.js' : '../../services/main.js');
/** As `tekai up` runs them: who waits at a door comes first. */
const WORKERS = new Set(['fetcher', 'scanner', 'storage-writer']);
const NICENESS = 10;
/** Fourteen of them start at once on two cores that others use, too. */
const READY_MS_MAX = 180_000;
const LOOK_EVERY_MS = 100;

/** One service as a process of its own. It keeps its ports, however often it dies. */
export interface ServiceProcess {
  readonly name: string;
  /** `fetcher-2`: its log is `<label>.log`. */
  readonly label: string;
  readonly url: string;
  readonly internalUrl: string;
  /** The newest one. */
  readonly child: ChildProcess | undefined;
  readonly isRunning: boolean;
  /** Resolves once it is ready. @throws with the last that it said when it ends before that */
  start(): Promise<void>;
  /** Resolves once it is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
}

export interface ServiceProcessOptions {
  readonly name: string;
  readonly label: string;
  readonly port: number;
  readonly internalPort: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly logDirectory: string;
  /** Each line of its log. */
  onLine?(line: string): void;
}

export function serviceProcess({ name, label, port, internalPort, settings, logDirectory, onLine }: ServiceProcessOptions): ServiceProcess {
  const [url, internalUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${internalPort}`];
  let child: ChildProcess | undefined;
  let last: string[] = [];
  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null;

  function begin(): ChildProcess {
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], TEKAI_ALLOW_ADDRESSES: '127.0.0.0/8,::1/128', ...settings, TEKAI_PORT: String(port), TEKAI_INTERNAL_PORT: String(internalPort) };
    const begun = spawn(process.execPath, ['--enable-source-maps', PROGRAM, 'up', name], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const file = createWriteStream(path.join(logDirectory, `${label}.log`), { flags: 'a' });
    last = [];
    for (const stream of [begun.stdout, begun.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        file.write(`${line}\n`);
        last = [...last.slice(-20), line];
        onLine?.(line);
      });
    }
    begun.once('close', () => file.end());
    return begun;
  }

  return {
    name, label, url, internalUrl,
    get child() { return child; },
    get isRunning() { return isRunning(); },
    async start() {
      if (!isRunning()) child = begin();
      for (const end = performance.now() + READY_MS_MAX; ; await sleep(LOOK_EVERY_MS)) {
        if (!isRunning()) throw new Error(`${label} ended with ${child?.exitCode ?? child?.signalCode}:\n${last.join('\n')}`);
        const answer = await fetch(`${internalUrl}/readyz`).catch(() => undefined);
        if (answer?.ok) { lowerPriority(name, child); return; }
        if (performance.now() > end) throw new Error(`${label} is not ready after ${READY_MS_MAX / 1_000} s: ${await answer?.text()}\n${last.join('\n')}`);
      }
    },
    async end(signal) {
      if (child === undefined || !isRunning()) return;
      const gone = once(child, 'close');
      child.kill(signal);
      await gone;
    },
  };
}

/** Not while it starts: on a machine with much else to do it would not come up. */
function lowerPriority(name: string, child: ChildProcess | undefined): void {
  if (WORKERS.has(name) && child?.pid !== undefined) setPriority(child.pid, NICENESS);
}
