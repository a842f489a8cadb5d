import type { RefName, SyncId } from '#schemas/brand.ts';
import { syncIdOf } from '#schemas/ids.ts';
import { PackTooLarge } from '#shared/gitlab/git-transport.ts';
import { CODEBASE, createWorld, FEATURE, followMain, MAIN, SOURCE, until, untilAsked, ZEROS, type World } from './fetcher-world.fixture.ts';

let world: World;
beforeEach(async () => { world = await createWorld(); });
afterEach(async () => { await world.stop(); });

const typesOf = (facts: readonly { type: string }[]) => facts.map(({ type }) => type);
const ofType = <F extends { type: string }>(facts: readonly F[], type: string) => facts.filter((fact) => fact.type === type);

const following = (content?: string) => followMain(world, content);
const asked = (what: string, times: number) => untilAsked(world, what, times);

describe('a push', () => {
  test('is brought: what is new goes into packs, the fact says what', async () => {
    const first = await following();
    const second = world.gitlab.commit('second');
    world.gitlab.refs.set(MAIN, second);
    const end = await world.ended(await world.push(MAIN, first, second));
    expect(end).toMatchObject({ type: 'codebase.stored', data: { commit: second, hintReached: true, ref: MAIN } });
    const [, fetched] = ofType(await world.syncFacts(), 'codebase.fetched');
    expect(fetched).toMatchObject({ key: CODEBASE, data: { commit: second, counts: { commits: 1, trees: 1, blobs: 1 }, attempt: 1, defaultRef: MAIN, packs: [{ objects: 3 }] } });
  });

  test('of what we have already is skipped, and says by which sync it is covered', async () => {
    const first = await following();
    const end = await world.ended(await world.push(MAIN, ZEROS, first));
    expect(end).toMatchObject({ type: 'sync.skipped', data: { reason: 'up-to-date', commit: first, hintReached: true } });
  });

  test('of a codebase that nobody registered leads to nothing', async () => {
    await world.push(MAIN, ZEROS, world.gitlab.commit('x'));
    await world.idle();
    expect(await world.syncFacts()).toEqual([]);
    expect(world.gitlab.asked).toEqual([]);
  });

  test('of a branch that is not followed is skipped without asking GitLab', async () => {
    world.gitlab.refs.set(MAIN, world.gitlab.commit('x'));
    await world.ended(await world.register({ branches: ['main'], tags: [] }));
    const before = world.gitlab.asked.length;
    expect(await world.ended(await world.push(FEATURE, ZEROS, world.gitlab.commit('y')), FEATURE)).toMatchObject({ type: 'sync.skipped', data: { reason: 'not-followed', coveredBy: null } });
    expect(world.gitlab.asked).toHaveLength(before);
  });

  test('of a commit that another branch brought moves no objects, and git is not asked', async () => {
    const first = await following();
    world.gitlab.refs.set(FEATURE, first);
    world.gitlab.onOpen = () => { throw new Error('git was asked'); };
    const end = await world.ended(await world.push(FEATURE, ZEROS, first), FEATURE);
    expect(end).toMatchObject({ type: 'codebase.stored', data: { commit: first } });
    expect(ofType(await world.syncFacts(), 'codebase.fetched').at(-1)).toMatchObject({ data: { packs: [], bytes: 0 } });
  });

  test('that was rewritten between the look and the fetch is looked at again', async () => {
    const first = await following();
    const gone = 'ab'.repeat(20) as typeof first;
    const second = world.gitlab.commit('second');
    world.gitlab.refs.set(MAIN, second);
    world.gitlab.shownOnce.push(gone);
    expect(await world.ended(await world.push(MAIN, first, second))).toMatchObject({ type: 'codebase.stored', data: { commit: second } });
  });
});

