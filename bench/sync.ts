import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Measure } from './main.ts';
import { ask, inWorld, untilHead, type World } from './world.ts';

const SIZES = [10_000, 100_000] as const;
const PUSHES = 15;

/** First syncs and pushes through everything, against plain git doing the same from the same simulated GitLab. */
export function benchSync(): Promise<Measure[]> {
  return inWorld(async (world) => {
    const source = await ask<{ id: string }>(world, 'POST', '/v1/sources', { baseUrl: world.gitlab.url, token: world.gitlab.token });
    const measures: Measure[] = [];
    for (const files of SIZES) measures.push(...(await measureFirstSync(world, source.id, files)));
    return [...measures, await measurePushes(world, source.id)];
  });
}

/** A clone is made before and after, so that whatever else the machine does hits both. */
async function measureFirstSync(world: World, sourceId: string, files: number): Promise<Measure[]> {
  const { remote, name, commit } = await makeRepository(world, files);
  const clones: { bare: number; whole: number }[] = [];
  const clone = () => {
    const bare = took(() => git(world.folder, 'clone', '-q', '--bare', '--depth', '1', remote, `${name}-bare`));
    const whole = took(() => git(world.folder, 'clone', '-q', '--depth', '1', remote, `${name}-whole`));
    clones.push({ bare, whole });
    for (const kind of ['bare', 'whole']) rmSync(path.join(world.folder, `${name}-${kind}`), { recursive: true });
  };
  clone();
  const began = performance.now();
  const { id } = await ask<{ id: string }>(world, 'POST', '/v1/codebases', { sourceId, gitlabProject: `root/${name}` });
  await untilHead(world, id, commit);
  const ms = performance.now() - began;
  clone();
  const [bare, whole] = [mean(clones.map((one) => one.bare)), mean(clones.map((one) => one.whole))];
  return [
    { name: `first sync, ${files} files`, ours: `${Math.round(ms)} ms`, reference: `git clone --depth 1 ${Math.round(whole)} ms`, ratio: ms / whole, goal: '≤ 1.5' },
    { name: `first sync, ${files} files`, ours: `${Math.round(ms)} ms`, reference: `without checkout (--bare) ${Math.round(bare)} ms`, ratio: ms / bare, goal: '-' },
  ];
}

async function measurePushes(world: World, sourceId: string): Promise<Measure> {
  const { id } = await ask<{ id: string }>(world, 'POST', '/v1/codebases', { sourceId, gitlabProject: `root/${nameOf(SIZES[0])}` });
  const remote = remoteOf(world, nameOf(SIZES[0]));
  git(world.folder, 'clone', '-q', '--depth', '1', remote, 'clone');
  git(world.folder, 'clone', '-q', '--bare', '--depth', '1', remote, 'reference.git');
  const clone = path.join(world.folder, 'clone');
  const pushes: number[] = [];
  const fetches: number[] = [];
  for (let n = 0; n < PUSHES; n += 1) {
    writeFileSync(path.join(clone, 'd1', 'changed.txt'), `${n}\n`);
    git(clone, 'add', '.');
    git(clone, 'commit', '-qm', String(n));
    git(clone, 'push', '-q', 'origin', 'main');
    const pushed = performance.now();
    await untilHead(world, id, git(clone, 'rev-parse', 'HEAD'));
    pushes.push(performance.now() - pushed);
    fetches.push(took(() => git(path.join(world.folder, 'reference.git'), 'fetch', '-q', '--depth', '1', 'origin', '+main:main')));
  }
  const [push, fetch] = [median(pushes), median(fetches)];
  return { name: 'push answered → queryable, idle, median', ours: `${Math.round(push)} ms`, reference: `git fetch of the same push ${Math.round(fetch)} ms`, ratio: push / fetch, goal: 'fetch + 150 ms' };
}

/** One fast-import: files by hand would take minutes. No two files are equal, here or in the other sizes. */
async function makeRepository(world: World, files: number): Promise<{ remote: string; name: string; commit: string }> {
  const name = nameOf(files);
  const made = await fetch(`${world.gitlab.url}/api/v4/projects`, { method: 'POST', headers: { 'PRIVATE-TOKEN': world.gitlab.token, 'content-type': 'application/json' }, body: JSON.stringify({ name, path: name }) });
  if (!made.ok) throw new Error(`the simulator made no project: ${made.status} ${await made.text()}`);
  const repository = path.join(world.folder, `${name}.git`);
  git(world.folder, 'init', '-q', '--bare', '-b', 'main', repository);
  const entry = (n: number) => { const content = `export const value${n}of${files} = ${n};\n`.repeat(1 + n % 40); return `M 100644 inline d${n % (files / 100)}/f${n}.ts\ndata ${content.length}\n${content}\n`; };
  const commit = `commit refs/heads/main\ncommitter Ann <a@b> 1700000000 +0000\ndata 1\nx\n${Array.from({ length: files }, (_, n) => entry(n)).join('')}`;
  execFileSync('git', ['--git-dir', repository, 'fast-import', '--quiet'], { input: commit });
  git(repository, 'push', '-q', remoteOf(world, name), 'main');
  return { remote: remoteOf(world, name), name, commit: git(repository, 'rev-parse', 'main') };
}

const nameOf = (files: number) => `bench${files}`;
const remoteOf = ({ gitlab }: World, name: string) => `http://x:${gitlab.token}@${gitlab.url.slice('http://'.length)}/root/${name}.git`;
const IDENTITY = { GIT_AUTHOR_NAME: 'Ann', GIT_AUTHOR_EMAIL: 'ann@example.com', GIT_COMMITTER_NAME: 'Ann', GIT_COMMITTER_EMAIL: 'ann@example.com', GIT_CONFIG_GLOBAL: '/dev/null' };
const git = (cwd: string, ...args: readonly string[]) => execFileSync('git', args, { cwd, env: { ...process.env, ...IDENTITY } }).toString().trim();
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

function took(step: () => unknown): number {
  const began = performance.now();
  step();
  return performance.now() - began;
}
