import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { startStack } from '../infra/stack/stack.ts';

const PORT = 18_480;
const LOOK_EVERY_MS = 5;
const READY_MS_MAX = 60_000;

/** A simulated GitLab and an engine, each a built process of its own. */
export interface World {
  readonly folder: string;
  readonly url: string;
  readonly token: string;
  readonly stateDir: string;
  /** Of the engine; its git children and its Postgres are below it. */
  readonly pid: number;
  readonly gitlab: { readonly url: string; readonly token: string; readonly adminToken: string };
}

/** @param settings of the engine, beside those that every bench has */
export async function inWorld<T>(measure: (world: World) => Promise<T>, settings: Readonly<Record<string, string>> = {}): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tekai-bench-'));
  // The account of Postgres must get in, or its files would lie elsewhere, uncounted.
  chmodSync(folder, 0o755);
  const children: ChildProcess[] = [];
  try {
    return await measure(await startWorld(folder, { children, settings }));
  } finally {
    for (const child of children.reverse()) { child.kill('SIGTERM'); await once(child, 'exit'); }
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same before the distributed form: every service a process of its own, on real engines. */
export async function onStack<T>(measure: (world: World) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tekai-bench-'));
  chmodSync(folder, 0o755);
  const children: ChildProcess[] = [];
  const stack = await startStack({ directory: path.join(folder, 'stack'), note: () => undefined });
  try {
    const gitlab = await startSimulator(folder, children);
    return await measure({ folder, url: stack.url, stateDir: stack.stateDir, pid: process.pid, token: readFileSync(path.join(stack.stateDir, 'access-token'), 'utf8').trim(), gitlab });
  } finally {
    await stack.stop();
    for (const child of children) { child.kill('SIGTERM'); await once(child, 'exit'); }
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startSimulator(folder: string, children: ChildProcess[]): Promise<World['gitlab']> {
  const program = path.resolve(import.meta.dirname, '../infra/gitlab-simulator/main.js');
  const simulator = spawn(process.execPath, [program, '--port', '0', '--dir', path.join(folder, 'gitlab')], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(simulator);
  const [line] = (await once(createInterface({ input: simulator.stdout }), 'line')) as [string];
  return JSON.parse(line) as World['gitlab'];
}

async function startWorld(folder: string, { children, settings }: { readonly children: ChildProcess[]; readonly settings: Readonly<Record<string, string>> }): Promise<World> {
  const dist = path.resolve(import.meta.dirname, '..');
  const gitlab = await startSimulator(folder, children);
  const stateDir = path.join(folder, 'state');
  const env = { ...process.env, TEKAI_STATE_DIR: stateDir, TEKAI_PORT: String(PORT), TEKAI_INTERNAL_PORT: String(PORT + 1), TEKAI_LOG_LEVEL: 'error', TEKAI_ALLOW_ADDRESSES: '127.0.0.0/8,::1/128', ...settings };
  const engine = spawn(process.execPath, [path.join(dist, 'services/main.js'), 'up'], { stdio: ['ignore', 'inherit', 'ignore'], env });
  children.push(engine);
  const url = `http://127.0.0.1:${PORT}`;
  const began = performance.now();
  while (!(await fetch(`${url}/readyz`).catch(() => undefined))?.ok) {
    if (performance.now() - began > READY_MS_MAX) throw new Error(`the engine did not come up at ${url}: is the port free?`);
    await sleep(100);
  }
  return { folder, url, stateDir, pid: engine.pid ?? 0, token: readFileSync(path.join(stateDir, 'access-token'), 'utf8').trim(), gitlab };
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

/** Behind GitLab's back: seeds and moves what no client could as fast. */
export async function admin<T>({ gitlab }: World, method: string, where: string, body?: unknown): Promise<T> {
  // Not kept: while git runs nothing else does here, and kept connections end.
  const headers = { 'x-simulator-token': gitlab.adminToken, 'content-type': 'application/json', connection: 'close' };
  const response = await fetch(`${gitlab.url}/_simulator${where}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${text}`);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** Registers the simulated GitLab. */
export async function registerSource(world: World, more: { readonly signingToken?: string } = {}): Promise<string> {
  return (await ask<{ id: string }>(world, 'POST', '/v1/sources', { baseUrl: world.gitlab.url, token: world.gitlab.token, ...more })).id;
}