describe('a burst of hints for one ref', () => {
  /** Hints that come while a sync is under way. */
  async function burst(hints: readonly (readonly [string, string])[]) {
    world.isStoring = false;
    world.gitlab.refs.set(MAIN, world.gitlab.commit('busy'));
    const already = (await world.syncFacts()).length;
    const busy = await world.request(MAIN);
    await until('it is fetched', async () => (await world.syncFacts()).length > already);
    const causes = [];
    for (const [before, after] of hints) causes.push(await world.push(MAIN, before, after));
    return { causes, release: async () => { world.isStoring = true; await world.ended(busy); } };
  }

  test('is one sync, the newest\'s; the others end at once and name it', async () => {
    const first = await following();
    const commits = [first, ...['1', '2', '3', '4', '5'].map((content) => world.gitlab.commit(content))];
    const { causes, release } = await burst(commits.slice(1).map((commit, index) => [commits[index] as string, commit]));
    world.gitlab.refs.set(MAIN, commits[5] as never);
    await release();
    const ends = await Promise.all(causes.map((cause) => world.ended(cause)));
    expect(typesOf(ends)).toEqual([...Array(4).fill('sync.skipped'), 'codebase.stored']);
    const newest = syncIdOf(causes[4] as never, CODEBASE, MAIN);
    expect(ends.slice(0, 4).map(({ data }) => data)).toEqual(Array(4).fill(expect.objectContaining({ reason: 'newer-hint', coveredBy: newest, observedAt: null })));
    expect(ends[4]).toMatchObject({ data: { commit: commits[5], hintReached: true } });
  });

  test('that came in the wrong order expects the end of the chain, also when GitLab shows it in two steps', async () => {
    const first = await following();
    const [second, third] = [world.gitlab.commit('second'), world.gitlab.commit('third')];
    world.gitlab.unknown.add(third);
    const { causes, release } = await burst([[second, third], [first, second]]);
    world.gitlab.refs.set(MAIN, second);
    await release();
    const newest = await world.ended(causes[1] as never);
    expect(newest).toMatchObject({ type: 'codebase.stored', data: { commit: second, hintReached: false } });
    await asked(`commit ${third}`, 2);
    world.gitlab.unknown.clear();
    world.gitlab.refs.set(MAIN, third);
    expect(await world.ended(newest.id)).toMatchObject({ type: 'codebase.stored', data: { commit: third, hintReached: true } });
  });
});

describe('a branch that is gone', () => {
  test('is deleted when GitLab says so twice', async () => {
    const first = await following();
    world.gitlab.refs.set(FEATURE, first);
    world.gitlab.refs.delete(MAIN);
    const before = world.gitlab.asked.length;
    expect(await world.ended(await world.push(MAIN, first, ZEROS))).toMatchObject({ type: 'ref.deleted', data: { lastCommit: first } });
    expect(world.gitlab.asked.slice(before).filter((one) => one === `head ${MAIN}`)).toHaveLength(2);
  });

  test('is not deleted when GitLab says so once', async () => {
    const first = await following();
    world.gitlab.shownOnce.push('absent');
    expect(await world.ended(await world.request(MAIN))).toMatchObject({ type: 'sync.skipped', data: { reason: 'up-to-date', commit: first } });
  });

  test('is stored anew when it comes back at the same commit', async () => {
    const first = await following();
    world.gitlab.refs.set(FEATURE, first);
    world.gitlab.refs.delete(MAIN);
    await world.ended(await world.push(MAIN, first, ZEROS));
    world.gitlab.refs.set(MAIN, first);
    expect(await world.ended(await world.push(MAIN, ZEROS, first))).toMatchObject({ type: 'codebase.stored', data: { commit: first } });
  });

  test('and was never there leads to no deletion', async () => {
    await following();
    expect(await world.ended(await world.request(FEATURE), FEATURE)).toMatchObject({ type: 'sync.skipped', data: { reason: 'nothing-there' } });
  });
});

/** I8. */
describe.each(['away', 'absent', 'refused'] as const)('while GitLab is %s', (how) => {
  test.each(['a ref', 'everything'] as const)('nothing vanishes and nothing is parked: a sync of %s waits, and goes on when it is back', async (what) => {
    const first = await following();
    const before = (await world.syncFacts()).length;
    world.gitlab.is = how;
    const cause = await world.request(what === 'a ref' ? MAIN : null);
    const already = world.gitlab.asked.length;
    await until('it was asked again and again', () => world.gitlab.asked.length > already + 6);
    expect(await world.syncFacts()).toHaveLength(before);
    expect(await world.bus.parked()).toEqual([]);
    world.gitlab.is = 'there';
    expect(await world.ended(cause)).toMatchObject({ type: 'sync.skipped', data: { reason: 'up-to-date', commit: first } });
  });
});

