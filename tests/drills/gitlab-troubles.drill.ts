import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventsOf, startSystem, until, type System } from '../harness/system.ts';
import type { Chance, Drill, DrillRun } from './drill.ts';
import { followFleet, pushSomething, type Followed } from './fleet.ts';
import { askForAll, expectAllHeld, untilEveryCauseEnded, untilSameHeads } from './held.ts';
import { startSecondSource } from './second-source.ts';
import { watchNothingVanishes } from './watcher.ts';

/** What the engine asks, and never what the drill pushes. */
const ASKED = '^(?!.*receive-pack)';
const BRANCHES = '/repository/branches';
const PACK = '/git-upload-pack$';

interface Trouble {
  readonly name: string;
  readonly fault: object;
  /** Its wait is of half a minute and more, as it must be: nothing for a short form, nor for the end of a long one. */
  readonly isLong?: boolean;
}

const TROUBLES: readonly Trouble[] = [
  { name: 'slow bodies', fault: { kind: 'http', path: ASKED, bytesPerSecond: 4_000 } },
  { name: 'late answers', fault: { kind: 'http', path: ASKED, delayMs: 1_500 } },
  { name: 'REST 500', fault: { kind: 'http', path: '^/api/', status: 500 } },
  { name: 'all 502', fault: { kind: 'http', path: ASKED, status: 502 } },
  { name: 'git 503', fault: { kind: 'http', path: PACK, status: 503 } },
  { name: '429 with Retry-After', fault: { kind: 'http', path: '^/api/', status: 429, retryAfterSeconds: 1 } },
  { name: 'a sign-in page', fault: { kind: 'http', path: ASKED, html: true } },
  { name: 'a sign-in page for packs', fault: { kind: 'http', path: PACK, html: true } },
  { name: 'REST cut', fault: { kind: 'http', path: '^/api/', cutAfterBytes: 120 } },
  { name: 'packs cut', fault: { kind: 'http', path: PACK, cutAfterBytes: 400 } },
  { name: 'ERR lines of git', fault: { kind: 'http', path: PACK, gitError: 'internal API unreachable' } },
  { name: 'redirects', fault: { kind: 'http', path: ASKED, redirectTo: 'http://127.0.0.1:9' } },
  { name: 'lag', fault: { kind: 'lag', milliseconds: 1_500 } },
  { name: 'an empty list', fault: { kind: 'http', path: `${BRANCHES}\\?`, status: 200, body: '[]' } },
  { name: 'silent REST', fault: { kind: 'http', path: '^/api/', silent: true }, isLong: true },
  { name: 'silent git', fault: { kind: 'http', path: PACK, silent: true }, isLong: true },
  { name: 'REST 401', fault: { kind: 'http', path: '^/api/', status: 401 }, isLong: true },
  { name: 'git 401', fault: { kind: 'http', path: '\\.git/(?!.*receive-pack)', status: 401 }, isLong: true },
  { name: 'projects hidden', fault: { kind: 'http', path: '^/api/v4/projects/\\d+', status: 404, body: '{"message":"404 Project Not Found"}' }, isLong: true },
  { name: 'REST 429 without Retry-After', fault: { kind: 'http', path: '^/api/', status: 429 }, isLong: true },
  { name: 'git under load', fault: { kind: 'http', path: PACK, gitError: 'GitLab is currently unable to handle this request due to load.' }, isLong: true },
];

/** Answers that prove nothing (I8), though they look as if something was gone. Who meets one waits half a minute: a codebase for each, of which nobody waits for the end. */
const REFUSALS = [{ status: 404, body: '{"message":"404 Project Not Found"}' }, { status: 403, body: '{"message":"403 Forbidden"}' }] as const;
/** A sync of one ref asks for the project and the branch; one of all refs for the project and the list. */
const ASKED_FOR = [{ ref: 'refs/heads/main' }, {}] as const;

