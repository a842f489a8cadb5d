import assert from 'node:assert/strict';
import pg from 'pg';
import { blobsOf } from '../harness/own-stores.ts';
import { expectSameAsGit } from '../harness/same-as-git.ts';
import { eventsOf, until, type System } from '../harness/system.ts';
import { tekai } from '../harness/tekai.ts';
import type { Followed } from './fleet.ts';
import { expectHeardAll, type Listener } from './listener.ts';

/**
 * What must hold after any drill, once nothing is broken any more: every head of GitLab is reached, nothing is parked, nothing
 * that was answered 2xx is missing, nothing is doubled, every version is git's, each object lies in one place, the read models
 * are what the log says; and listeners that were there all the time heard the log. @throws AssertionError naming what is not so
 */
export async function expectAllHeld(system: System, fleet: readonly Followed[], { listeners = [] }: { readonly listeners?: readonly Listener[] } = {}): Promise<void> {
  for (const one of fleet) await untilSameHeads(system, one);
  assert.deepEqual((await system.ask('GET', '/v1/parked')).json<{ parked: unknown[] }>().parked, [], 'a key is parked');
  await expectEveryDeliveryRecorded(system, fleet);
  for (const one of fleet) {
    await untilEveryCauseEnded(system, one);
    await expectNothingDoubled(system, one);
    await expectEveryVersionWhole(system, one);
  }
  await expectOnePlaceEach(system);
  await expectReplayEqual(system);
  for (const listener of listeners) await expectHeardAll(system, listener);
}

/** Hooks that fell into a time when nobody listened are GitLab's to lose: an operator asks for a sync of everything. */
export async function askForAll(system: System, fleet: readonly Followed[]): Promise<void> {
  await system.gitlab.admin('GET', '/idle');
  for (const { codebase } of fleet) assert.equal((await system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body: {} })).status, 202);
}

export async function untilSameHeads(system: System, one: Followed): Promise<void> {
  await until(`every head of ${one.codebase} is reached: ${headsOf(one)}`, () => hasSameHeads(system, one));
}

export async function hasSameHeads(system: System, one: Followed): Promise<boolean> {
  const { refs } = (await system.ask('GET', `/v1/codebases/${one.codebase}/refs`)).json<{ refs: { ref: string; commit: string }[] }>();
  return refs.map(({ ref, commit }) => `${ref} ${commit}`).sort().join(', ') === headsOf(one);
}

const headsOf = ({ heads }: Followed) => [...heads].map(([branch, commit]) => `refs/heads/${branch} ${commit}`).sort().join(', ');

/** I1: what was answered 2xx is in the log. */
export async function expectEveryDeliveryRecorded(system: System, fleet: readonly Followed[]): Promise<void> {
  const recorded = new Set<string>();
  for (const { codebase } of fleet) for (const event of await eventsOf(system, `key=${codebase}&type=push.received`)) recorded.add(event.data.deliveryId);
  const projects = new Set(fleet.map(({ project }) => project));
  const answered = (await system.gitlab.admin<Delivery[]>('GET', '/deliveries')).filter((one) => /^2/.test(one.responseStatus) && projects.has(one.projectId ?? -1));
  assert.ok(answered.length > 0, 'no delivery was answered 2xx: the drill drilled nothing');
  assert.deepEqual(answered.map(keyOf).filter((key) => !recorded.has(key)), [], 'deliveries that were answered 2xx are not in the log');
}

const CAUSES = new Set(['push.received', 'sync.requested', 'gap.detected']);
const ENDS = new Set(['codebase.stored', 'sync.skipped', 'ref.deleted', 'ref.unfollowed', 'sync.failed']);

/** I3: nothing that asked for work was passed over, and nothing that was begun was forgotten: a head may be reached by another cause. */
export async function untilEveryCauseEnded(system: System, { codebase }: Followed): Promise<void> {
  const left = async () => {
    const events = await eventsOf(system, `key=${codebase}`);
    const syncs = events.filter(({ stream }) => stream.startsWith('sync-'));
    const began = new Set(syncs.map(({ causationId }) => causationId));
    const ended = new Set(syncs.filter(({ type }) => ENDS.has(type)).map(({ stream }) => stream));
    return {
      'causes without a sync': events.filter(({ id, type }) => CAUSES.has(type) && !began.has(id)).map(({ id, type }) => `${type} ${id}`),
      'syncs without an end': [...new Set(syncs.map(({ stream }) => stream))].filter((stream) => !ended.has(stream)),
    };
  };
  await until(`every cause of ${codebase} has ended`, async () => Object.values(await left()).every((some) => some.length === 0))
    .catch(async () => assert.deepEqual(await left(), { 'causes without a sync': [], 'syncs without an end': [] }, `work of ${codebase} was forgotten`));
}

