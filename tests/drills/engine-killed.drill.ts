import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { STEPS, type Step } from '#shared/runtime/trail.ts';
import { startSystem, until, type System } from '../harness/system.ts';
import { inOrderOfChance, type Chance, type Drill, type DrillRun } from './drill.ts';
import { followFleet, pushSomething, type Followed } from './fleet.ts';
import { askForAll, expectAllHeld, untilSameHeads } from './held.ts';
import { listenToAll } from './listener.ts';
import { keepSilent } from './silent-log.ts';
import { readTrail, type Trail } from './trail.ts';

/** Counted kills, codebases, pushes at least. */
const FULL = { kills: 50, codebases: 20, pushes: 200 };
const SHORT = { kills: 6, codebases: 4, pushes: 12 };
/** While one engine lives and dies; more come while it waits for the step it aims at. */
const PUSHES_A_KILL = 4;
/** For kills at any moment: from the first push to the kill. A start alone takes two seconds. */
const LIFE_MS_MAX = 1_500;
/** An aim that does not show by then is given up: the kill falls anywhere. A push may take ten seconds to be told where other drills run beside it. */
const AIM_MS_MAX = 60_000;
/** By then it showed, or something else is wrong. */
const PUSHES_AN_AIM_MAX = 60;
/** An aim may not show, or its kill come after the moment for which the engine stood still: it is tried again. */
const ROUNDS_A_KILL_MAX = 4;
/** Of the rounds, so many begin to aim before the engine is up: then the kill falls into what it takes up again. */
const IN_START = 0.3;

export const engineKilled: Drill = {
  name: 'engine-killed',
  says: 'kill -9 of the engine between any two steps of a delivery or sync loses nothing, doubles nothing, and ends where GitLab is (I1, I2, I4, I5, I6, I11)',
  minutesMax: 20,
  run: killEngines,
};

/** Behind every step; behind the answer to who delivered, also where the log is silent and only the spool has it; and anywhere. */
type Aim = Step | (typeof ANSWERS)[number] | 'any moment';
const ANSWERS = ['answered', 'answered from the spool'] as const;
/** Of the full form's aims. What is held dies between two steps; only these fall into the middle of one. */
const MOMENTS = 8;
/** As held-at-step.mjs says it. */
const ANSWERED_LINE = '{"drill":"answered"}';

