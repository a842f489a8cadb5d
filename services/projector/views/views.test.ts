import { randomUUID } from 'node:crypto';
import type { CodebaseId, RefName, SourceId, SyncId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { History, idOf } from '../history.fixture.ts';
import { codebases } from './codebases.ts';
import { folded } from './folded.fixture.ts';
import { gitlabPeople } from './gitlab-people.ts';
import { refs, versions } from './refs.ts';
import { projectCodebases, projectPeople, projects } from './projects.ts';
import { sources } from './sources.ts';
import { syncs } from './syncs.ts';

const MAIN = 'refs/heads/main';

let history: History;
let app: Fact<'codebase.registered'>;
let registered: Fact;
beforeEach(() => {
  history = new History();
  app = history.codebaseRegistered();
  registered = app as unknown as Fact;
});

describe('sources', () => {
  test('given source.registered, expect its row', () => {
    const { data: { sourceId } } = history.sourceRegistered();
    expect(folded(sources, history.facts)).toEqual([{ source_id: sourceId, name: 'gitlab.example.com', base_url: 'https://gitlab.example.com', registered_at: History.at(1), state: 'active', revision: 0, open_projects_read_by: 'members' }]);
  });

  test('given source.changed and source.removed, expect the new name, and the state', () => {
    const { data: { sourceId } } = history.sourceRegistered();
    history.decided(`source-${sourceId}`, 'source.changed', { sourceId, name: 'other', changed: ['name'] });
    expect(folded(sources, history.facts)).toMatchObject([{ name: 'other', state: 'active', revision: 1 }]);
    history.record(`source-${sourceId}` as never, 'source.open-projects-decided', { key: sourceId, data: { sourceId, readBy: 'signed-in', command: { id: 'c', digest: '0'.repeat(64) } } });
    expect(folded(sources, history.facts)).toMatchObject([{ open_projects_read_by: 'signed-in', revision: 2 }]);
    history.decided(`source-${sourceId}`, 'source.removed', { sourceId });
    expect(folded(sources, history.facts)).toMatchObject([{ name: 'other', state: 'removed', revision: 3 }]);
  });
});

test('given somebody bound, bound to another and unbound, expect whom they are, and then nobody', () => {
  const { sourceId } = app.data;
  const now = () => folded(gitlabPeople, history.facts).map((row) => [row.source_id, row.user_id, row.gitlab_user_id]);
  const [one, other] = [randomUUID(), randomUUID()];
  history.bound(sourceId, one, 7);
  history.bound(sourceId, one, 8);
  expect(now()).toEqual([[sourceId, one, 8]]);
  history.bound(sourceId, other, 7);
  history.unbound(sourceId, one, 8);
  expect(now()).toEqual(expect.arrayContaining([[sourceId, one, null], [sourceId, other, 7]]));
});

describe('codebases', () => {
  const row = () => folded(codebases, history.facts)[0];

  test('given codebase.registered, expect a row whose hook is pending and that nobody has looked at', () => {
    expect(folded(codebases, history.facts)).toEqual([{
      codebase_id: app.data.codebaseId, source_id: app.data.sourceId, gitlab_project_id: 15, path: 'group/app', followed: { branches: ['*'], tags: [] }, default_ref: null,
      hook_state: 'pending', hook_reason: null, hook_is_signed: null, registered_at: History.at(0), began_at: app.position, last_hint_at: History.at(0), last_whole_hint_at: History.at(0), last_observed_at: null,
      state: 'active', removed_at: null, revision: 0,
    }]);
  });

  test('given hook.refused and then hook.installed, expect the hook installed without a reason', () => {
    history.hookRefused(app, 'the token may not');
    expect(row()).toMatchObject({ hook_state: 'refused', hook_reason: 'the token may not', hook_is_signed: null });
    history.hookInstalled(app, false);
    expect(row()).toMatchObject({ hook_state: 'installed', hook_reason: null, hook_is_signed: false });
  });

  test('given hints that name refs, expect last_hint_at to move and last_whole_hint_at to stay; given one that names none, both', () => {
    history.pushReceived(app.data.codebaseId, [MAIN]);
    history.syncRequested(app.data.codebaseId, MAIN);
    expect(row()).toMatchObject({ last_hint_at: History.at(2), last_whole_hint_at: History.at(0) });
    history.pushReceived(app.data.codebaseId, []);
    expect(row()).toMatchObject({ last_hint_at: History.at(3), last_whole_hint_at: History.at(3) });
    history.syncRequested(app.data.codebaseId, null);
    expect(row()).toMatchObject({ last_hint_at: History.at(4), last_whole_hint_at: History.at(4) });
  });

  test('given a hint that waited in the spool behind one that did not, expect the later time to stay', () => {
    history.syncRequested(app.data.codebaseId, null);
    history.pushReceived(app.data.codebaseId, [], History.at(0));
    expect(row()).toMatchObject({ last_hint_at: History.at(1), last_whole_hint_at: History.at(1) });
  });

  test('given looks recorded out of order, expect the latest look to say when and what the default branch is', () => {
    const sync = history.sync(registered);
    history.fetched(sync, 'a', { observedAt: History.at(50), defaultRef: 'refs/heads/trunk' as RefName });
    history.deleted(history.sync(registered, 'refs/heads/side'), { observedAt: History.at(40), defaultRef: MAIN as RefName });
    expect(row()).toMatchObject({ last_observed_at: History.at(50), default_ref: 'refs/heads/trunk' });
    history.skipped(history.sync(registered, 'refs/heads/b'), 'a', { observedAt: History.at(60), defaultRef: null });
    expect(row()).toMatchObject({ last_observed_at: History.at(60), default_ref: null });
    history.skipped(history.sync(registered, 'refs/heads/c'), null, { reason: 'newer-hint', observedAt: null });
    expect(row()).toMatchObject({ last_observed_at: History.at(60), default_ref: null });
  });

  test('given what people decide, expect state, followed refs, revision and when a whole look was asked for', () => {
    const decide = (type: Parameters<History['decided']>[1], more: object = {}) => {
      history.decided(`codebase-${app.data.codebaseId}`, type, { codebaseId: app.data.codebaseId, ...more });
      return row();
    };
    const followed = { branches: ['main'], tags: ['v*'] };
    expect(decide('codebase.changed', { followed })).toMatchObject({ followed, revision: 1, state: 'active', last_whole_hint_at: History.at(1) });
    expect(decide('codebase.archived')).toMatchObject({ state: 'archived', revision: 2, last_whole_hint_at: History.at(1) });
    expect(decide('codebase.restored')).toMatchObject({ state: 'active', revision: 3, last_whole_hint_at: History.at(3) });
    expect(decide('codebase.removed')).toMatchObject({ state: 'removed', removed_at: History.at(4) });
    expect(decide('codebase.restored')).toMatchObject({ state: 'active', removed_at: null });
    expect(decide('codebase.removed')).toMatchObject({ state: 'removed', removed_at: History.at(6) });
    expect(decide('codebase.deleted')).toMatchObject({ state: 'deleted', removed_at: History.at(6), revision: 7 });
    const anew = history.codebaseRegistered(app.data.sourceId);
    expect(row()).toMatchObject({ state: 'active', removed_at: null, revision: 8, began_at: anew.position, hook_state: 'pending', followed: { branches: ['*'] } });
  });

  test('given hook.removed, expect it to be said', () => {
    history.hookInstalled(app);
    history.record(`codebase-${app.data.codebaseId}` as never, 'hook.removed', { key: app.data.codebaseId, data: { codebaseId: app.data.codebaseId, sourceId: app.data.sourceId, gitlabHookId: 7 } });
    expect(row()).toMatchObject({ hook_state: 'removed', hook_reason: null, hook_is_signed: null, revision: 2 });
  });

  test('given facts of a codebase that nobody registered, expect no row', () => {
    const stranger = randomUUID() as CodebaseId;
    const push = history.pushReceived(stranger, [MAIN]) as unknown as Fact;
    history.fetched(history.sync(push), 'a');
    history.stored(history.sync(push), 'a');
    expect(folded(codebases, history.facts)).toHaveLength(1);
  });
});

describe('projects', () => {
  const projectId = randomUUID();
  const decide = (type: Parameters<History['decided']>[1], more: object = {}) => void history.decided(`project-${projectId}`, type, { projectId, ...more });

  test('given what people decide, expect name, state and revision; and who is a member, and who was', () => {
    const [one, other] = [randomUUID(), randomUUID()];
    decide('project.created', { name: 'a' });
    expect(folded(projects, history.facts)).toEqual([{ project_id: projectId, name: 'a', state: 'active', created_at: History.at(1), removed_at: null, revision: 0 }]);
    decide('project.renamed', { name: 'b' });
    decide('project.codebase-added', { codebaseId: one });
    decide('project.codebase-added', { codebaseId: other });
    decide('project.codebase-removed', { codebaseId: one });
    expect(folded(projects, history.facts)).toMatchObject([{ name: 'b', state: 'active', revision: 4 }]);
    expect(folded(projectCodebases, history.facts)).toEqual([{ project_id: projectId, codebase_id: one, is_member: false, is_read: false }, { project_id: projectId, codebase_id: other, is_member: true, is_read: false }]);
    decide('project.member-added', { userId: one, role: 'member' });
    decide('project.member-added', { userId: other, role: 'admin' });
    decide('project.member-changed', { userId: one, role: 'admin' });
    decide('project.member-removed', { userId: other });
    expect(folded(projectPeople, history.facts)).toEqual([{ project_id: projectId, user_id: one, role: 'admin', since: History.at(8) }, { project_id: projectId, user_id: other, role: null, since: History.at(9) }]);
    // Whoever created it as a user is its admin; the engine's own token is nobody.
    const [created] = history.facts.filter(({ type }) => type === 'project.created');
    expect(created && projectPeople.keysOf(created)).toEqual([]);
    const byUser = { ...created!, actor: { kind: 'user' as const, id: one } };
    expect(projectPeople.keysOf(byUser)).toEqual([[projectId, one]]);
    expect(projectPeople.fold(undefined, byUser, [projectId, one])).toEqual({ project_id: projectId, user_id: one, role: 'admin', since: History.at(1) });
    decide('project.archived');
    decide('project.removed');
    expect(folded(projects, history.facts)).toMatchObject([{ state: 'removed', removed_at: History.at(11) }]);
    decide('project.restored');
    expect(folded(projects, history.facts)).toMatchObject([{ state: 'active', removed_at: null, revision: 11 }]);
    // Membership says nothing of the codebase itself.
    expect(folded(codebases, history.facts)).toHaveLength(1);
  });
});

test('the members of a project read a codebase of it from the fact on that says so, and no longer when it leaves, also when it comes back', () => {
  const [projectId, codebaseId] = [randomUUID(), randomUUID()];
  const own = new History();
  const read = (type: Parameters<History['decided']>[1]) => {
    own.decided(`project-${projectId}`, type, { projectId, codebaseId });
    return folded(projectCodebases, own.facts).map((row) => [row.is_member, row.is_read])[0];
  };
  expect(read('project.codebase-added')).toEqual([true, false]);
  expect(read('project.reading-given')).toEqual([true, true]);
  expect(read('project.reading-taken')).toEqual([true, false]);
  expect(read('project.reading-given')).toEqual([true, true]);
  expect(read('project.codebase-removed')).toEqual([false, false]);
  expect(read('project.codebase-added')).toEqual([true, false]);
});

describe('refs and versions', () => {
  const current = () => folded(refs, history.facts);
  const past = () => folded(versions, history.facts).map(({ ref, commit_id, state }) => [ref, state, commit_id]);

  test('given codebase.fetched and codebase.scanned, expect nothing to be visible; given codebase.stored, the version', () => {
    const sync = history.sync(registered);
    history.fetched(sync, 'a');
    history.scanned(sync, 'a');
    expect([current(), past()]).toEqual([[], []]);
    const fact = history.stored(sync, 'a', { observedAt: History.at(2) });
    const row = {
      codebase_id: app.data.codebaseId, ref: MAIN, state: 'stored', commit_id: idOf('a'), commit_time: History.at(0), tree_id: idOf('tree of a'), object_format: 'sha1',
      sync_id: sync.id, stored_at: History.at(3), observed_at: History.at(2), position: fact.position,
    };
    expect(current()).toEqual([row]);
    expect(folded(versions, history.facts)).toEqual([row]);
  });

  test('given a move there and back, expect three versions and the ref at the last', () => {
    for (const content of ['a', 'b', 'a']) history.stored(history.sync(history.syncRequested(app.data.codebaseId, MAIN) as unknown as Fact), content);
    expect(past()).toEqual([[MAIN, 'stored', idOf('a')], [MAIN, 'stored', idOf('b')], [MAIN, 'stored', idOf('a')]]);
    expect(current().map((row) => [row.commit_id, row.position])).toEqual([[idOf('a'), history.facts.at(-1)?.position]]);
  });

  test('given ref.deleted, expect the ref deleted, its past kept, and its name free again', () => {
    history.stored(history.sync(registered), 'a');
    history.deleted(history.sync(history.syncRequested(app.data.codebaseId, MAIN) as unknown as Fact));
    expect(current()).toMatchObject([{ state: 'deleted', commit_id: null, tree_id: null }]);
    history.stored(history.sync(history.syncRequested(app.data.codebaseId, MAIN) as unknown as Fact), 'a');
    expect(current()).toMatchObject([{ state: 'stored', commit_id: idOf('a') }]);
    expect(past().map(([, state]) => state)).toEqual(['stored', 'deleted', 'stored']);
  });

  test('given ref.unfollowed, expect the ref to be no current state, its past kept, and its sync ended', () => {
    history.stored(history.sync(registered), 'a');
    const sync = history.sync(history.syncRequested(app.data.codebaseId, MAIN) as unknown as Fact);
    history.unfollowed(sync);
    expect(current()).toMatchObject([{ state: 'unfollowed', commit_id: null }]);
    expect(past().map(([, state]) => state)).toEqual(['stored', 'unfollowed']);
    expect(folded(syncs, history.facts).find((row) => row.sync_id === sync.id)).toMatchObject({ state: 'skipped', reason: 'not-followed', ended_at: History.at(3) });
  });

  test('given an empty repository, expect a version without a commit', () => {
    history.stored(history.sync(registered), null);
    expect(current()).toMatchObject([{ state: 'stored', commit_id: null, commit_time: null }]);
  });

  test('given sync.skipped because nothing is new, expect the version to be as fresh as that look, and no other', () => {
    history.stored(history.sync(registered), 'a', { observedAt: History.at(10) });
    const skip = (content: string | null, data: Parameters<History['skipped']>[2]) => {
      history.skipped(history.sync(history.syncRequested(app.data.codebaseId, MAIN) as unknown as Fact), content, data);
      return current()[0]?.observed_at;
    };
    expect(skip('a', { observedAt: History.at(20) })).toBe(History.at(20));
    expect(skip('a', { observedAt: History.at(15) })).toBe(History.at(20));
    expect(skip('a', { reason: 'newer-hint', observedAt: null })).toBe(History.at(20));
    expect(skip(null, { reason: 'nothing-there', observedAt: History.at(30) })).toBe(History.at(20));
    expect(skip('b', { observedAt: History.at(40) })).toBe(History.at(20));
    expect(past()).toHaveLength(1);
  });

  test('given a skip of a ref that was never stored, expect no row', () => {
    history.skipped(history.sync(registered), null, { reason: 'nothing-there' });
    expect([current(), past()]).toEqual([[], []]);
  });
});

describe('syncs', () => {
  const row = () => folded(syncs, history.facts).at(-1);

  test('given codebase.registered, expect no row: its refs are not known yet', () => {
    expect(folded(syncs, history.facts)).toEqual([]);
  });

  test('given causes that name refs, expect a waiting row a ref, each ref once, so that who asked can look at once', () => {
    const push = history.pushReceived(app.data.codebaseId, [MAIN, 'refs/heads/side', MAIN]);
    const command = history.syncRequested(app.data.codebaseId, MAIN);
    history.syncRequested(app.data.codebaseId, null);
    const rows = folded(syncs, history.facts);
    expect(rows.map(({ ref, cause_id, state }) => [ref, cause_id, state])).toEqual([[MAIN, push.id, 'waiting'], ['refs/heads/side', push.id, 'waiting'], [MAIN, command.id, 'waiting']]);
    expect(rows[0]).toEqual({
      sync_id: history.sync(push as unknown as Fact).id, codebase_id: app.data.codebaseId, ref: MAIN, cause_id: push.id, correlation_id: push.correlationId,
      state: 'waiting', reason: null, detail: null, covered_by: null, commit_id: null, tree_id: null, hint_reached: null, attempt: null,
      begun_at: History.at(1), fetched_at: null, scanned_at: null, ended_at: null, counts: null, bytes: null, objects_added: null,
    });
  });

  test('given the steps of a sync, expect each to leave its time, and the row to know its cause', () => {
    const sync = history.sync(registered);
    history.fetched(sync, 'a', { hintReached: true, attempt: 2 });
    expect(row()).toMatchObject({ sync_id: sync.id, cause_id: app.id, correlation_id: app.correlationId, state: 'fetched', begun_at: History.at(1), fetched_at: History.at(1), commit_id: idOf('a'), hint_reached: true, attempt: 2, bytes: 6_000_000_000, counts: { commits: 1, trees: 2, blobs: 3 }, ended_at: null });
    history.scanned(sync, 'a');
    expect(row()).toMatchObject({ state: 'scanned', scanned_at: History.at(2), ended_at: null });
    history.stored(sync, 'a');
    expect(row()).toMatchObject({ state: 'stored', ended_at: History.at(3), objects_added: 6, begun_at: History.at(1), cause_id: app.id });
    expect(folded(syncs, history.facts)).toHaveLength(1);
  });

  test('given a waiting row, expect it to begin when its cause was recorded, whenever the work began', () => {
    const push = history.pushReceived(app.data.codebaseId, [MAIN]) as unknown as Fact;
    history.deliveryIgnored();
    history.fetched(history.sync(push), 'a');
    expect(row()).toMatchObject({ begun_at: History.at(1), fetched_at: History.at(3) });
  });

  test('given sync.skipped, expect the reason and what covers it', () => {
    const coveredBy = randomUUID() as SyncId;
    history.skipped(history.sync(registered), 'a', { coveredBy, hintReached: false });
    expect(row()).toMatchObject({ state: 'skipped', reason: 'up-to-date', covered_by: coveredBy, commit_id: idOf('a'), hint_reached: false, ended_at: History.at(1) });
  });

  test('given ref.deleted, expect the sync ended as deleted', () => {
    history.deleted(history.sync(registered));
    expect(row()).toMatchObject({ state: 'deleted', ended_at: History.at(1) });
  });

  test('given sync.failed, expect why, and the next attempt waiting under a sync of its own', () => {
    const sync = history.sync(registered);
    history.fetched(sync, 'a');
    const failed = history.failed(sync, { attempt: 3 });
    const rows = folded(syncs, history.facts);
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatchObject({ sync_id: sync.id, state: 'failed', reason: 'pack-damaged', detail: 'it does not hash to its name', attempt: 3, ended_at: History.at(2) });
    expect(rows[1]).toMatchObject({ sync_id: history.sync(failed as unknown as Fact).id, cause_id: failed.id, state: 'waiting', ended_at: null });
  });
});

test('facts that are about no table touch none', () => {
  history.deliveryIgnored(randomUUID() as SourceId);
  history.gitlabHinted();
  for (const view of [sources, codebases, refs, versions, syncs]) for (const fact of history.facts.slice(1)) expect(view.keysOf(fact)).toEqual([]);
});
