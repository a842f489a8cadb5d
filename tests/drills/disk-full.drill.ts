import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSystem, until, type System } from '../harness/system.ts';
import { deliveriesSince, expectAllTaken, keepPushing, watchDoors } from './doors.ts';
import type { Drill, DrillRun } from './drill.ts';
import { followFleet } from './fleet.ts';
import { askForAll, expectAllHeld } from './held.ts';
import { untilKeyWaits } from './reasons.ts';
import { processesOf, signal } from './server-processes.ts';
import { mountSmallDisk, whyNoSmallDisk, type SmallDisk } from './small-disk.ts';

/** Blobs, git caches and the spool of a small fleet take a few megabytes; a cluster and its log 150. */
const MEGABYTES = { beside: 48, embedded: 400 } as const;
const FULL_MS = 20_000;
const TAKEN_WHILE_FULL = 3;
const WELL_MS_MAX = 60_000;

export const diskFull: Drill = {
  name: 'disk-full',
  says: 'the disk of the state folder fills up: work waits and says why, what cannot be kept is refused, all is reached once there is room (I1, I3)',
  minutesMax: 6,
  whyNotHere: whyNoSmallDisk,
  run: async (how) => {
    const beside = await onSmallDisk('beside', how, fillBeside);
    return `${beside}; ${how.isShort ? 'on it with Postgres: in the full form' : await onSmallDisk('embedded', how, fillEmbedded)}`;
  },
};

async function onSmallDisk(database: keyof typeof MEGABYTES, how: DrillRun, drill: (system: System, disk: SmallDisk, how: DrillRun) => Promise<string>): Promise<string> {
  const disk = await mountSmallDisk({ megabytes: MEGABYTES[database] });
  try {
    const system = await startSystem({ stateDir: disk.stateDir, ...(database === 'embedded' ? { database } : {}) });
    try {
      // Else four refusals in a row, and GitLab sends nothing more for a minute.
      await system.gitlab.admin('PUT', '/settings', { isAutoDisableOn: false });
      return await drill(system, disk, how);
    } finally {
      await disk.free();
      await system.stop();
    }
  } finally {
    await disk.remove();
  }
}

/** The log is elsewhere: pushes are taken and reads answered all along; only content waits. */
async function fillBeside(system: System, disk: SmallDisk, { chance, isShort, note }: DrillRun): Promise<string> {
  const fleet = await followFleet(system, { count: 3 });
  const began = new Date();
  const doors = watchDoors(system, fleet);
  const pushing = await keepPushing(system, fleet, { chance });
  await disk.fill();
  const full = new Date();
  note('the disk beside Postgres is full');
  await untilKeyWaits(system, /the disk is full|full or read-only|No space left/, { meanwhile: () => disk.fill() });
  await until('deliveries are taken meanwhile', async () => (await deliveriesSince(system, full)).filter(({ status }) => /^2/.test(status)).length >= TAKEN_WHILE_FULL);
  if (!isShort) await sleep(FULL_MS);
  await disk.free();
  const pushes = await pushing.stop();
  const deliveries = await deliveriesSince(system, began);
  expectAllTaken(deliveries);
  await expectAllHeld(system, fleet);
  const seen = await doors.close();
  assert.equal(seen.refused, 0, 'reads were refused, though nothing they need was away');
  return `beside Postgres: ${pushes} pushes, ${deliveries.length} deliveries taken, ${seen.reads} reads answered, the slowest ${seen.slowestMs} ms`;
}

/** Everything is on it. What neither the log nor the spool can take is refused, and a server that dies meanwhile comes back when there is room. */
async function fillEmbedded(system: System, disk: SmallDisk, { chance, note }: DrillRun): Promise<string> {
  const fleet = await followFleet(system, { count: 3 });
  const began = new Date();
  const doors = watchDoors(system, fleet);
  const pushing = await keepPushing(system, fleet, { chance });
  await disk.fill();
  note('the disk with Postgres is full');
  const [postmaster] = await processesOf(join(disk.stateDir, 'postgres/cluster/data'));
  signal([postmaster!], 'SIGKILL');
  await until('a delivery is refused', async () => {
    await disk.fill();
    return refusedOf(await deliveriesSince(system, began)).length > 0;
  });
  for (const end = performance.now() + FULL_MS; performance.now() < end; await sleep(500)) await disk.fill();
  await disk.free();
  await until('the engine is ready again', async () => (await system.ask('GET', '/readyz')).status === 200, WELL_MS_MAX);
  const pushes = await pushing.stop();
  const deliveries = await deliveriesSince(system, began);
  const refused = refusedOf(deliveries);
  assert.deepEqual(deliveries.filter((one) => !/^2/.test(one.status) && !refused.includes(one)), [], 'a delivery was answered otherwise than 2xx or 503');
  assert.deepEqual(refused.filter(({ retryAfter }) => !(Number(retryAfter) >= 1)), [], 'a 503 does not say when to come again');
  // What was refused GitLab does not send again.
  await askForAll(system, fleet);
  await expectAllHeld(system, fleet);
  const seen = await doors.close();
  assert.equal(system.log().match(/"msg":"up"/g)?.length, 1, 'the engine was started again');
  return `with Postgres: ${pushes} pushes, ${deliveries.length - refused.length} deliveries taken and ${refused.length} refused; ${seen.refused} of ${seen.reads} reads 503, the slowest ${seen.slowestMs} ms`;
}

const refusedOf = <T extends { readonly status: string }>(deliveries: readonly T[]) => deliveries.filter(({ status }) => status === '503');
