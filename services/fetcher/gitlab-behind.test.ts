import { randomUUID } from 'node:crypto';
import type { FactId, StreamName } from '#schemas/brand.ts';
import { syncIdOf, syncStream } from '#schemas/ids.ts';
import { CODEBASE, createWorld, FEATURE, followMain, MAIN, until, untilAsked, ZEROS, type World } from './fetcher-world.fixture.ts';

let world: World;
beforeEach(async () => { world = await createWorld(); });
afterEach(async () => { await world.stop(); });

const ofType = <F extends { type: string }>(facts: readonly F[], type: string) => facts.filter((fact) => fact.type === type);

const following = (content?: string) => followMain(world, content);
const asked = (what: string, times: number) => untilAsked(world, what, times);

describe('GitLab behind its own hook', () => {
  test('is asked again, while hints of other refs pass, until it shows what the hint named', async () => {
    const first = await following();
    const second = world.gitlab.commit('second');
    world.gitlab.unknown.add(second);
    const late = await world.push(MAIN, first, second);
    await asked('head', 2);
    world.gitlab.refs.set(FEATURE, first);
    expect(await world.ended(await world.push(FEATURE, ZEROS, first), FEATURE)).toMatchObject({ type: 'codebase.stored' });
    world.gitlab.unknown.clear();
    world.gitlab.refs.set(MAIN, second);
    expect(await world.ended(late)).toMatchObject({ type: 'codebase.stored', data: { commit: second, hintReached: true } });
  });

  test.each(['in the same process', 'after a restart'])('is asked again in the middle of a later cause\'s sync, and nothing is brought twice (%s)', async (where) => {
    const first = await following();
    const [second, never] = [world.gitlab.commit('second'), world.gitlab.commit('never shown')];
    world.gitlab.unknown.add(never);
    world.isStoring = false;
    world.gitlab.refs.set(MAIN, second);
    // One look shows the old head, while the list of them shows the new one.
    world.gitlab.shownOnce.push(...Array.from({ length: 1_000 }, () => first));
    const late = await world.push(MAIN, first, never);
    await asked('head ', 2);
    const all = await world.request(null);
    await until('the later one is fetched', async () => ofType(await world.syncFacts(), 'codebase.fetched').length === 2);
    world.gitlab.shownOnce.length = 0;
    if (where === 'after a restart') await world.restart({ forgets: true });
    world.isStoring = true;
    expect(await world.ended(all)).toMatchObject({ type: 'codebase.stored', data: { commit: second } });
    expect(await world.ended(late)).toMatchObject({ type: 'sync.skipped', data: { reason: 'up-to-date', commit: second, coveredBy: syncIdOf(all, CODEBASE, MAIN) } });
    await world.idle();
    expect(ofType(await world.syncFacts(), 'codebase.stored').map((fact) => fact.data)).toMatchObject([{ commit: first }, { commit: second }]);
  });

  test('is asked again in the middle of a cause of all refs, whose list of them is old then, and not believed', async () => {
    const first = await following();
    const [second, third, never] = [world.gitlab.commit('second'), world.gitlab.commit('third'), world.gitlab.commit('never shown')];
    world.gitlab.refs.set(FEATURE, first);
    await world.ended(await world.push(FEATURE, ZEROS, first), FEATURE);
    world.gitlab.unknown.add(never);
    world.isStoring = false;
    world.gitlab.refs.set(MAIN, second).set(FEATURE, second);
    world.gitlab.shownOnce.push(...Array.from({ length: 1_000 }, () => first));
    const late = await world.push(FEATURE, first, never);
    await asked(`head ${FEATURE}`, 2);
    const all = await world.request(null);
    await until('main is fetched', async () => ofType(await world.syncFacts(), 'codebase.fetched').length === 3);
    world.gitlab.shownOnce.length = 0;
    world.gitlab.refs.set(FEATURE, third);
    world.isStoring = true;
    expect(await world.ended(late, FEATURE)).toMatchObject({ type: 'codebase.stored', data: { commit: third } });
    expect(await world.ended(all, FEATURE)).toMatchObject({ type: 'sync.skipped', data: { reason: 'up-to-date', commit: third } });
  });

  test('is asked again for what a hint named, where a newer hint was looked after already: that look cannot have seen it', async () => {
    const first = await following();
    const [second, third] = [world.gitlab.commit('second'), world.gitlab.commit('third')];
    world.isStoring = false;
    world.gitlab.is = 'away';
    const late = await world.push(MAIN, second, third);
    await asked('head ', 2);
    // The newer one's sync is under way before it is seen to wait behind this one.
    const [pushed, [fetched]] = [(await world.facts(late))[0]!, ofType(await world.syncFacts(), 'codebase.fetched')];
    const newer = { ...pushed, id: randomUUID() as FactId, data: { ...pushed.data, refs: [{ ref: MAIN, before: first, after: second }] } };
    const sync = syncIdOf(newer.id, CODEBASE, MAIN);
    await world.log.append(syncStream(sync), 'noStream', [{ ...fetched, id: randomUUID(), data: { ...fetched!.data, syncId: sync, commit: second } } as never]);
    await world.log.append(`delivery-${randomUUID()}-x` as StreamName, 'noStream', [newer as never]);
    world.gitlab.refs.set(MAIN, third);
    world.gitlab.is = 'there';
    world.isStoring = true;
    expect(await world.ended(late)).toMatchObject({ type: 'codebase.stored', data: { commit: third, hintReached: true } });
  });

  test('is believed after a minute, and the end says that the hint was not reached', async () => {
    const first = await following();
    const never = world.gitlab.commit('never shown');
    world.gitlab.unknown.add(never);
    expect(await world.ended(await world.push(MAIN, first, never))).toMatchObject({ type: 'sync.skipped', data: { reason: 'up-to-date', commit: first, hintReached: false } });
    expect(world.gitlab.asked.filter((one) => one.startsWith('head')).length).toBeGreaterThan(5);
  });
});
