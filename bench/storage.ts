import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { runningEmbeddedUrl } from '#shared/postgres/embedded-join.ts';
import type { Measure } from './main.ts';
import { diskKiB, memoryKiB, peakMemoryKiB } from './processes.ts';
import { admin, ask, inWorld, registerSource, untilHead, type World } from './world.ts';

/** Sources that people wrote: the packages that this project is installed with. */
const SOURCES = path.resolve('node_modules');
const HUGE_FILES = 256;
const HUGE_FILE_BYTES = 4 * 1_048_576;

/** What is kept costs: disk beside the bytes of distinct blobs, a fork, and memory while a gigabyte is synced. */
export function benchStorage(): Promise<Measure[]> {
  return inWorld(async (world) => {
    const source = await registerSource(world);
    const idle = memoryKiB(world.pid);
    return [...(await measureDisk(world, source)), await measureMemory(world, { source, idle })];
  });
}

async function measureDisk(world: World, source: string): Promise<Measure[]> {
  const repository = commitFolder(world, { name: 'sources', folder: SOURCES });
  const project = await admin<{ id: number }>(world, 'POST', '/projects', { path: 'sources', import: repository });
  const before = await kept(world);
  await sync(world, { source, project: project.id, commit: headOf(repository) });
  const after = await kept(world);
  const distinct = distinctBlobKiB(repository);
  const mib = (kib: number) => `${(kib / 1_024).toFixed(1)} MiB`;
  const parts = Object.keys(after).map((name) => `${name} ${mib((after[name] ?? 0) - (before[name] ?? 0))}`).join(', ');
  const packs = (after['packs'] ?? 0) - (before['packs'] ?? 0);
  const all = total(after) - total(before);
  const fork = await admin<{ id: number }>(world, 'POST', '/projects', { path: 'sources-fork', forkOf: project.id });
  await sync(world, { source, project: fork.id, commit: headOf(repository) });
  const forked = total(await kept(world)) - total(after);
  return [
    { name: 'packs', ours: mib(packs), reference: `distinct blobs ${mib(distinct)}`, ratio: packs / distinct, goal: '≤ 0.5' },
    { name: 'all that is kept', ours: mib(all), reference: `distinct blobs ${mib(distinct)} (${parts})`, ratio: all / distinct, goal: 'shown' },
    { name: 'a fork, all that is kept', ours: mib(forked), reference: `the first ${mib(all)}`, ratio: forked / all, goal: '< 0.01' },
  ];
}

/** Random bytes: nothing is smaller in a pack than it is. */
async function measureMemory(world: World, { source, idle }: { source: string; idle: number }): Promise<Measure> {
  const folder = path.join(world.folder, 'huge');
  mkdirSync(folder);
  for (let n = 0; n < HUGE_FILES; n += 1) writeFileSync(path.join(folder, `f${n}`), randomFillSync(Buffer.allocUnsafe(HUGE_FILE_BYTES)));
  const repository = commitFolder(world, { name: 'huge-history', folder });
  const project = await admin<{ id: number }>(world, 'POST', '/projects', { path: 'huge', import: repository });
  const began = performance.now();
  const { peak } = await peakMemoryKiB(world.pid, sync(world, { source, project: project.id, commit: headOf(repository) }));
  const seconds = ((performance.now() - began) / 1_000).toFixed(0);
  return { name: `memory, first sync of ${HUGE_FILES} files of 4 MiB (${seconds} s)`, ours: `${Math.round(peak / 1_024)} MiB`, reference: `goal 600 MiB (idle ${Math.round(idle / 1_024)} MiB; engine, git, Postgres)`, ratio: peak / 1_024 / 600, goal: '≤ 1' };
}

async function sync(world: World, { source, project, commit }: { source: string; project: number; commit: string }): Promise<void> {
  const { id } = await ask<{ id: string }>(world, 'POST', '/v1/codebases', { sourceId: source, gitlabProject: project });
  await untilHead(world, id, commit);
}

/** In KiB. Of Postgres what its relations take: its own journal is kept at a size of its own, whatever is stored. */
async function kept({ stateDir }: World): Promise<Record<string, number>> {
  const client = new pg.Client({ connectionString: await runningEmbeddedUrl(stateDir) });
  await client.connect();
  const { rows: [row] } = await client.query<{ log: string; tables: string }>("select pg_total_relation_size('log_facts') as log, pg_database_size(current_database()) - pg_total_relation_size('log_facts') as tables");
  await client.end();
  return { packs: diskKiB(path.join(stateDir, 'blobs')), 'git cache': diskKiB(path.join(stateDir, 'git-caches')), log: Number(row?.log) / 1_024, tables: Number(row?.tables) / 1_024 };
}

const total = (parts: Record<string, number>) => Object.values(parts).reduce((sum, one) => sum + one, 0);

function commitFolder(world: World, { name, folder }: { name: string; folder: string }): string {
  const repository = path.join(world.folder, `${name}.git`);
  const env = { ...process.env, GIT_DIR: repository, GIT_WORK_TREE: folder, GIT_CONFIG_GLOBAL: '/dev/null', GIT_AUTHOR_NAME: 'Ann', GIT_AUTHOR_EMAIL: 'ann@example.com', GIT_COMMITTER_NAME: 'Ann', GIT_COMMITTER_EMAIL: 'ann@example.com' };
  const git = (...args: string[]) => execFileSync('git', args, { env, cwd: folder, maxBuffer: 2 ** 28 });
  git('init', '-q', '-b', 'main');
  git('-c', 'core.compression=1', 'add', '-A', '-f', '.');
  git('commit', '-qm', 'everything');
  return repository;
}

const headOf = (repository: string) => execFileSync('git', ['--git-dir', repository, 'rev-parse', 'main']).toString().trim();

function distinctBlobKiB(repository: string): number {
  const listed = execFileSync('git', ['--git-dir', repository, 'cat-file', '--batch-all-objects', '--batch-check=%(objecttype) %(objectsize)', '--unordered'], { maxBuffer: 2 ** 28 }).toString();
  return listed.split('\n').reduce((sum, line) => sum + (line.startsWith('blob ') ? Number(line.slice(5)) : 0), 0) / 1_024;
}
