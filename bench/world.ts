import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const PORT = 18_480;
const LOOK_EVERY_MS = 5;
const READY_MS_MAX = 60_000;

/** A simulated GitLab and an engine, each a built process of its own. */
export interface World { readonly folder: string; readonly url: string; readonly token: string; readonly gitlab: { url: string; token: string } }

export async function inWorld<T>(measure: (world: World) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tekai-bench-'));
  const children: ChildProcess[] = [];
  try {
    return await measure(await startWorld(folder, children));
  } finally {
    for (const child of children.reverse()) { child.kill('SIGTERM'); await once(child, 'exit'); }
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startWorld(folder: string, children: ChildProcess[]): Promise<World> {
  const dist = path.resolve(import.meta.dirname, '..');
  const simulator = spawn(process.execPath, [path.join(dist, 'infra/gitlab-simulator/main.js'), '--port', '0', '--dir', path.join(folder, 'gitlab')], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(simulator);
  const [line] = (await once(createInterface({ input: simulator.stdout }), 'line')) as [string];
  const stateDir = path.join(folder, 'state');
  const env = { ...process.env, TEKAI_STATE_DIR: stateDir, TEKAI_PORT: String(PORT), TEKAI_INTERNAL_PORT: String(PORT + 1), TEKAI_LOG_LEVEL: 'error' };
  children.push(spawn(process.execPath, [path.join(dist, 'services/main.js'), 'up'], { stdio: ['ignore', 'inherit', 'ignore'], env }));
  const url = `http://127.0.0.1:${PORT}`;
  const began = performance.now();
  while (!(await fetch(`${url}/readyz`).catch(() => undefined))?.ok) {
    if (performance.now() - began > READY_MS_MAX) throw new Error(`the engine did not come up at ${url}: is the port free?`);
    await sleep(100);
  }
  return { folder, url, token: readFileSync(path.join(stateDir, 'access-token'), 'utf8').trim(), gitlab: JSON.parse(line) as World['gitlab'] };
}

/** Waits as a follower does, by one request: asking every 5 ms took a fifth of the processor from what is measured. */
export async function untilHead(world: World, codebase: string, commit: string): Promise<void> {
  while ((await ask<{ head?: { commit: string } | null }>(world, 'GET', `/v1/codebases/${codebase}?atLeast=${commit}&wait=30s`).catch(() => undefined))?.head?.commit !== commit) await sleep(LOOK_EVERY_MS);
}

export async function ask<T>(world: World, method: string, where: string, body?: unknown): Promise<T> {
  const headers = { authorization: `Bearer ${world.token}`, 'content-type': 'application/json', 'idempotency-key': randomUUID() };
  const send = () => fetch(`${world.url}${where}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  // While git runs nothing else does, and kept connections end: once more, under the same key.
  const response = await send().catch(send);
  if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
