import { fork, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { withDeadline } from '#shared/runtime/deadline.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import type { MetricsSnapshot } from '#shared/runtime/metrics.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import type { FromWorkers, ToWorkers } from './worker-messages.ts';

/** Behind the doors once it is up, and git and its children with it: where a core is short, those who wait for an answer come first (docs/decisions/doors-and-workers.md). */
const NICENESS = 10;
const RESTART_MS = [500, 1_000, 2_000, 5_000, 15_000, 30_000] as const;
/** Longer than any garbage collection. A scrape must not wait for a process that is stuck. */
const METRICS_MS_MAX = 1_000;

const PROGRAM = fileURLToPath(new URL(`./workers${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));

export interface WorkerProcessDeps {
  readonly databaseUrl: string;
  readonly logger: Logger;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface WorkerProcess extends RunningService {
  /** @throws saying why nobody works */
  check(): Promise<void>;
  /** Undefined while there is none, or it does not answer in time. */
  metrics(): Promise<MetricsSnapshot | undefined>;
}

/**
 * Runs fetcher, scanner and storage-writer in a process of their own, and again when it dies. It ends with this one, however
 * that ends: the channel between them breaks. It takes no order of a terminal or a supervisor, only ours.
 */
export function startWorkerProcess({ databaseUrl, logger, sleep }: WorkerProcessDeps): WorkerProcess {
  const stopping = new AbortController();
  const scrapes = new EventEmitter<{ snapshot: [MetricsSnapshot] }>();
  let child: ChildProcess | undefined;
  let trouble: string | undefined = 'the workers are starting';
  let deaths = 0;
  const ended = keepUp();

  async function keepUp(): Promise<void> {
    while (!stopping.signal.aborted) {
      const how = await runOnce();
      if (stopping.signal.aborted) return;
      const waitMs = RESTART_MS[Math.min(deaths, RESTART_MS.length - 1)] ?? 30_000;
      deaths += 1;
      trouble = `the workers ended (${how}) and are started again`;
      logger.error({ how, waitMs }, 'the workers ended; they are started again');
      await sleep(waitMs, stopping.signal);
    }
  }

  async function runOnce(): Promise<string> {
    const started = fork(PROGRAM, [], { execArgv: process.execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    child = started;
    started.on('message', (message: FromWorkers) => {
      switch (message.kind) {
        case 'waiting': trouble = `the workers wait: ${message.reasons.join('; ')}`; break;
        case 'up':
          [trouble, deaths] = [undefined, 0];
          lowerPriority(started);
          break;
        case 'metrics': scrapes.emit('snapshot', message.snapshot); break;
        default: message satisfies never;
      }
    });
    // A channel that breaks is told by the end of the process.
    started.on('error', (error) => logger.warn({ error }, 'the workers could not be told'));
    tell(started, { kind: 'begin', databaseUrl });
    if (stopping.signal.aborted) tell(started, { kind: 'stop' });
    const [code, signal] = (await once(started, 'exit')) as [number | null, NodeJS.Signals | null];
    child = undefined;
    return signal ?? `exit code ${code}`;
  }

  return {
    name: 'workers',
    check: () => (trouble === undefined ? Promise.resolve() : Promise.reject(new Error(trouble))),
    async metrics() {
      if (child === undefined || trouble !== undefined) return undefined;
      const answered = once(scrapes, 'snapshot') as Promise<[MetricsSnapshot]>;
      tell(child, { kind: 'metrics' });
      return withDeadline(answered, { ms: METRICS_MS_MAX, dependency: 'the workers' }).then(([snapshot]) => snapshot, () => undefined);
    },
    async stop() {
      stopping.abort();
      if (child !== undefined) tell(child, { kind: 'stop' });
      await ended;
    },
  };
}

function tell(child: ChildProcess, message: ToWorkers): void {
  if (child.connected) child.send(message, () => undefined);
}

/** Not before it is up: on two cores with a load of 30 it was not after 90 s, and nobody is ready without it. Each of its threads has a priority of its own; what they begin later inherits it. */
function lowerPriority({ pid }: ChildProcess): void {
  for (const thread of pid === undefined ? [] : threadsOf(pid)) {
    try {
      setPriority(thread, NICENESS);
    } catch {
      // It has ended; or where it may not be lowered the work is as right, and the doors a little slower.
    }
  }
}

/** Elsewhere than on Linux a process has one. */
function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [pid];
  }
}
