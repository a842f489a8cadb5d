import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Measure } from './main.ts';
import { ask, inWorld, untilHead, type World } from './world.ts';

const FILES = 10_000;
const PUSHES = 15;

/** A first sync and pushes through everything, against plain git doing the same from the same simulated GitLab. */
export function benchSync(): Promise<Measure[]> {
  return inWorld(measure);
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

const IDENTITY = { GIT_AUTHOR_NAME: 'Ann', GIT_AUTHOR_EMAIL: 'ann@example.com', GIT_COMMITTER_NAME: 'Ann', GIT_COMMITTER_EMAIL: 'ann@example.com', GIT_CONFIG_GLOBAL: '/dev/null' };
const git = (cwd: string, ...args: readonly string[]) => execFileSync('git', args, { cwd, env: { ...process.env, ...IDENTITY } }).toString().trim();
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

function took(step: () => unknown): number {
  const began = performance.now();
  step();
  return performance.now() - began;
}
