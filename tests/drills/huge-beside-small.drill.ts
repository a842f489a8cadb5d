import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import pg from 'pg';
import { startSystem, untilStored, eventsOf, until, type System } from '../harness/system.ts';
import type { Drill, DrillRun } from './drill.ts';
import { followFleet, pushSomething, type Followed } from './fleet.ts';
import { expectAllHeld } from './held.ts';
import { expectEveryFileIsGits, makeHugeRepository, type Huge } from './huge-repository.ts';
import { watchMemory } from './memory.ts';

const MAIN = 'refs/heads/main';
const FULL_MIB = 1_024;
/** One file of 40 MiB, and smaller ones. */
const SHORT_MIB = 50;
/** Of the short form, so that it is long enough under way: some four seconds. */
const SHORT_BYTES_PER_SECOND = 13_000_000;
/** Of the engine and its git together, whatever the repository weighs, as long as no file passes 50 MB. An engine at rest takes some 200. */
const MEMORY_MIB_MAX = 600;
/** A first sync of a gigabyte on two cores that others use. */
const HUGE_MS_MAX = 600_000;

export const hugeBesideSmall: Drill = {
  name: 'huge-beside-small',
  says: 'a codebase of 1 GB that is brought, and killed in between, delays no small one, is whole in the end, and fits into memory (I5, I12)',
  minutesMax: 5,
  run: bringHuge,
};

async function bringHuge({ chance, isShort, note }: DrillRun): Promise<string> {
  const huge = await makeHugeRepository(chance.seed, isShort ? SHORT_MIB : FULL_MIB);
  const system = await startSystem();
  try {
    const fleet = await followFleet(system, { count: isShort ? 6 : 20, name: 'small' });
    for (const one of fleet) await untilStored(system, one.codebase, MAIN, one.heads.get('main')!);
    const project = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'huge', import: huge.repository.dir });
    if (isShort) await system.gitlab.admin('POST', '/faults', { kind: 'http', path: '/huge\\.git/git-upload-pack$', bytesPerSecond: SHORT_BYTES_PER_SECOND });
    note('the huge one is made');

    let watch = watchMemory();
    const began = performance.now();
    const codebase = await system.follow(project.id);
    await untilProgress(system, { codebase, since: new Date(0), isReached: ({ bytesDone }) => bytesDone > 0 });
    let killed = '';
    if (!isShort) {
      // While it arrives, or while it is packed.
      const [isArriving, bytes] = [chance.random() < 0.5, huge.bytes * (0.2 + 0.6 * chance.random())];
      await untilProgress(system, { codebase, since: new Date(0), isReached: ({ objectsTotal, bytesDone }) => (objectsTotal === null) === isArriving && bytesDone > bytes });
      killed = `, killed when ${(bytes / 1e6).toFixed(0)} MB had ${isArriving ? 'arrived' : 'been packed'}, after ${seconds(began)} s`;
      await system.kill('SIGKILL');
      note(`${killed.slice(2)}; at most ${watch.stop().peakMiB} MiB until then`);
      const since = new Date();
      await system.startEngine();
      watch = watchMemory();
      await untilProgress(system, { codebase, since, isReached: ({ bytesDone }) => bytesDone > 0 });
    }
    const waits = await pushUntilStored(system, { fleet, codebase, huge, chance });
    const { peakMiB, then } = watch.stop();
    const tookS = seconds(began);
    assert.ok(peakMiB <= MEMORY_MIB_MAX, `the engine took ${peakMiB} MiB (${then}), more than ${MEMORY_MIB_MAX}`);
    await expectHeldUp(system, { codebase, huge, smallOnes: waits.length, isShort });
    await expectAllHeld(system, fleet);
    waits.sort((one, other) => one - other);
    return `${(huge.bytes / 1e6).toFixed(0)} MB in ${huge.files} files stored after ${tookS} s${killed}; meanwhile ${waits.length} pushes to ${fleet.length} small ones, queryable after ${waits[waits.length >> 1]} ms (median), ${waits.at(-1)} ms (most); memory at most ${peakMiB} MiB (${then})`;
  } finally {
    await system.stop();
    await rm(huge.repository.dir, { recursive: true, force: true });
  }
}

/** Pushes to the small ones, one after the other, until the huge one is stored; how long each took to be queryable. Those that ended after it do not count. */
async function pushUntilStored(system: System, { fleet, codebase, huge, chance }: { fleet: readonly Followed[]; codebase: string; huge: Huge; chance: DrillRun['chance'] }): Promise<number[]> {
  const waits: number[] = [];
  let isStored = false;
  const end = performance.now() + HUGE_MS_MAX;
  for (let n = 0; !isStored; n += 1) {
    assert.ok(performance.now() < end, `the huge codebase was not stored within ${HUGE_MS_MAX} ms:\n${system.log().slice(-2_000)}`);
    const one = fleet[n % fleet.length]!;
    const from = performance.now();
    await pushSomething([one], chance);
    for (const [branch, commit] of one.heads) await untilStored(system, one.codebase, `refs/heads/${branch}`, commit);
    const waitedMs = Math.round(performance.now() - from);
    isStored = (await eventsOf(system, `key=${codebase}&type=codebase.stored`)).some(({ data }) => data.commit === huge.commit);
    if (!isStored) waits.push(waitedMs);
  }
  return waits;
}

async function expectHeldUp(system: System, { codebase, huge, smallOnes, isShort }: { codebase: string; huge: Huge; smallOnes: number; isShort: boolean }): Promise<void> {
  assert.ok(smallOnes >= (isShort ? 3 : 10), `only ${smallOnes} pushes to small codebases were queryable before the huge one was stored: it delayed them`);
  const { tree } = await untilStored(system, codebase, MAIN, huge.commit);
  assert.equal(tree, huge.repository.git('rev-parse', `${huge.commit}^{tree}`));
  assert.equal((await eventsOf(system, `key=${codebase}&type=codebase.stored`)).length, 1, 'the huge one was stored once');
  assert.deepEqual(await eventsOf(system, `key=${codebase}&type=sync.failed`), []);
  await expectEveryFileIsGits(system, codebase, huge);
}

interface Progress { readonly step: string; readonly objectsTotal: number | null; readonly bytesDone: number }

/** What was told since then of the one sync that tells of as many bytes: before its first fact no list shows it. */
async function untilProgress(system: System, { codebase, since, isReached }: { codebase: string; since: Date; isReached(progress: Progress): boolean }): Promise<void> {
  const client = new pg.Client({ connectionString: system.databaseUrl });
  await client.connect();
  try {
    await until('the huge one has come so far', async () => {
      const { rows } = await client.query<{ progress: Progress }>(`select progress from sync_progress where progress->>'codebaseId' = $1 and told_at > $2`, [codebase, since]);
      return rows.some(({ progress }) => isReached(progress));
    }, HUGE_MS_MAX);
  } finally {
    await client.end();
  }
}

const seconds = (from: number) => ((performance.now() - from) / 1_000).toFixed(1);
