import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSystem, until } from '../harness/system.ts';
import { deliveriesSince, expectAllTaken, expectOrderKept, keepPushing, watchDoors } from './doors.ts';
import type { Drill, DrillRun } from './drill.ts';
import { followFleet } from './fleet.ts';
import { expectAllHeld } from './held.ts';
import { startOwnPostgres } from './server-processes.ts';

const RESTARTS = 2;
const AWAY_MS = 10_000;
const AWAY_MS_SHORT = 1_000;

export const postgresRestarted: Drill = {
  name: 'postgres-restarted',
  says: 'an operator stops the database and starts it again, twice: deliveries are kept, all goes on by itself after (I1, I3)',
  minutesMax: 6,
  run: restartPostgres,
};

async function restartPostgres({ chance, isShort, note }: DrillRun): Promise<string> {
  const postgres = await startOwnPostgres();
  const system = await startSystem({ database: { url: postgres.url } });
  try {
    const fleet = await followFleet(system, { count: isShort ? 3 : 6 });
    const began = new Date();
    const doors = watchDoors(system, fleet);
    const pushing = await keepPushing(system, fleet, { chance });
    for (let restart = 0; restart < RESTARTS; restart += 1) {
      await sleep(chance.random() * (isShort ? 500 : 2_000));
      await postgres.stop('SIGINT');
      note('Postgres is stopped');
      await until('readyz says so', async () => (await system.ask('GET', '/readyz')).status === 503, 10_000);
      await sleep(isShort ? AWAY_MS_SHORT : AWAY_MS);
      await postgres.start();
      await until('the engine is ready again', async () => (await system.ask('GET', '/readyz')).status === 200, 30_000);
    }
    const pushes = await pushing.stop();
    const deliveries = await deliveriesSince(system, began);
    expectAllTaken(deliveries);
    await expectAllHeld(system, fleet);
    await expectOrderKept(system, fleet, deliveries);
    const seen = await doors.close();
    assert.ok(seen.refused > 0, 'nobody met the outage: the drill drilled nothing');
    assert.equal(system.log().match(/"msg":"up"/g)?.length, 1, 'the engine was started again');
    return `${RESTARTS} restarts, ${pushes} pushes, ${deliveries.length} deliveries taken, the slowest in ${Math.max(...deliveries.map(({ seconds }) => seconds)).toFixed(1)} s; ${seen.refused} of ${seen.reads} reads 503, the slowest ${seen.slowestMs} ms`;
  } finally {
    await postgres.start().catch(() => undefined);
    await system.stop();
    await postgres.remove();
  }
}
