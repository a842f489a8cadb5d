import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Measure } from './main.ts';

const FILES = 10_000;
const PUSHES = 15;
const PORT = 18_480;
const LOOK_EVERY_MS = 5;
const READY_MS_MAX = 60_000;

interface World { readonly folder: string; readonly url: string; readonly token: string; readonly gitlab: { url: string; token: string } }

/** A first sync and pushes through everything, against plain git doing the same from the same simulated GitLab. */
export async function benchSync(): Promise<Measure[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tekai-bench-'));
  const children: ChildProcess[] = [];
  try {
    return await measure(await startWorld(folder, children));
  } finally {
    for (const child of children.reverse()) { child.kill('SIGTERM'); await once(child, 'exit'); }
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(world: World): Promise<Measure[]> {
  const clone = await makeRepository(world);
  const remote = `http://x:${world.gitlab.token}@${world.gitlab.url.slice('http://'.length)}/root/bench.git`;
  const cloneMs = took(() => git(world.folder, 'clone', '-q', '--bare', '--depth', '1', remote, 'reference.git'));
  const source = await ask<{ id: string }>(world, 'POST', '/v1/sources', { baseUrl: world.gitlab.url, token: world.gitlab.token });
  const began = performance.now();
  const codebase = await ask<{ id: string }>(world, 'POST', '/v1/codebases', { sourceId: source.id, gitlabProject: 'root/bench' });
  await untilHead(world, codebase.id, git(clone, 'rev-parse', 'HEAD'));
  const firstMs = performance.now() - began;

  const pushes: number[] = [];
  const fetches: number[] = [];
  for (let n = 0; n < PUSHES; n += 1) {
    writeFileSync(path.join(clone, 'd1', 'changed.txt'), `${n}\n`);
    git(clone, 'add', '.');
    git(clone, 'commit', '-qm', String(n));
    git(clone, 'push', '-q', 'origin', 'main');
    const pushed = performance.now();
    await untilHead(world, codebase.id, git(clone, 'rev-parse', 'HEAD'));
    pushes.push(performance.now() - pushed);
    fetches.push(took(() => git(path.join(world.folder, 'reference.git'), 'fetch', '-q', '--depth', '1', 'origin', '+main:main')));
  }
  const [push, fetch] = [median(pushes), median(fetches)];
  return [
    { name: `first sync, ${FILES} files`, ours: `${Math.round(firstMs)} ms`, reference: `git clone --bare --depth 1 ${Math.round(cloneMs)} ms`, ratio: firstMs / cloneMs, goal: '≤ 1.5' },
    { name: 'push answered → queryable, idle, median', ours: `${Math.round(push)} ms`, reference: `git fetch of the same push ${Math.round(fetch)} ms`, ratio: push / fetch, goal: 'fetch + 150 ms' },
  ];
}

async function makeRepository(world: World): Promise<string> {
  const made = await fetch(`${world.gitlab.url}/api/v4/projects`, { method: 'POST', headers: { 'PRIVATE-TOKEN': world.gitlab.token, 'content-type': 'application/json' }, body: JSON.stringify({ name: 'bench', path: 'bench' }) });
  if (!made.ok) throw new Error(`the simulator made no project: ${made.status} ${await made.text()}`);
  const clone = path.join(world.folder, 'clone');
  mkdirSync(clone);
  git(clone, 'init', '-q', '-b', 'main');
  for (let n = 0; n < FILES; n += 1) {
    const dir = path.join(clone, `d${n % 100}`);
    if (n < 100) mkdirSync(dir);
    writeFileSync(path.join(dir, `f${n}.ts`), `export const value${n} = ${n};\n`.repeat(20));
  }
  git(clone, 'add', '.');
  git(clone, '-c', 'gc.auto=0', 'commit', '-qm', 'first');
  git(clone, 'remote', 'add', 'origin', `http://x:${world.gitlab.token}@${world.gitlab.url.slice('http://'.length)}/root/bench.git`);
  git(clone, 'push', '-q', 'origin', 'main');
  return clone;
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

async function untilHead(world: World, codebase: string, commit: string): Promise<void> {
  while ((await ask<{ head?: { commit: string } | null }>(world, 'GET', `/v1/codebases/${codebase}`).catch(() => undefined))?.head?.commit !== commit) await sleep(LOOK_EVERY_MS);
}

async function ask<T>(world: World, method: string, where: string, body?: unknown): Promise<T> {
  const headers = { authorization: `Bearer ${world.token}`, 'content-type': 'application/json', 'idempotency-key': randomUUID() };
  const send = () => fetch(`${world.url}${where}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  // While git runs nothing else does, and kept connections end: once more, under the same key.
  const response = await send().catch(send);
  if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

const IDENTITY = { GIT_AUTHOR_NAME: 'Ann', GIT_AUTHOR_EMAIL: 'ann@example.com', GIT_COMMITTER_NAME: 'Ann', GIT_COMMITTER_EMAIL: 'ann@example.com', GIT_CONFIG_GLOBAL: '/dev/null' };
const git = (cwd: string, ...args: readonly string[]) => execFileSync('git', args, { cwd, env: { ...process.env, ...IDENTITY } }).toString().trim();
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

function took(step: () => unknown): number {
  const began = performance.now();
  step();
  return performance.now() - began;
}
