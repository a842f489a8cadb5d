import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '../../infra/servers/server.ts';
import type { EngineForm, FormOptions } from './engine-form.ts';
import { programOf } from './program.ts';
import { until } from './system.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** `tekai up`; started again while one runs, another one beside it. */
export async function embeddedForm({ stateDir, databaseUrl, settings, port, preload, take, onLine }: FormOptions): Promise<EngineForm> {
  const ports = [port ?? await freePort(), await freePort()];
  const url = `http://127.0.0.1:${ports[0]}`;
  const stores = { TEKAI_STATE_DIR: stateDir, ...(databaseUrl === '' ? {} : { TEKAI_DATABASE_URL: databaseUrl }) };
  const engines = new Set<ChildProcess>();
  const workers = new Map<ChildProcess, number>();
  const printed: string[] = [];

  const form: EngineForm = {
    url, stores, internalUrl: `http://127.0.0.1:${ports[1]}`,

    async start(names) {
      const env = { ...stores, TEKAI_PORT: String(ports[0]), TEKAI_INTERNAL_PORT: String(ports[1]), TEKAI_LOG_LEVEL: 'info', TEKAI_ALLOW_ADDRESSES: '127.0.0.0/8,::1/128', ...settings };
      const isExtra = engines.size > 0;
      const child = run(['up', ...names], isExtra ? { ...env, TEKAI_PORT: '0', TEKAI_INTERNAL_PORT: '0', TEKAI_PUBLIC_URL: url } : env, preload);
      engines.add(child);
      const closed = once(child, 'close').then(() => engines.delete(child));
      if (onLine !== undefined && child.stdout !== null) createInterface({ input: child.stdout }).on('line', onLine);
      if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => { if (line.includes('the workers are up')) workers.set(child, (JSON.parse(line) as { pid: number }).pid); });
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', (piece: Buffer) => { printed.push(piece.toString()); take(piece.toString()); });
      if (isExtra) await until('another engine is up', () => printed.join('').split('"msg":"up"').length > 2 || undefined);
      else {
        const is = await until('the engine is ready', async () => {
          if (child.exitCode !== null || child.signalCode !== null) return 'ended';
          return (await fetch(`${url}/readyz`).catch(() => undefined))?.ok && 'ready';
        });
        // Only then has everything been read that it printed.
        if (is === 'ended') await closed;
        if (is === 'ended') throw new Error(`the engine ended with ${child.exitCode ?? child.signalCode}:\n${printed.join('').slice(-20_000)}`);
      }
      return child;
    },

    async kill(signal) {
      await Promise.all([...engines].map(async (child) => {
        child.kill(signal);
        // At once, and not when they see that the engine is gone: a kill falls behind one step, and before the next.
        if (signal === 'SIGKILL') killIfAlive(workers.get(child));
        await once(child, 'close');
      }));
    },

    stop: () => form.kill('SIGTERM'),
  };
  return form;
}

function run(args: readonly string[], env: Record<string, string>, preload?: string): ChildProcess {
  return spawn(process.execPath, [...(preload === undefined ? [] : ['--import', preload]), ...programOf('services/main.ts'), ...args], { cwd: ROOT, env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
}

function killIfAlive(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
