import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSystem, until, type System } from '../harness/system.ts';
import { deliveriesSince, expectAllTaken, expectOrderKept, keepPushing, watchDoors } from './doors.ts';
import type { Drill, DrillRun } from './drill.ts';
import { followFleet } from './fleet.ts';
import { expectAllHeld } from './held.ts';
import { processesOf, signal } from './server-processes.ts';

/** How the server dies: all at once, by one backend (then it starts itself anew), or by an operator in haste. */
const WAYS = ['the postmaster is killed', 'a backend is killed', 'an immediate shutdown'] as const;
/** Between two. The supervisor bears eight in a row, each within a minute of the one before. */
const LIFE_MS_MAX = 4_000;
/** A killed server recovers from its log: tenths of a second here. The supervisor waits 5 s at most before it tries. */
const BACK_MS_MAX = 60_000;

export const postgresKilled: Drill = {
  name: 'postgres-killed',
  says: 'the embedded Postgres dies again and again: the engine brings it back, deliveries are kept meanwhile, nothing is parked (I1, I2, I3, I11)',
  minutesMax: 6,
  run: killPostgres,
};

async function killPostgres({ chance, isShort, note }: DrillRun): Promise<string> {
  const system = await startSystem({ database: 'embedded' });
  const data = join(system.stateDir, 'postgres/cluster/data');
  try {
    const fleet = await followFleet(system, { count: isShort ? 3 : 6 });
    const began = new Date();
    const doors = watchDoors(system, fleet);
    const pushing = await keepPushing(system, fleet, { chance });
    // In any order, each at least once: no more in a row than the supervisor bears.
    const ways = isShort ? [...WAYS] : [...WAYS, ...WAYS, chance.oneOf(WAYS)];
    for (const way of ways) {
      await sleep(500 + chance.random() * LIFE_MS_MAX * (isShort ? 0.3 : 1));
      await strike(data, way);
      note(way);
      await until('the database is back', () => isBack(system), BACK_MS_MAX);
    }
    const pushes = await pushing.stop();
    const deliveries = await deliveriesSince(system, began);
    expectAllTaken(deliveries);
    await until('the spool is empty', async () => (await readdir(join(system.stateDir, 'spool'))).length === 0);
    await expectAllHeld(system, fleet);
    await expectOrderKept(system, fleet, deliveries);
    const seen = await doors.close();
    assert.equal(system.log().match(/"msg":"up"/g)?.length, 1, 'the engine was started again');
    assert.ok(system.log().includes('embedded Postgres is back'), 'the supervisor was not needed: the drill drilled nothing');
    return `${ways.length} deaths, ${pushes} pushes, ${deliveries.length} deliveries taken, the slowest in ${Math.max(...deliveries.map(({ seconds }) => seconds)).toFixed(1)} s; ${seen.refused} of ${seen.reads} reads 503, the slowest ${seen.slowestMs} ms`;
  } finally {
    await system.stop();
  }
}

async function strike(data: string, way: (typeof WAYS)[number]): Promise<void> {
  const [postmaster, ...others] = await processesOf(data);
  switch (way) {
    case 'the postmaster is killed': signal([postmaster!], 'SIGKILL'); break;
    // The youngest: a session, not the checkpointer, though that would come to the same.
    case 'a backend is killed': signal(others.slice(-1), 'SIGKILL'); break;
    case 'an immediate shutdown': signal([postmaster!], 'SIGQUIT'); break;
    default: way satisfies never;
  }
}

/** Twice, since the first answer may be one from before. */
async function isBack(system: System): Promise<boolean> {
  const isReady = async () => (await system.ask('GET', '/readyz')).status === 200;
  if (!await isReady()) return false;
  await sleep(1_100);
  return isReady();
}
