import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { programOf } from './program.ts';
import { until } from './system.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const PROGRAM = programOf('services/main.ts');

/** `tekai up` in a process of its own, whatever it has to wait for: resolves once its doors are open. */
export interface EngineProcess {
  readonly child: ChildProcess;
  readonly stateDir: string;
  readonly url: string;
  readonly internalUrl: string;
  /** Why it is not ready, as the internal port tells; empty once it is. */
  reasons(): Promise<readonly string[]>;
  untilReady(): Promise<void>;
  /** Everything it printed. */
  log(): string;
  /** SIGTERM; gives its exit code. */
  stop(): Promise<number | null>;
}

export interface EngineProcessOptions {
  readonly settings: Readonly<Record<string, string>>;
  readonly names?: readonly string[];
}

export async function startEngineProcess({ settings, names = [] }: EngineProcessOptions): Promise<EngineProcess> {
  const printed: string[] = [];
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], TEKAI_PORT: '0', TEKAI_INTERNAL_PORT: '0', TEKAI_ALLOW_ADDRESSES: '127.0.0.0/8,::1/128', ...settings };
  const child = spawn(process.execPath, [...PROGRAM, 'up', ...names], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stderr.on('data', (piece: Buffer) => printed.push(piece.toString()));
  let ports: { port: number; internalPort: number } | undefined;
  createInterface({ input: child.stdout }).on('line', (line) => {
    printed.push(`${line}\n`);
    if (line.includes('"the doors are open')) ports = JSON.parse(line) as { port: number; internalPort: number };
  });
  const log = () => printed.join('');
  await until('the doors are open', () => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${log()}`);
    return ports;
  });
  const [url, internalUrl] = [`http://127.0.0.1:${ports?.port}`, `http://127.0.0.1:${ports?.internalPort}`];
  const reasons = async () => ((await (await fetch(`${internalUrl}/readyz`)).json()) as { reasons: string[] }).reasons;

  return {
    child, stateDir: settings['TEKAI_STATE_DIR'] ?? '', url, internalUrl, reasons, log,
    untilReady: async () => { await until(`ready: ${log().slice(-2_000)}`, async () => (await fetch(`${url}/readyz`)).ok); },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      child.kill('SIGTERM');
      await once(child, 'close');
      return child.exitCode;
    },
  };
}

/** Removed by its maker. */
export async function temporaryFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tekai-engine-'));
  return { path: folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
