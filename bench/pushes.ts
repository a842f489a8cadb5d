import { rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, shownTimes } from './figures.ts';
import type { Measure } from './main.ts';
import { seedProject, type Seeded } from './repositories.ts';
import { admin, ask, inWorld, onStack, registerSource, untilHead, type World } from './world.ts';

/** Over so many codebases, as pushes of a company are. All of gitlab.com is 40 a second. */
const CODEBASES = 40;
const RATES = [{ rate: 2, pushes: 20 }, { rate: 5, pushes: 50 }, { rate: 10, pushes: 80 }, { rate: 40, pushes: 120 }] as const;
const [SMALL, LARGE] = [1_000, 100_000] as const;
const ROUNDS = 11;

/** From GitLab's ref moving, with its hook, to the file readable at the new commit. */
export function benchPushes(): Promise<Measure[]> {
  return inWorld(async (world) => {
    const source = await registerSource(world);
    return [...(await measureSizes(world, source)), ...(await measureRates(world, source, { rates: RATES, p50Ms: 500, where: '' }))];
  });
}

/** Of the distributed form: at the rate that is aimed at, and what goes before warms what is read and built first. */
const STACK_RATES = [{ rate: 2, pushes: 20 }, { rate: 5, pushes: 100 }] as const;
const STACK_P50_MS = 1_000;

export function benchStackPushes(): Promise<Measure[]> {
  return onStack(async (world) => measureRates(world, await registerSource(world), { rates: STACK_RATES, p50Ms: STACK_P50_MS, where: ' on the stack' }));
}

interface Followed { readonly seeded: Seeded; readonly codebase: string; at: number }

async function follow(world: World, source: string, seeded: Seeded): Promise<Followed> {
  const { id } = await ask<{ id: string }>(world, 'POST', '/v1/codebases', { sourceId: source, gitlabProject: seeded.project });
  await untilHead(world, id, seeded.commits[0] ?? '');
  return { seeded, codebase: id, at: 0 };
}

/** Resolves to the milliseconds until it can be read. */
async function push(world: World, followed: Followed): Promise<number> {
  followed.at += 1;
  const commit = followed.seeded.commits[followed.at] ?? '';
  const began = performance.now();
  await admin(world, 'POST', `/projects/${followed.seeded.project}/refs`, { ref: 'refs/heads/main', sha: commit });
  await untilHead(world, followed.codebase, commit);
  return performance.now() - began;
}

/** Large and small take turns, so that whatever else the machine does hits both. */
async function measureSizes(world: World, source: string): Promise<Measure[]> {
  const [small, large] = [
    await follow(world, source, await seedProject(world, { name: 'small', files: SMALL, changes: 3 * ROUNDS })),
    await follow(world, source, await seedProject(world, { name: 'large', files: LARGE, changes: 3 * ROUNDS })),
  ] as const;
  const turns = async (before: () => void) => {
    const took: [number, number][] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      before();
      const first = await push(world, small);
      before();
      took.push([first, await push(world, large)]);
    }
    return [median(took.map(([one]) => one)), median(took.map(([, one]) => one))] as const;
  };
  await turns(() => undefined);
  const warm = await turns(() => undefined);
  const caches = path.join(world.stateDir, 'git-caches');
  const absent = await turns(() => rmSync(caches, { recursive: true, force: true }));
  const measure = (name: string, [few, many]: readonly [number, number], goal: string): Measure =>
    ({ name: `a push of one file, ${LARGE} files, cache ${name}`, ours: `${Math.round(many)} ms`, reference: `the same of ${SMALL} files ${Math.round(few)} ms`, ratio: many / few, goal });
  return [measure('warm', warm, '≤ 1.3'), measure('absent', absent, '≤ 3')];
}

interface Rates { readonly rates: readonly { readonly rate: number; readonly pushes: number }[]; readonly p50Ms: number; readonly where: string }

/** Pushes begin when they are due, whatever became of the ones before; one of a codebase follows the last of it. */
async function measureRates(world: World, source: string, { rates, p50Ms, where }: Rates): Promise<Measure[]> {
  const followed: Followed[] = [];
  const changes = rates.reduce((sum, { pushes }) => sum + Math.ceil(pushes / CODEBASES), 0);
  for (let n = 0; n < CODEBASES; n += 1) followed.push(await follow(world, source, await seedProject(world, { name: `rate-${n}`, files: 100, changes })));
  const measures: Measure[] = [];
  for (const { rate, pushes } of rates) {
    const tookMs: number[] = [];
    const last = new Map<Followed, Promise<void>>();
    const began = performance.now();
    for (let n = 0; n < pushes; n += 1) {
      const due = began + (n * 1_000) / rate;
      await sleep(Math.max(0, due - performance.now()));
      const one = followed[n % CODEBASES]!;
      last.set(one, (last.get(one) ?? Promise.resolve()).then(() => push(world, one)).then(() => void tookMs.push(performance.now() - due)));
    }
    await Promise.all(last.values());
    const perSecond = tookMs.length / ((performance.now() - began) / 1_000);
    measures.push({ name: `push → queryable, ${pushes} pushes at ${rate}/s over ${CODEBASES} codebases${where}`, ours: shownTimes(tookMs), reference: `goal p50 ${p50Ms} ms; kept up with ${perSecond.toFixed(1)}/s`, ratio: median(tookMs) / p50Ms, goal: '≤ 1' });
  }
  return measures;
}