test('a source without credentials is waited for', async () => {
  world.hasCredentials = false;
  world.gitlab.refs.set(MAIN, world.gitlab.commit('x'));
  const cause = await world.register();
  await until('it was tried', async () => (await world.bus.parked()).length === 0);
  world.hasCredentials = true;
  expect(await world.ended(cause)).toMatchObject({ type: 'codebase.stored' });
});

describe('a cause that stands for every followed ref', () => {
  test('lists the heads once, takes the default branch first, and notices what is gone', async () => {
    const first = world.gitlab.commit('first');
    for (const ref of ['refs/heads/a', 'refs/heads/old', MAIN, 'refs/heads/z', 'refs/tags/v1']) world.gitlab.refs.set(ref, first);
    await world.ended(await world.register(), 'refs/heads/z' as RefName);
    expect(ofType(await world.syncFacts(), 'codebase.fetched').map((fact) => (fact.data as { ref: string }).ref)).toEqual([MAIN, 'refs/heads/a', 'refs/heads/old', 'refs/heads/z']);

    world.gitlab.refs.delete('refs/heads/old');
    const before = world.gitlab.asked.length;
    expect(await world.ended(await world.request(null), 'refs/heads/old' as RefName)).toMatchObject({ type: 'ref.deleted', data: { lastCommit: first } });
    await world.idle();
    expect(world.gitlab.asked.slice(before).toSorted()).toEqual(['head refs/heads/old', 'head refs/heads/old', 'heads', 'project', 'project']);
  });

  test('does not forget, over a restart, a sync under way of a ref that GitLab lists no longer: its end is waited for, and then its deletion told', async () => {
    const old = 'refs/heads/old' as RefName;
    world.gitlab.refs.set(MAIN, world.gitlab.commit('first'));
    await world.ended(await world.register());
    world.isStoring = false;
    world.gitlab.refs.set(old, world.gitlab.commit('second'));
    const begun = await world.request(null);
    await until('the sync is under way', async () => ofType(await world.syncFacts(), 'codebase.fetched').some((fact) => (fact.data as { ref: string }).ref === old));
    await world.restart();
    world.gitlab.refs.delete(old);
    const next = await world.request(null);
    // As soon as GitLab was asked again, whoever forgot it would be through with the first of the two.
    await until('the heads are listed again', () => world.gitlab.asked.filter((one) => one === 'heads').length > 2);
    world.isStoring = true;
    expect(await world.ended(begun, old)).toMatchObject({ type: 'codebase.stored' });
    expect(await world.ended(next, old)).toMatchObject({ type: 'ref.deleted' });
  });

  test('of an empty repository stores the empty tree; the first push elsewhere ends that state', async () => {
    const cause = await world.register();
    expect(await world.ended(cause)).toMatchObject({ type: 'codebase.stored', data: { commit: null, tree: '4b825dc642cb6eb9a060e54bf8d69288fbee4904' } });
    expect(await world.ended(await world.request(null))).toMatchObject({ type: 'sync.skipped', data: { reason: 'up-to-date', commit: null } });
    const first = world.gitlab.commit('first');
    world.gitlab.refs.set('refs/heads/trunk', first);
    world.gitlab.project = { defaultBranch: 'trunk' };
    const push = await world.push('refs/heads/trunk', ZEROS, first);
    expect(await world.ended(push, 'refs/heads/trunk' as RefName)).toMatchObject({ type: 'codebase.stored', data: { commit: first, defaultRef: 'refs/heads/trunk' } });
    expect(await world.ended(push, MAIN)).toMatchObject({ type: 'ref.deleted', data: { lastCommit: null } });
  });
});

describe('a cause that comes again', () => {
  /** I4. */
  test('after its end leads to nothing new, also when the process forgot everything', async () => {
    const first = await following();
    const second = world.gitlab.commit('second');
    world.gitlab.refs.set(MAIN, second);
    await world.ended(await world.push(MAIN, first, second));
    await world.ended(await world.push(MAIN, first, second));
    const before = await world.syncFacts();
    await world.restart({ forgets: true });
    await world.idle();
    expect(await world.syncFacts()).toEqual(before);
  });

  test('while its sync is under way waits for that one, and starts no other', async () => {
    world.isStoring = false;
    world.gitlab.refs.set(MAIN, world.gitlab.commit('x'));
    const cause = await world.register();
    await until('it is fetched', async () => (await world.syncFacts()).length === 1);
    await world.restart({ forgets: true });
    world.isStoring = true;
    expect(await world.ended(cause)).toMatchObject({ type: 'codebase.stored' });
    await world.idle();
    expect(typesOf(await world.syncFacts())).toEqual(['codebase.fetched', 'codebase.stored']);
  });
});

