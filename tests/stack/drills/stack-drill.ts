import assert from 'node:assert/strict';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startServices } from '../../../infra/stack/services.ts';
import { deliveriesSince, expectAllTaken } from '../../drills/doors.ts';
import type { Chance, DrillRun } from '../../drills/drill.ts';
import { followFleet, pushSomething, type Followed } from '../../drills/fleet.ts';
import { askForAll, expectAllHeld, hasSameHeads } from '../../drills/held.ts';
import { listenToAll } from '../../drills/listener.ts';
import { enginesOfRun, type StackEngines, type StackForm } from '../../harness/stack-form.ts';
import { eventsOf, startSystem, until, type System } from '../../harness/system.ts';
import { expectTopicIsLog } from './topic-held.ts';

/** What a machine must have for them: as global-setup.ts names it. */
export const NEEDED = ['TEKAI_TEST_DATABASE_URL', 'TEKAI_TEST_KAFKA', 'TEKAI_TEST_REDIS', 'TEKAI_TEST_S3', 'TEKAI_TEST_NGINX'] as const;
/** After a broker's death a consumer may have to begin anew several times, each after the session of the one before (30 s). */
export const STATE_MS_MAX = 300_000;

const SHORT = { codebases: 3, pushes: 20 };
const FULL = { codebases: 6, pushes: 150 };
/** A push costs a core some tenths of a second, in sixteen processes; and each version is read at the end. */
const PUSH_EVERY_MS = 700;

export interface StackWorld {
  readonly system: System;
  readonly stack: StackForm;
  /** A drill may add to it. */
  readonly fleet: Followed[];
  readonly chance: Chance;
  readonly isShort: boolean;
  note(text: string): void;
}

export interface StackBreakage {
  /** Those that the drill breaks, of its own; the others are those of the run. */
  readonly engines?: Partial<StackEngines>;
  readonly databaseUrl?: string;
  /** Services may end, and deliveries be refused; who is away at the end is started, and everybody asked for a sync. Else neither is borne. */
  readonly areServicesKilled?: boolean;
  /** Breaks and mends, while pushes come. Resolves to what was done. */
  breakIt(world: StackWorld): Promise<string>;
}

/** Undefined where this machine has all that the distributed form stands on. */
export function whyNotHere(): string | undefined {
  const lacking = NEEDED.filter((name) => (process.env[name] ?? '') === '');
  return lacking.length === 0 ? undefined : `no ${lacking.join(', no ')}`;
}

/** A stack of its own, broken under pushes. Resolves, when all held, to what was done and how much came meanwhile. */
export async function drillStack({ chance, isShort, note }: DrillRun, breakage: StackBreakage): Promise<string> {
  const { codebases, pushes } = isShort ? SHORT : FULL;
  const system = await startSystem({ engines: { ...enginesOfRun(), ...breakage.engines }, ...(breakage.databaseUrl === undefined ? {} : { database: { url: breakage.databaseUrl } }) });
  const stack = system.stack!;
  try {
    // Hooks that fail four times would be switched off for a minute.
    await system.gitlab.admin('PUT', '/settings', { isAutoDisableOn: false });
    const listener = await listenToAll(system);
    const fleet = await followFleet(system, { count: codebases });
    await untilReached(system, fleet);
    await untilHooked(system, { fleet, chance });
    const [began, children] = [new Date(), stack.services.map(({ child }) => child)];
    note(`${stack.services.length} services run, ${codebases} codebases are stored`);

    const world = { system, stack, fleet, chance, isShort, note };
    const { done, pushed } = await underPushes(world, pushes, () => breakage.breakIt(world));
    const deliveries = await deliveriesSince(system, began);
    if (breakage.areServicesKilled) {
      await startServices(stack.services);
      await askForAll(system, fleet);
    } else {
      expectAllTaken(deliveries);
      assert.deepEqual(children.map((child, n) => stack.services[n]?.isRunning && stack.services[n].child === child), children.map(() => true), 'a service ended');
    }
    await untilReached(system, fleet);
    await expectAllHeld(system, fleet, { listeners: [listener] });
    const facts = await expectTopicIsLog(system);
    await listener.stop();
    const taken = deliveries.filter(({ status }) => /^2/.test(status));
    return `${done}; ${pushed} pushes, ${taken.length} of ${deliveries.length} deliveries taken, the slowest in ${Math.max(...taken.map(({ seconds }) => seconds)).toFixed(1)} s; ${facts} facts, all heard over ${listener.connections} connections`;
  } catch (error) {
    const file = path.join(await mkdtemp(path.join(tmpdir(), 'tekai-drill-')), 'services.log');
    await writeFile(file, system.log());
    note(`what the services said: ${file}`);
    throw error;
  } finally {
    // What is stopped ends only once it goes on.
    for (const { child } of [...stack.services, stack.eventstore]) child?.kill('SIGCONT');
    await system.stop();
  }
}

/** From then on ingress knows the source's secrets, whatever is away. */
async function untilHooked(system: System, { fleet, chance }: Pick<StackWorld, 'fleet' | 'chance'>): Promise<void> {
  const since = new Date();
  await until('a delivery is taken', async () => {
    await pushSomething(fleet, chance);
    return (await deliveriesSince(system, since)).some(({ status }) => /^2/.test(status));
  });
}

/** At least so many, and for as long as it takes. */
async function underPushes({ fleet, chance }: StackWorld, atLeast: number, work: () => Promise<string>): Promise<{ readonly done: string; readonly pushed: number }> {
  let isOver = false;
  const working = work().finally(() => { isOver = true; });
  // Told below; a push that fails is told first.
  working.catch(() => undefined);
  let pushed = 0;
  for (; pushed < atLeast || !isOver; pushed += 1) {
    await pushSomething(fleet, chance);
    await sleep(PUSH_EVERY_MS);
  }
  return { done: await working, pushed };
}

async function untilReached(system: System, fleet: readonly Followed[]): Promise<void> {
  for (const one of fleet) await until(`every head of ${one.codebase} is reached`, () => hasSameHeads(system, one), STATE_MS_MAX);
}

/** Something is under way that a fault can fall into. */
export async function untilBusy(system: System): Promise<void> {
  await until('a sync is under way', async () => (await system.ask('GET', '/v1/syncs?state=waiting,fetched,scanned')).json<{ syncs: unknown[] }>().syncs.length > 0, STATE_MS_MAX);
}

/** A push is stored that was not when this was asked. */
export async function untilGoesOn(system: System): Promise<void> {
  let before: number | undefined;
  await until('a push is stored again', async () => {
    const { length: stored } = await eventsOf(system, 'type=codebase.stored');
    before ??= stored;
    return stored > before;
  }, STATE_MS_MAX);
}