/** I2, I4: a step was recorded once a sync, and a ref moved to where it was not. */
export async function expectNothingDoubled(system: System, { codebase }: Followed): Promise<void> {
  const events = await eventsOf(system, `key=${codebase}`);
  expectOnce(events.map((event) => event.id), 'facts of one id');
  expectOnce(events.filter((event) => event.stream.startsWith('sync-')).map((event) => `${event.stream} ${event.type}`), 'steps recorded twice in one sync');
  const moves = events.filter((event) => event.type === 'codebase.stored' || event.type === 'ref.deleted');
  for (const ref of new Set(moves.map((move) => move.data.ref as string))) {
    const commits = moves.filter((move) => move.data.ref === ref).map((move) => (move.type === 'codebase.stored' ? (move.data.commit as string) : null));
    assert.deepEqual(commits.filter((commit, index) => index > 0 && commit === commits[index - 1]), [], `consecutive versions of ${ref} of ${codebase} are the same commit`);
  }
}

/** I5: every version ever visible has git's tree, and the newest ones are read to the last byte. */
export async function expectEveryVersionWhole(system: System, { repository, codebase, heads }: Followed): Promise<void> {
  const { versions } = (await system.ask('GET', `/v1/codebases/${codebase}/versions?limit=1000`)).json<{ versions: { state: string; commit: string; tree: string }[] }>();
  for (const { commit, tree } of versions.filter(({ state }) => state === 'stored')) {
    assert.equal(tree, repository.git('rev-parse', `${commit}^{tree}`), `the tree of version ${commit}`);
    assert.equal((await system.ask('GET', `/v1/codebases/${codebase}/tree?at=${commit}`)).json<{ tree: string }>().tree, tree);
  }
  for (const commit of new Set(heads.values())) assert.ok(await expectSameAsGit(system, codebase, { repository, commit, at: commit }) > 0, 'no file was compared');
}

/** I4: the index says one place for each object, in a pack that is there. */
export async function expectOnePlaceEach(system: System): Promise<void> {
  const client = new pg.Client({ connectionString: system.databaseUrl });
  await client.connect();
  try {
    const { rows: doubled } = await client.query<{ id: string }>(`select encode(id, 'hex') as id from objects group by id having count(*) > 1`);
    assert.deepEqual(doubled.map(({ id }) => id), [], 'objects with a second location');
    const { rows: named } = await client.query<{ pack: string }>(`select distinct encode(p.sha256, 'hex') as pack from objects o left join object_packs p using (pack_no)`);
    assert.ok(named.length > 0, 'no object is in the index: the drill drilled nothing');
    const kept = new Set<string>();
    for await (const { name, bytes } of (await blobsOf(system)).list('packs/')) if (bytes > 0) kept.add(name);
    assert.deepEqual(named.map(({ pack }) => pack).filter((pack) => !kept.has(`packs/${pack}`)), [], 'packs that hold objects by the index, and are not there');
  } finally {
    await client.end();
  }
}

/** I6, by the program that an operator runs. */
export async function expectReplayEqual(system: System): Promise<void> {
  const { code, stdout, stderr } = await tekai(system, 'replay', '--verify');
  assert.equal(code, 0, `tekai replay --verify exits ${code}:\n${stdout}${stderr}`);
  assert.match(stdout, /The read models are what [\d,]+ facts say/);
}

function expectOnce(found: readonly string[], what: string): void {
  const seen = new Set<string>();
  assert.deepEqual(found.filter((one) => seen.size === seen.add(one).size), [], what);
}

interface Delivery { readonly responseStatus: string; readonly requestHeaders: Readonly<Record<string, string>>; readonly projectId?: number }

function keyOf({ requestHeaders: headers }: Delivery): string {
  return Object.entries(headers).find(([name]) => name.toLowerCase() === 'webhook-id')?.[1] ?? '';
}