test('whose stream another fetcher began meanwhile drops its own result, and goes on from what stands there', async () => {
  const first = await following();
  const second = world.gitlab.commit('second');
  world.gitlab.refs.set(MAIN, second);
  const [template] = ofType(await world.syncFacts(), 'codebase.fetched');
  world.gitlab.onOpen = async () => {
    world.gitlab.onOpen = () => undefined;
    const sync: SyncId = syncIdOf(cause, CODEBASE, MAIN);
    const theirs = { ...template, type: 'sync.skipped', data: { syncId: sync, codebaseId: CODEBASE, ref: MAIN, reason: 'up-to-date', coveredBy: null, commit: first, defaultRef: MAIN, observedAt: null, hintReached: null } };
    await world.log.append(`sync-${sync}` as never, 'noStream', [{ ...theirs, id: crypto.randomUUID() } as never]);
    return undefined;
  };
  const cause = await world.push(MAIN, first, second);
  expect(await world.ended(cause)).toMatchObject({ type: 'sync.skipped', revision: 0 });
  await world.idle();
  expect(ofType(await world.syncFacts(), 'codebase.fetched')).toHaveLength(1);
});

describe('a sync that fails', () => {
  test('is tried five times, each by a sync of its own; then its key is parked, and a redrive starts anew', async () => {
    const commit = world.gitlab.commit('damaged');
    const blob = [...world.gitlab.objects.values()].find(({ kind }) => kind === 'blob');
    world.gitlab.damaged.add(blob?.id as never);
    world.gitlab.refs.set(MAIN, commit);
    await world.register();
    await until('it is parked', async () => (await world.bus.parked({ key: CODEBASE })).length === 1);
    const failures = ofType(await world.syncFacts(), 'sync.failed');
    expect(failures.map(({ data }) => (data as { attempt: number }).attempt)).toEqual([1, 2, 3, 4, 5]);
    expect(failures[0]).toMatchObject({ data: { reason: 'object-missing', step: 'fetch' } });
    expect(failures.slice(1).map(({ causationId }) => causationId)).toEqual(failures.slice(0, 4).map(({ id }) => id));
    expect((await world.bus.parked())[0]).toMatchObject({ group: 'fetcher', type: 'sync.failed', reason: expect.stringContaining('5 times') });

    world.gitlab.damaged.clear();
    await world.bus.redrive('fetcher', CODEBASE);
    expect(await world.ended(failures.at(-1)?.id as never)).toMatchObject({ type: 'codebase.stored', data: { commit } });
    expect(ofType(await world.syncFacts(), 'codebase.fetched')).toMatchObject([{ data: { attempt: 1 } }]);
  });

  test('because GitLab sends more than the operator allows says so', async () => {
    world.gitlab.onOpen = () => { throw new PackTooLarge('larger than the bound'); };
    world.gitlab.refs.set(MAIN, world.gitlab.commit('x'));
    expect(await world.ended(await world.register())).toMatchObject({ type: 'sync.failed', data: { reason: 'bound-passed', detail: 'larger than the bound' } });
  });

  test('in git gives its cache back', async () => {
    let closed = 0;
    world.gitlab.onClose = async () => { closed += 1; };
    const commit = world.gitlab.commit('x');
    world.gitlab.damaged.add(commit);
    world.gitlab.refs.set(MAIN, commit);
    await world.ended(await world.register());
    expect(closed).toBeGreaterThanOrEqual(1);
  });
});

test('what was fetched is told before the cache is given back, which may take seconds', async () => {
  let giveBack: () => void = () => undefined;
  world.gitlab.onClose = () => new Promise((resolve) => { giveBack = resolve; });
  world.gitlab.refs.set(MAIN, world.gitlab.commit('x'));
  const cause = await world.register();
  expect(await world.ended(cause)).toMatchObject({ type: 'codebase.stored' });
  giveBack();
  await world.idle();
});

