import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSystem, until, type System } from '../harness/system.ts';
import { deliveriesSince, keepPushing, watchDoors } from './doors.ts';
import type { Drill, DrillRun } from './drill.ts';
import { followFleet } from './fleet.ts';
import { askForAll, expectAllHeld } from './held.ts';
import { untilKeyWaits } from './reasons.ts';
import { startOwnPostgres, type OwnPostgres } from './server-processes.ts';
import { mountSmallDisk, whyNoSmallDisk, type SmallDisk } from './small-disk.ts';

const MEGABYTES = 48;
const EMBEDDED_MEGABYTES = 400;
const READ_ONLY_MS = 15_000;

export const stateReadOnly: Drill = {
  name: 'state-read-only',
  says: 'the state folder turns read-only: work waits and says why, nothing is taken that cannot be kept, a start says what to do (I1, I3)',
  minutesMax: 6,
  whyNotHere: whyNoSmallDisk,
  run: async (how) => {
    const disk = await mountSmallDisk({ megabytes: MEGABYTES });
    try {
      return `${await underPushes(disk, how)}; ${how.isShort ? 'with its Postgres: in the full form' : await startEmbedded()}`;
    } finally {
      await disk.remove();
    }
  },
};

async function underPushes(disk: SmallDisk, { chance, isShort, note }: DrillRun): Promise<string> {
  const postgres = await startOwnPostgres();
  const system = await startSystem({ stateDir: disk.stateDir, database: { url: postgres.url } });
  try {
    // Else four refusals in a row, and GitLab sends nothing more for a minute.
    await system.gitlab.admin('PUT', '/settings', { isAutoDisableOn: false });
    const fleet = await followFleet(system, { count: 3 });
    const began = new Date();
    const doors = watchDoors(system, fleet);
    const pushing = await keepPushing(system, fleet, { chance });
    await disk.makeReadOnly();
    const turned = new Date();
    note('the state folder is read-only');
    await untilKeyWaits(system, /read-only/i);
    // Not every one: what the log does not take within its 1.5 s, on a loaded machine, has no spool to go to.
    await until('a delivery is taken, for the log takes it', async () => (await deliveriesSince(system, turned)).some(({ status }) => /^2/.test(status)));
    assert.deepEqual((await deliveriesSince(system, began)).filter(({ status }) => !/^(2|503)/.test(status)), [], 'a delivery was answered otherwise than 2xx or 503');
    const seen = await doors.close();
    assert.equal(seen.refused, 0, 'reads were refused, though nothing they need was away');
    const refused = await refusedWithoutLog(system, postgres);
    if (!isShort) await sleep(READ_ONLY_MS);
    const said = await startInVain(system);
    await disk.makeWritable();
    await system.startEngine();
    const pushes = await pushing.stop();
    await askForAll(system, fleet);
    await expectAllHeld(system, fleet);
    return `${pushes} pushes, ${seen.reads} reads answered, the slowest ${seen.slowestMs} ms; ${refused} deliveries refused while the log was away too; a start said: ${said}`;
  } finally {
    await postgres.start().catch(() => undefined);
    await disk.makeWritable().catch(() => undefined);
    await system.stop();
    await postgres.remove();
  }
}

/** Neither log nor spool: what is refused is told when to come again, and nothing is taken. */
async function refusedWithoutLog(system: System, postgres: OwnPostgres): Promise<number> {
  await postgres.stop('SIGINT');
  const since = new Date();
  const refused = await until('a delivery is refused', async () => {
    const answers = await deliveriesSince(system, since);
    return answers.some(({ status }) => status === '503') && answers;
  });
  assert.deepEqual(refused.filter(({ status, retryAfter }) => !/^2/.test(status) && !(status === '503' && Number(retryAfter) >= 1)), [], 'an answer is neither 2xx nor a 503 that says when to come again');
  await postgres.start();
  await until('the engine is ready again', async () => (await system.ask('GET', '/readyz')).status === 200);
  return refused.filter(({ status }) => status === '503').length;
}

/** Stopped and started on a folder that it cannot write: it ends, and says why and what to do. */
async function startInVain(system: System): Promise<string> {
  await system.kill('SIGTERM');
  const before = system.log().length;
  await assert.rejects(system.startEngine(), /the engine ended with 1/);
  const said = system.log().slice(before).split('\n').filter((line) => line !== '' && !line.startsWith('{')).join(' ');
  assert.ok(said.includes(system.stateDir), `what was said names no folder: ${said}`);
  assert.match(said, /read-only/i);
  assert.match(said, /mount it writable|may write/, 'what was said does not say what to do');
  return JSON.stringify(said);
}

/** With its own Postgres there: the start alone, since a file system with a running server cannot be turned. */
async function startEmbedded(): Promise<string> {
  const disk = await mountSmallDisk({ megabytes: EMBEDDED_MEGABYTES });
  try {
    const system = await startSystem({ stateDir: disk.stateDir, database: 'embedded' });
    try {
      await system.kill('SIGTERM');
      await disk.makeReadOnly();
      const said = await startInVain(system);
      await disk.makeWritable();
      await system.startEngine();
      return `with its Postgres: ${said}`;
    } finally {
      await disk.makeWritable().catch(() => undefined);
      await system.stop();
    }
  } finally {
    await disk.remove();
  }
}
