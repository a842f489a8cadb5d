import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventsOf, startSystem, type System } from '../harness/system.ts';
import type { Chance, Drill, DrillRun } from './drill.ts';
import { followFleet, pushSomething, type Followed } from './fleet.ts';
import { expectAllHeld, untilSameHeads } from './held.ts';

/** What happens to deliveries, each for a while, to half of them. */
const DISTURBANCES = [{ action: 'drop' }, { action: 'duplicate' }, { action: 'delay', delayMs: 400 }, { action: 'delay', delayMs: 2_500 }, { action: 'reorder', window: 3 }, { action: 'reorder', window: 6 }] as const;
/** A look every two and a half seconds or so, and a second one three seconds after a difference: what is lost is found soon. */
const SETTINGS = { TEKAI_POLL_ACTIVE_SECONDS: '3', TEKAI_POLL_IDLE_SECONDS: '3', TEKAI_HOOK_CHECK_SECONDS: '5', TEKAI_HOOK_RETRY_SECONDS: '5', TEKAI_GITLAB_REQUESTS_PER_MINUTE: '6000' };

export const hooksTroubles: Drill = {
  name: 'hooks-troubles',
  says: 'hooks dropped, doubled, delayed and reordered, and pushes of which nobody hears: looking finds and heals what was lost, and nothing is doubled (I1, I2, I5)',
  minutesMax: 3,
  run: troubleHooks,
};

async function troubleHooks({ chance, isShort, note }: DrillRun): Promise<string> {
  const system = await startSystem({ settings: SETTINGS });
  try {
    const fleet = await followFleet(system, { count: isShort ? 4 : 10, name: 'unheard' });
    for (const one of fleet) await untilSameHeads(system, one);
    const rounds = isShort ? 5 : 24;
    const pushes = { told: 0, unheard: 0 };
    for (let round = 0; round < rounds; round += 1) {
      const disturbance = chance.oneOf(DISTURBANCES);
      await system.gitlab.admin('POST', '/faults', { kind: 'hook', ...disturbance, probability: 0.5, seed: chance.below(1_000) });
      note(`round ${round + 1} of ${rounds}: ${JSON.stringify(disturbance)}`);
      for (let n = 0; n < (isShort ? 5 : 12); n += 1) {
        const kind = chance.random();
        if (kind < 0.2) pushes.unheard += await moveUnheard(system, chance.oneOf(fleet), chance.oneOf(['main', 'unheard']));
        else if (kind < 0.4) pushes.told += await thereAndBack(fleet, chance);
        else pushes.told += await pushSomething(fleet, chance).then(() => 1);
        await sleep(chance.below(60));
      }
      if (chance.random() < 0.6) await system.gitlab.admin('DELETE', '/faults');
    }
    await system.gitlab.admin('DELETE', '/faults');
    // The last word to each of them is one that nobody hears.
    let last = 0;
    for (const one of fleet) last += await moveUnheard(system, one, 'unheard');
    for (const one of fleet) await untilSameHeads(system, one);
    await expectAllHeld(system, fleet);
    const found = await expectHealed(system, fleet, last);
    return `${rounds} disturbances, ${pushes.told} pushes and ${pushes.unheard + last} of which nobody heard over ${fleet.length} codebases; ${found.deliveries} deliveries each in the log once, ${found.gaps} gaps found, ${found.stored} versions`;
  } finally {
    await system.stop();
  }
}

/** A→B→A, as quick as git pushes: the third is the first again, and to whom it comes out of order the second is the newest. */
async function thereAndBack(fleet: readonly Followed[], chance: Chance): Promise<number> {
  const { repository, heads } = chance.oneOf(fleet);
  const a = heads.get('main')!;
  const b = repository.commit('main', [{ path: 'there', content: `${chance.random()}` }], { parent: a });
  for (const commit of [b, a]) repository.git('push', '-q', '--force', 'origin', `${commit}:refs/heads/main`);
  repository.git('update-ref', 'refs/heads/main', a);
  return 2;
}

/** main goes back to where it came from, or a branch that no hook ever names stands where main is or was; GitLab tells nobody. */
async function moveUnheard({ gitlab }: System, { repository, project, heads }: Followed, branch: 'main' | 'unheard'): Promise<number> {
  const [main, parent] = repository.git('rev-list', '--max-count=2', heads.get('main')!).split('\n');
  const commit = branch === 'unheard' && heads.get('unheard') !== main ? main : parent;
  if (commit === undefined) return 0;
  await gitlab.admin('POST', `/projects/${project}/refs`, { ref: `refs/heads/${branch}`, sha: commit, hooks: false });
  repository.git('update-ref', `refs/heads/${branch}`, commit);
  heads.set(branch, commit);
  return 1;
}

/** I2 of deliveries: however often GitLab sent one, it is one fact. And that something was found at all. */
async function expectHealed(system: System, fleet: readonly Followed[], unheardLast: number): Promise<{ deliveries: number; gaps: number; stored: number }> {
  const found = { deliveries: 0, gaps: 0, stored: 0 };
  for (const { codebase } of fleet) {
    const events = await eventsOf(system, `key=${codebase}`);
    const deliveries = events.filter(({ type }) => type === 'push.received').map(({ data }) => data.deliveryId as string);
    assert.equal(new Set(deliveries).size, deliveries.length, `a delivery to ${codebase} is in the log more than once`);
    found.deliveries += deliveries.length;
    found.gaps += events.filter(({ type }) => type === 'gap.detected').length;
    found.stored += events.filter(({ type }) => type === 'codebase.stored').length;
  }
  assert.ok(unheardLast > 0 && found.gaps >= unheardLast, `only ${found.gaps} gaps were found, though ${unheardLast} branches moved last, and of them no hook ever spoke`);
  return found;
}