test('behind a sync whose storing is parked, the fetcher parks too, and says so', async () => {
  world.isStoring = false;
  world.gitlab.refs.set(MAIN, world.gitlab.commit('x'));
  await world.register();
  await until('it is fetched', async () => (await world.syncFacts()).length === 1);
  const stopping = new AbortController();
  const storing = world.bus.consume({ group: 'storage-writer', types: ['codebase.fetched'], concurrency: 1, handle: async () => ({ kind: 'park', reason: 'cannot be stored' }) }, stopping.signal);
  await until('both are parked', async () => (await world.bus.parked()).length === 2);
  expect((await world.bus.parked()).find(({ group }) => group === 'fetcher')?.reason).toContain('parked');
  stopping.abort();
  await storing;
});

describe('what people decided is obeyed:', () => {
  const skipped = (facts: readonly { type: string; data: object }[], reason: string) => ofType(facts, 'sync.skipped').filter((fact) => (fact.data as { reason: string }).reason === reason);

  test.each([['codebase.archived', 'codebase-archived'], ['codebase.removed', 'codebase-removed']] as const)('after %s GitLab is not asked, and every cause ends as skipped; restored, what was missed is brought', async (type, reason) => {
    const first = await following();
    await world.decide(type);
    const asked = world.gitlab.asked.length;
    const second = world.gitlab.commit('second');
    world.gitlab.refs.set(MAIN, second);
    expect(await world.ended(await world.push(MAIN, first, second))).toMatchObject({ type: 'sync.skipped', data: { reason, observedAt: null } });
    expect(await world.ended(await world.request(null))).toMatchObject({ type: 'sync.skipped', data: { reason } });
    expect(world.gitlab.asked).toHaveLength(asked);
    expect(await world.ended(await world.decide('codebase.restored'))).toMatchObject({ type: 'codebase.stored', data: { commit: second } });
    expect(skipped(await world.syncFacts(), reason)).toHaveLength(2);
  });

  test('a ref that is followed no longer is told as that, once; followed again, it is brought anew', async () => {
    const first = await following();
    world.gitlab.refs.set(FEATURE, first);
    await world.ended(await world.push(FEATURE, ZEROS, first), FEATURE);
    const changed = await world.decide('codebase.changed', { followed: { branches: ['main'], tags: [] } });
    expect(await world.ended(changed, FEATURE)).toMatchObject({ type: 'ref.unfollowed', data: { lastCommit: first } });
    expect(await world.ended(changed)).toMatchObject({ type: 'sync.skipped', data: { reason: 'up-to-date' } });
    expect(await world.ended(await world.push(FEATURE, first, first), FEATURE)).toMatchObject({ type: 'sync.skipped', data: { reason: 'not-followed' } });
    const again = await world.decide('codebase.changed', { followed: { branches: ['*'], tags: [] } });
    expect(await world.ended(again, FEATURE)).toMatchObject({ type: 'codebase.stored', data: { commit: first } });
  });

  test('registered again after its deletion, it begins anew: what was known of its refs counts for nothing', async () => {
    const first = await following();
    await world.decide('codebase.removed');
    await world.decide('codebase.deleted');
    expect(await world.ended(await world.push(MAIN, ZEROS, first))).toMatchObject({ type: 'sync.skipped', data: { reason: 'codebase-removed' } });
    const anew = await world.decide('codebase.registered', { sourceId: SOURCE, gitlabProjectId: 7, path: 'a/b', followed: { branches: ['*'], tags: [] } });
    expect(await world.ended(anew)).toMatchObject({ type: 'codebase.stored', data: { commit: first } });
  });

  test('archived while a sync is under way: that one goes on to its end, the next is skipped', async () => {
    const first = await following();
    world.isStoring = false;
    const second = world.gitlab.commit('second');
    world.gitlab.refs.set(MAIN, second);
    const cause = await world.push(MAIN, first, second);
    await until('it is fetched', async () => ofType(await world.syncFacts(), 'codebase.fetched').length === 2);
    await world.decide('codebase.archived');
    const late = await world.push(MAIN, second, world.gitlab.commit('third'));
    world.isStoring = true;
    expect(await world.ended(cause)).toMatchObject({ type: 'codebase.stored', data: { commit: second } });
    expect(await world.ended(late)).toMatchObject({ type: 'sync.skipped', data: { reason: 'codebase-archived' } });
  });
});