async function killEngines({ chance, isShort, note }: DrillRun): Promise<string> {
  const wanted = isShort ? SHORT : FULL;
  const trail = readTrail();
  const folder = await mkdtemp(join(tmpdir(), 'tekai-drill-step-'));
  const stepFile = join(folder, 'step');
  await writeFile(stepFile, '');
  let world: World | undefined;
  const system = await startSystem({
    preload: pathToFileURL(join(process.cwd(), 'tests/drills/held-at-step.mjs')).href,
    settings: { TEKAI_LOG_LEVEL: 'debug', DRILL_STEP_FILE: stepFile },
    onLine: (line) => { if (line === ANSWERED_LINE) world?.onAnswered?.(); else trail.take(line); },
  });
  try {
    // Kills come faster than any GitLab meets them: hooks that fail four times would be switched off for a minute.
    await system.gitlab.admin('PUT', '/settings', { isAutoDisableOn: false });
    const listener = await listenToAll(system);
    const fleet = await followFleet(system, { count: wanted.codebases });
    for (const one of fleet) await untilSameHeads(system, one);
    world = { system, fleet, trail, chance, stepFile, onAnswered: undefined, pushes: 0, startsKilled: 0 };
    const aims = inOrderOfChance<Aim>(isShort ? shortAims(chance) : [...STEPS, ...STEPS, ...ANSWERS, ...Array<Aim>(MOMENTS).fill('any moment')], chance);
    const hits = new Map<Aim, number>();
    let counted = 0;
    let rounds = 0;
    for (; counted < wanted.kills || world.pushes < wanted.pushes || aims.some((aim) => aim !== 'any moment' && !hits.has(aim)); rounds += 1) {
      assert.ok(rounds < wanted.kills * ROUNDS_A_KILL_MAX, `after ${rounds} kills only ${counted} fell between two steps; hit: ${said(hits)}`);
      // What was never hit comes first, once everything was tried.
      const missed = aims.find((aim) => rounds >= aims.length && aim !== 'any moment' && !hits.has(aim));
      const aim = missed ?? aims[rounds % aims.length]!;
      const hit = await killOnce(world, aim);
      if (hit !== undefined) counted += 1;
      if (hit !== undefined) hits.set(hit, (hits.get(hit) ?? 0) + 1);
      note(`kill ${rounds + 1}, at ${aim}: ${hit === undefined ? 'missed' : hit === aim ? 'counts' : 'did not show, any moment counts'} (${counted} of ${wanted.kills})`);
    }
    await askForAll(system, fleet);
    await expectAllHeld(system, fleet, { listeners: [listener] });
    await listener.stop();
    return `${rounds} kills, ${counted} between two steps (${said(hits)}), ${world.startsKilled} more while it took up again, ${world.pushes} pushes over ${fleet.length} codebases, ${trail.taken.get('stored') ?? 0} versions stored, ${listener.heard.length} facts heard over ${listener.connections} connections`;
  } finally {
    await system.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

interface World {
  readonly system: System;
  readonly fleet: readonly Followed[];
  readonly trail: Trail;
  readonly chance: Chance;
  /** Names the step at which the engine stands still for a moment. */
  readonly stepFile: string;
  /** What is told when a delivery was just answered 2xx; may end the engine. */
  onAnswered: (() => void) | undefined;
  pushes: number;
  startsKilled: number;
}

/** Kills the engine at the step and starts another. Returns where the kill fell, when it fell between two steps. */
async function killOnce(world: World, aim: Aim): Promise<Aim | undefined> {
  const { system, trail, chance, stepFile } = world;
  const isAnswer = ANSWERS.some((answer) => answer === aim);
  await writeFile(stepFile, aim === 'any moment' ? '' : isAnswer ? 'answered' : aim);
  const silent = aim === 'spooled' || aim === 'answered from the spool' ? await keepSilent(system, chance.oneOf(['log', 'deliveries'] as const)) : undefined;
  let shot: { readonly of: string; readonly dead: Promise<void> } | undefined;
  const shoot = (of: string) => { shot ??= { of, dead: system.kill('SIGKILL') }; };
  trail.onStep = (step, of) => { if (step === aim) shoot(of); };
  world.onAnswered = () => { if (isAnswer) shoot(''); };
  const pushing = pushUntil(world, () => shot !== undefined);
  // Not waits for a state: that the engine dies at a moment nobody chose is the drill's very point.
  if (aim === 'any moment') await sleep(chance.random() * LIFE_MS_MAX);
  else await until(`a delivery or sync is ${aim}`, () => shot !== undefined, AIM_MS_MAX).catch(() => undefined);
  trail.onStep = world.onAnswered = undefined;
  const of = shot?.of;
  shoot('');
  await shot?.dead;
  await writeFile(stepFile, '');
  const isHit = of === undefined ? [...trail.standing().keys()].some((step) => step !== 'told') : isAnswer || trail.standsAt(of) === aim;
  await silent?.();
  trail.begin();
  await Promise.all([startAgain(world), pushing]);
  return isHit ? (of === undefined ? 'any moment' : aim) : undefined;
}

/** Now and then the one that starts is killed as well, at the first step that it takes up again. */
async function startAgain(world: World): Promise<void> {
  const { system, trail, chance } = world;
  if (chance.random() < IN_START) {
    let dead: Promise<void> | undefined;
    trail.onStep = () => { dead ??= system.kill('SIGKILL'); };
    const isUp = await system.startEngine().then(() => true, () => false);
    trail.onStep = undefined;
    await dead;
    trail.begin();
    if (isUp && dead === undefined) return;
    world.startsKilled += 1;
  }
  await system.startEngine();
}

async function pushUntil(world: World, isDead: () => boolean): Promise<void> {
  const end = performance.now() + AIM_MS_MAX;
  for (let pushes = 0; pushes < PUSHES_A_KILL || (!isDead() && performance.now() < end && pushes < PUSHES_AN_AIM_MAX); pushes += 1) {
    await pushSomething(world.fleet, world.chance);
    world.pushes += 1;
  }
}

/** One of each part of the road: what was answered and lies in the spool alone, a delivery's own steps, and four of a sync. */
function shortAims(chance: Chance): Aim[] {
  return ['answered from the spool', chance.oneOf(['spooled', 'written', 'appended', 'answered'] as const), chance.oneOf(['fetched', 'packed'] as const), chance.oneOf(['scanned', 'recorded'] as const), chance.oneOf(['stored', 'projected'] as const), 'told'];
}

const said = (hits: ReadonlyMap<Aim, number>) => [...STEPS, ...ANSWERS].map((aim) => `${aim} ${hits.get(aim) ?? 0}`).join(', ');
