import type { CodebaseId, ProjectId, StreamName } from '#schemas/brand.ts';
import { APP, at, codebaseView, openWorld, READER, syncView, time, uuid, versionView, type World } from './query-api-world.fixture.ts';

// What of the answers that show many codebases somebody sees who may read one of them. Addresses that name one are the guard's.

const [OTHER, NONE] = [uuid(2) as CodebaseId, uuid(3) as CodebaseId];
const [PROJECT, STRANGE] = [uuid(41) as ProjectId, uuid(42) as ProjectId];
let world: World;

/** Both are in the reader's project; of one an admin said that its members read it. */
function givenTwo(): void {
  world.model = {
    ...world.model, position: at(9),
    codebases: [codebaseView(APP), { ...codebaseView(OTHER), path: 'secret/plans' }],
    projects: [PROJECT, STRANGE].map((id) => ({ id, name: 'p', state: 'active' as const, createdAt: time(1), removedAt: null, revision: 0 })),
    members: [{ project: PROJECT, codebase: APP, isMember: true, isRead: true }, { project: PROJECT, codebase: OTHER, isMember: true, isRead: false }, { project: STRANGE, codebase: APP, isMember: true }],
    people: [{ project: PROJECT, userId: READER, role: 'admin', since: time(1) }],
    versions: [versionView(1)], syncs: [syncView(1), syncView(2, { codebaseId: OTHER })],
    facts: [APP, OTHER, PROJECT].map((key, n) => ({ position: at(n + 1), key, stream: `codebase-${key}` as StreamName, revision: 0, type: 'codebase.registered' })),
  };
}

beforeAll(async () => { world = await openWorld(); });
beforeEach(givenTwo);
afterAll(() => world.stop());

const asReader = { headers: { authorization: 'Bearer the-reader' } };
const told = async (path: string) => (await world.ask(path, asReader)).json();

test('lists show what one may read and not a word of the rest; system admins see it all', async () => {
  expect((await told('/v1/codebases')).codebases.map((one: any) => one.id)).toEqual([APP]);
  expect((await told('/v1/syncs')).syncs.map((one: any) => one.id)).toEqual([uuid(1)]);
  expect([(await told('/v1/events')).events.length, (await world.ask('/v1/events')).json().events.length]).toEqual([1, 3]);
  expect(await told('/v1/projects')).toMatchObject({ projects: [{ id: PROJECT, codebaseCount: 1 }] });
  expect(await told(`/v1/projects/${PROJECT}`)).toMatchObject({ codebaseCount: 1, codebases: [{ id: APP }] });
  for (const path of ['/v1/codebases', '/v1/syncs', `/v1/codebases?project=${PROJECT}`, `/v1/projects/${PROJECT}`]) {
    expect([path, (await world.ask(path, asReader)).body.toString().includes(OTHER)]).toEqual([path, false]);
    expect([path, (await world.ask(path)).body.toString().includes(OTHER)]).toEqual([path, true]);
  }
});

test('what is named beside the address, or found by another id, is told like what is not there', async () => {
  const alike = async (of: (id: string) => string, hidden: string, none: string) => {
    const [one, other] = [await world.ask(of(hidden), asReader), await world.ask(of(none), asReader)];
    const same = (text: string, id: string) => ({ ...JSON.parse(text.replaceAll(id, 'ID')), instance: '' });
    expect([one.status, same(one.body.toString(), hidden)]).toEqual([404, same(other.body.toString(), none)]);
  };
  await alike((id) => `/v1/codebases/${APP}/changes?from=main&fromCodebase=${id}`, OTHER, NONE);
  await alike((id) => `/v1/objects/${'a'.repeat(40)}/occurrences?codebase=${id}`, OTHER, NONE);
  await alike((id) => `/v1/syncs/${id}`, uuid(2), uuid(77));
  await alike((id) => `/v1/codebases?project=${id}`, STRANGE, uuid(78));
  await alike((id) => `/v1/projects/${id}/members`, STRANGE, uuid(78));
});

test('who is told off while they wait for a push is told what strangers are (I7)', async () => {
  const waiting = world.ask(`/v1/codebases/${APP}/refs?atLeast=${'f'.repeat(40)}&wait=30s`, asReader);
  while (world.waiting === 0) await new Promise((resolve) => { setImmediate(resolve); });
  world.model = {
    ...world.model, position: at(10), members: [], versions: [versionView(1), { ...versionView(10), commit: 'f'.repeat(40) as never }],
    facts: [...world.model.facts, { position: at(10), key: APP, stream: 'sync-x' as StreamName, revision: 2, type: 'codebase.stored' }],
  };
  world.projected.tell(at(10));
  expect((await waiting).json()).toMatchObject({ status: 404, code: 'codebase-unknown' });
});
