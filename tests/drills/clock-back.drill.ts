import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { startSystem, until, type System } from '../harness/system.ts';
import { deliveriesSince, expectOrderKept, keepPushing, watchDoors } from './doors.ts';
import type { Drill, DrillRun } from './drill.ts';
import { followFleet, type Followed } from './fleet.ts';
import { expectAllHeld, untilSameHeads } from './held.ts';

const HOUR_MS = 3_600_000;
/** So that a push without a webhook is found within the drill. */
const POLL_SECONDS = 3;
/** A wait that was begun under the old clock. */
const WAIT_S = 3;
/** Far less than an hour, and enough for a loaded machine. */
const WAITED_MS_MAX = 30_000;

export const clockBack: Drill = {
  name: 'clock-back',
  says: 'the engine\'s clock goes back an hour: nothing is lost, hidden or held up for an hour; what GitLab signed is refused until the clocks agree, and polling brings it (I1, I2, I10)',
  minutesMax: 6,
  run: setClockBack,
};

async function setClockBack({ chance, isShort, note }: DrillRun): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tekai-drill-clock-'));
  const clock = join(folder, 'shift');
  await writeFile(clock, '0');
  const system = await startSystem({
    preload: pathToFileURL(join(process.cwd(), 'tests/drills/shifted-clock.mjs')).href,
    settings: { DRILL_CLOCK_FILE: clock, TEKAI_POLL_ACTIVE_SECONDS: String(POLL_SECONDS), TEKAI_POLL_IDLE_SECONDS: String(POLL_SECONDS), TEKAI_GITLAB_REQUESTS_PER_MINUTE: '3000' },
  });
  try {
    await system.gitlab.admin('PUT', '/settings', { isAutoDisableOn: false });
    const fleet = await followFleet(system, { count: isShort ? 3 : 6 });
    const doors = watchDoors(system, fleet);
    const pushing = await keepPushing(system, fleet, { chance });
    await sleep(isShort ? 1_000 : 10_000);
    await until('GitLab is looked at', async () => (await system.ask('GET', `/v1/codebases/${fleet[0]!.codebase}`)).json<{ lastLook: { how: string } | null }>().lastLook !== null);

    const back = new Date();
    const waited = waitForNothing(system, fleet[0]!);
    await writeFile(clock, String(-HOUR_MS));
    note('the clock went back an hour');
    await until('a delivery is refused', async () => (await deliveriesSince(system, back)).some(({ status }) => status === '401'));
    const waitedMs = await waited;
    assert.ok(waitedMs < WAITED_MS_MAX, `a wait of ${WAIT_S} s took ${waitedMs} ms`);
    await sleep(isShort ? 1_000 : 20_000);
    const pushes = await pushing.stop();
    // Nobody asks: what was refused, polling finds.
    const from = performance.now();
    for (const one of fleet) await untilSameHeads(system, one);
    const foundMs = Math.round(performance.now() - from);
    await expectReadAfterCause(system, fleet[0]!);

    await writeFile(clock, '0');
    const deliveries = await deliveriesSince(system, new Date(0));
    await expectAllHeld(system, fleet);
    await expectOrderKept(system, fleet, deliveries);
    const seen = await doors.close();
    assert.equal(seen.refused, 0, 'reads were refused, though only the clock changed');
    const refused = deliveries.filter(({ status }) => status === '401').length;
    return `${pushes} pushes, ${refused} of ${deliveries.length} deliveries 401, found by polling ${foundMs} ms after the last push; ${seen.reads} reads answered, the slowest ${seen.slowestMs} ms`;
  } finally {
    await system.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** For a commit that never comes. Resolves to how long it took to say so. */
async function waitForNothing(system: System, { codebase }: Followed): Promise<number> {
  const began = performance.now();
  const { status } = await system.ask('GET', `/v1/codebases/${codebase}/refs?atLeast=${'0'.repeat(39)}1&wait=${WAIT_S}s`);
  assert.equal(status, 202);
  return Math.round(performance.now() - began);
}

/** Whoever asks for a sync, and reads at least what it brought, is not held up by times of before. */
async function expectReadAfterCause(system: System, { codebase }: Followed): Promise<void> {
  const { cause } = (await system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body: {} })).json<{ cause: string }>();
  assert.equal((await system.ask('GET', `/v1/codebases/${codebase}/refs?atLeast=${cause}&wait=30s`)).status, 200, 'what a command brought is hidden');
}