/** A branch of each codebase that nobody touches, beside main, which nobody deletes. */
const KEPT = 'kept';
const KEPT_REFS = ['refs/heads/main', `refs/heads/${KEPT}`];
/** Looks every second or two: they meet the troubles too, and must conclude nothing from them. */
const SETTINGS = { TEKAI_POLL_ACTIVE_SECONDS: '2', TEKAI_POLL_IDLE_SECONDS: '2', TEKAI_HOOK_CHECK_SECONDS: '5', TEKAI_HOOK_RETRY_SECONDS: '5', TEKAI_GITLAB_REQUESTS_PER_MINUTE: '6000' };
/** Of the pushes, so many are followed by somebody who asks for a sync of a whole codebase. */
const WHOLE = 0.25;
/** After a silent socket and the wait that follows it. */
const RECOVERED_MS_MAX = 150_000;
/** Of a push to a GitLab that is well, while the other is not. */
const CALM_MS_MAX = 20_000;

export const gitlabTroubles: Drill = {
  name: 'gitlab-troubles',
  says: 'GitLab slow, silent, away, limiting, refusing, cutting, lying and lagging: nothing vanishes, nothing parks, another GitLab is not delayed, and every head is reached (I2, I3, I5, I8, I12)',
  minutesMax: 3,
  run: troubleGitLab,
};

async function troubleGitLab({ chance, isShort, note }: DrillRun): Promise<string> {
  const system = await startSystem({ settings: SETTINGS });
  const calm = await startSecondSource(system);
  try {
    const fleet = await followKept(system, { count: isShort ? 4 : 12, name: 'troubled' });
    const others = await followFleet(calm, { count: 2, name: 'calm' });
    for (const one of [...fleet, ...others]) await untilSameHeads(system, one);
    const shy = await followKept(system, { count: REFUSALS.length * ASKED_FOR.length + 1, name: 'shy' });
    for (const one of shy) await untilSameHeads(system, one);
    const watcher = watchNothingVanishes(system, [...fleet, ...shy], KEPT_REFS);
    await showNothing(system, shy[0]!);
    await refuse(system, shy.slice(1));
    const pushing = pushAlong(system, fleet, chance);
    const calmPushing = pushCalmly(calm, others, chance);
    const met = await makeTrouble(system, { chance, isShort, note });
    const pushes = await pushing.stop();
    const calmWaits = await calmPushing.stop();
    for (const one of fleet) await until('every head is reached, by nobody\'s help', async () => { await untilSameHeads(system, one); return true; }, RECOVERED_MS_MAX);
    const looks = await watcher.stop();
    await expectAllHeld(system, fleet);
    await expectAllHeld(calm, others);
    await expectNothingConcluded(system, [...fleet, ...shy]);
    return `${met.length} troubles (${[...new Set(met)].length} kinds), ${pushes} pushes over ${fleet.length} codebases, ${looks} looks at all of them; of another GitLab ${calmWaits.length} pushes, queryable after ${calmWaits[calmWaits.length >> 1]} ms (median), ${calmWaits.at(-1)} ms (most)`;
  } finally {
    await calm.stop();
    await system.stop();
  }
}

/** A sync of all refs, while the list of branches is empty: each that is known is asked for by itself, and is there. */
async function showNothing(system: System, shy: Followed): Promise<void> {
  await system.gitlab.admin('POST', '/faults', { kind: 'http', path: `/projects/${shy.project}${BRANCHES}\\?`, status: 200, body: '[]' });
  await askForAll(system, [shy]);
  await untilEveryCauseEnded(system, shy);
  await system.gitlab.admin('DELETE', '/faults');
}

/** Each of them is synced while GitLab refuses to show it; resolves once all of them wait. */
async function refuse(system: System, shy: readonly Followed[]): Promise<void> {
  const before = system.log().length;
  const cases = REFUSALS.flatMap((fault) => ASKED_FOR.map((body) => ({ fault, body })));
  for (const [index, { fault, body }] of cases.entries()) {
    const { project, codebase } = shy[index]!;
    await system.gitlab.admin('POST', '/faults', { kind: 'http', path: `^/api/v4/projects/${project}(?:[/?]|$)`, ...fault });
    assert.equal((await system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body })).status, 202);
  }
  await until('what GitLab refuses to show waits', () => shy.every(({ codebase }) => system.log().slice(before).split('\n').some((line) => line.includes('"a key waits"') && line.includes(codebase))));
  await system.gitlab.admin('DELETE', '/faults');
}

