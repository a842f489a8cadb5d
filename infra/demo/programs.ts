import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { changeKept, readKept } from './kept-state.ts';
import { DemoFailed } from './demo-failed.ts';

export interface Program {
  readonly name: string;
  readonly child: ChildProcess;
  readonly logFile: string;
  /** Its exit code or signal, once it has ended. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

/** Longer than the leash gives. */
const STOP_MS_MAX = 25_000;
const LOOK_AGAIN_MS = 50;

/** The same program from source, when we run from source. */
export const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
export const fileOf = (program: string) => fileURLToPath(new URL(`../../${program}${extension}`, import.meta.url));

export interface StartProgram {
  readonly name: string;
  /** `services/main` */
  readonly program: string;
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stateDir: string;
  readonly logFile: string;
  /** Its standard output is read by us, not written to the log. */
  readonly isHeard?: boolean;
}

/** Starts one of ours in a process and session of its own, on a leash: it ends when we do, however we do. Its output goes to a file. */
export function startProgram({ name, program, words, env, stateDir, logFile, isHeard = false }: StartProgram): Program {
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(process.execPath, [...process.execArgv, '--import', leashOf(stateDir), fileOf(program), ...words], {
    // A session of its own: Ctrl-C is for us, who end it in order.
    // Its log does not go through us: it must be able to write when we are gone.
    env, detached: true, stdio: ['pipe', isHeard ? 'pipe' : log, log],
  });
  closeSync(log);
  child.stdin?.on('error', () => undefined);
  if (child.pid !== undefined) changeKept(stateDir, { programs: [...(readKept(stateDir).programs ?? []), { name, pid: child.pid }] });
  const ended = Promise.race([
    once(child, 'exit').then(([code, signal]: unknown[]) => String(code ?? signal)),
    once(child, 'error').then(([error]: unknown[]) => `not started: ${String(error)}`),
  ]);
  return {
    name, child, logFile, ended,
    async stop() {
      child.stdin?.end();
      const isLate = await Promise.race([ended.then(() => false), sleep(STOP_MS_MAX, true, { ref: false })]);
      if (isLate) { child.kill('SIGKILL'); await ended; }
    },
  };
}

/** In the command line of every program of this demo: so that a process number that went to somebody else is not taken for ours. */
const leashOf = (stateDir: string) => `${new URL(`./leash${extension}`, import.meta.url).href}?demo=${encodeURIComponent(stateDir)}`;

/** Ends what a demo before us left behind when it was killed. @throws DemoFailed when it is alive */
export async function endLeftovers(stateDir: string, say: (line: string) => void): Promise<void> {
  const { demo, programs = [], ports } = readKept(stateDir);
  if (demo !== undefined && demo !== process.pid && /infra\/demo\/(?:main|dev)\.[jt]s/.test(commandOf(demo))) {
    throw new DemoFailed(`A demo runs on ${stateDir} already (process ${demo}, engine on port ${ports?.engine ?? '?'}). End it with Ctrl-C in its terminal, or give this one another folder: TEKAI_STATE_DIR=/tmp/demo make demo`);
  }
  const isOurs = (pid: number) => commandOf(pid).includes(leashOf(stateDir));
  const left = programs.filter(({ pid }) => isOurs(pid));
  if (left.length > 0) say(`The demo before this one was killed; waiting for what it left: ${left.map(({ name, pid }) => `${name} (process ${pid})`).join(', ')}`);
  for (const { pid } of left) {
    // Its leash has told it to stop already; told twice, it would stop at once and leave its Postgres.
    const deadline = performance.now() + STOP_MS_MAX;
    while (isOurs(pid) && performance.now() < deadline) await sleep(LOOK_AGAIN_MS);
    if (isOurs(pid)) process.kill(pid, 'SIGKILL');
    while (isOurs(pid)) await sleep(LOOK_AGAIN_MS);
  }
  changeKept(stateDir, { programs: [] });
}

/** The command line of a process; empty when there is none, or it has ended and nobody has asked how. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return process.platform === 'linux' ? '' : spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '';
  }
}

/** The end of a program's log, for who must find out why it ended. */
export function lastLines(logFile: string, count: number): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-count).map((line) => `    ${line.slice(0, 400)}`).join('\n');
  } catch {
    return '';
  }
}