async function followKept(system: System, options: { count: number; name: string }): Promise<Followed[]> {
  const fleet = await followFleet(system, options);
  for (const { repository, heads } of fleet) {
    heads.set(KEPT, heads.get('main')!);
    repository.git('push', '-q', 'origin', `main:${KEPT}`);
  }
  return fleet;
}

/** One trouble after the other, now and then two at a time, in an order that only the seed knows. */
async function makeTrouble({ gitlab }: System, { chance, isShort, note }: DrillRun): Promise<string[]> {
  const brief = TROUBLES.filter(({ isLong }) => isLong !== true);
  const rounds = isShort ? shuffled(brief, chance).slice(0, 7) : [...shuffled(TROUBLES, chance), ...shuffled(brief, chance)];
  // What takes half a minute comes first, so that its end falls into the run too.
  if (!isShort) rounds.splice(0, TROUBLES.length, ...rounds.slice(0, TROUBLES.length).sort((one, other) => Number(other.isLong ?? false) - Number(one.isLong ?? false)));
  for (const { name, fault } of rounds) {
    await gitlab.admin('POST', '/faults', { ...fault, ...(chance.random() < 0.3 ? { probability: 0.5, seed: chance.below(1_000) } : {}) });
    note(name);
    await sleep((isShort ? 300 : 800) + chance.below(isShort ? 500 : 2_000));
    if (chance.random() < 0.7) await gitlab.admin('DELETE', '/faults');
  }
  await gitlab.admin('DELETE', '/faults');
  return rounds.map(({ name }) => name);
}

function pushAlong(system: System, fleet: readonly Followed[], chance: Chance): { stop(): Promise<number> } {
  let isStopped = false;
  let pushes = 0;
  const pushing = (async () => {
    for (; !isStopped; pushes += 1) {
      await pushSomething(fleet, chance);
      // What lists all branches meets the troubles too, and not only what a push names.
      if (chance.random() < WHOLE) assert.equal((await system.ask('POST', `/v1/codebases/${chance.oneOf(fleet).codebase}/syncs`, { body: {} })).status, 202);
      await sleep(chance.below(150));
    }
  })();
  return { stop: async () => { isStopped = true; await pushing; return pushes; } };
}

/** To the other GitLab, one after the other, each awaited: how long it took to be queryable, in order of size. */
function pushCalmly(calm: System, fleet: readonly Followed[], chance: Chance): { stop(): Promise<number[]> } {
  let isStopped = false;
  const waits: number[] = [];
  const pushing = (async () => {
    while (!isStopped) {
      const one = chance.oneOf(fleet);
      const from = performance.now();
      await pushSomething([one], chance);
      await untilSameHeads(calm, one);
      waits.push(Math.round(performance.now() - from));
      assert.ok(waits.at(-1)! < CALM_MS_MAX, `a push to another GitLab, which is well, was queryable only after ${waits.at(-1)} ms`);
    }
  })();
  pushing.catch(() => undefined);
  return { stop: async () => { isStopped = true; await pushing; return waits.sort((one, other) => one - other); } };
}

/** I3, I8, of the facts: what nobody deleted was never said to be gone, and no trouble of GitLab's counted as a fault of a sync. */
async function expectNothingConcluded(system: System, fleet: readonly Followed[]): Promise<void> {
  for (const { codebase } of fleet) {
    const gone = (await eventsOf(system, `key=${codebase}&type=ref.deleted`)).filter(({ data }) => KEPT_REFS.includes(data.ref));
    assert.deepEqual(gone.map(({ data }) => data.ref), [], `refs of ${codebase} were said to be gone, and nobody deleted them`);
    assert.deepEqual((await eventsOf(system, `key=${codebase}&type=sync.failed`)).map(({ data }) => data.detail), [], `syncs of ${codebase} failed`);
  }
}

function shuffled<T>(items: readonly T[], { below }: Chance): T[] {
  const left = [...items];
  return Array.from(items, () => left.splice(below(left.length), 1)[0]!);
}
