import type { CodebaseId, ObjectId, Position, RefName, SyncId } from '#schemas/brand.ts';
import { positionOutside } from '#schemas/positions.ts';
import { createMemoryReadStore, type ReadModel } from '#shared/read-store/memory-read-store.ts';
import type { CodebaseView } from '#shared/read-store/read-store.ts';
import { lastLookOf, watchedBy } from './watching.ts';
import { codebaseOf, parseAt, receiptHeaders, receiptOf, resolveVersion } from './resolve-version.ts';

const EPOCH = 'e1';
const ID = '00000000-0000-4000-8000-000000000001' as CodebaseId;
const at = (n: number) => String(n).padStart(20, '0') as Position;
const time = (n: number) => new Date(Date.UTC(2026, 0, 1, 12, n)).toISOString();
const commit = (name: string) => name.repeat(40) as ObjectId;

const codebase: CodebaseView = {
  id: ID, sourceId: ID as never, gitlabProjectId: 15, path: 'a/b', followed: { branches: ['*'], tags: [] }, defaultRef: 'refs/heads/main' as RefName,
  hook: { state: 'pending', reason: null, isSigned: null }, registeredAt: time(0), lastHintAt: time(0), lastWholeHintAt: time(0), lastObservedAt: null, state: 'active', removedAt: null, revision: 0,
};
const version = (n: number, ref: string, named: string | null): ReadModel['versions'][number] => ({
  codebaseId: ID, ref: ref as RefName, state: named === null ? 'deleted' : 'stored', commit: named === null ? null : commit(named), commitTime: null, tree: named === null ? null : commit(named),
  objectFormat: 'sha1', sync: ID as unknown as SyncId, storedAt: time(n), observedAt: time(n), position: at(n),
});
const model: ReadModel = {
  position: at(99), sources: [], codebases: [codebase], syncs: [], facts: [], progress: new Map(), unfolded: [],
  versions: [
    version(1, 'refs/heads/main', 'a'), version(2, 'refs/heads/both', 'b'), version(3, 'refs/tags/both', 'c'), version(4, 'refs/tags/v1', 'd'),
    version(5, 'refs/heads/main', 'e'), version(6, 'refs/heads/gone', 'f'), version(7, 'refs/heads/gone', null), version(8, 'refs/heads/feature/x', '1'),
  ],
};
const store = createMemoryReadStore(model);
const parkedKeys = [ID] as string[];
const bus = { parked: async ({ key }: { key?: string } = {}) => parkedKeys.filter((one) => one === key).map((one) => ({ group: 'fetcher', key: one, reason: 'r', since: time(0), position: at(1), type: 't', facts: 1 })) };
const resolved = async (ref?: string, moment?: string, of = codebase) => (await resolveVersion({ store, epoch: EPOCH, bus }, of, { ref, at: moment })).version.commit?.[0];

test.each<[string | undefined, string]>([
  [undefined, 'e'], ['main', 'e'], ['refs/heads/main', 'e'], ['feature/x', '1'], ['v1', 'd'], ['refs/tags/v1', 'd'],
  // A branch goes before a tag of its name; the whole name means the one.
  ['both', 'b'], ['refs/tags/both', 'c'],
])('ref %j is the version it points to now', async (ref, expected) => { expect(await resolved(ref)).toBe(expected); });

test('without a default branch the first ref by name is meant, and without any there is nothing yet', async () => {
  expect(await resolved(undefined, undefined, { ...codebase, defaultRef: null })).toBe('b');
  const empty = createMemoryReadStore({ ...model, versions: [] });
  await expect(resolveVersion({ store: empty, epoch: EPOCH, bus }, { ...codebase, defaultRef: null }, { ref: undefined, at: undefined })).rejects.toMatchObject({ status: 404, code: 'nothing-stored-yet' });
});

test.each<[string, string | undefined, string, string]>([
  ['a commit of this ref', 'main', commit('a'), 'a'],
  ['a commit of another ref', 'main', commit('c'), 'c'],
  ['a commit of a ref that is gone', undefined, commit('f'), 'f'],
  ['a position', 'main', positionOutside(EPOCH, at(4)), 'a'],
  ['a position of a deleted ref, while it stood', 'gone', positionOutside(EPOCH, at(6)), 'f'],
  ['a time', 'main', time(3), 'a'],
  ['a time in another zone', 'main', '2026-01-01T14:03:00+02:00', 'a'],
  ['a time without seconds', 'main', '2026-01-01T12:05Z', 'e'],
])('at= takes %s', async (_what, ref, moment, expected) => { expect(await resolved(ref, moment)).toBe(expected); });

test.each<[string, string | undefined, string | undefined, object]>([
  ['a position of another log', 'main', positionOutside('e2', at(4)), { status: 410, code: 'position-of-another-log' }],
  ['an abbreviated commit', 'main', 'a'.repeat(12), { status: 400, code: 'at-malformed' }],
  ['a commit in capitals', 'main', 'A'.repeat(40), { status: 400, code: 'at-malformed' }],
  ['a word', 'main', 'yesterday', { status: 400, code: 'at-malformed' }],
  ['a time without a zone, which would be the server\'s', 'main', '2026-01-01T12:03:00', { status: 400, code: 'at-malformed' }],
  ['a day that there is not', 'main', '2026-02-31T25:00:00Z', { status: 400, code: 'at-malformed' }],
  ['a date alone', 'main', '2026-01-01', { status: 400, code: 'at-malformed' }],
  ['a commit that was never stored', 'main', commit('9'), { status: 404, code: 'no-such-version' }],
  ['a time before the first version', 'main', '2020-01-01T00:00:00Z', { status: 404, code: 'no-such-version' }],
  ['the beginning of the log', 'main', positionOutside(EPOCH, '' as Position), { status: 404, code: 'no-such-version' }],
  ['a ref that was never', 'none', undefined, { status: 404, code: 'no-such-version' }],
  ['a ref that is gone', 'gone', undefined, { status: 404, code: 'no-such-version' }],
  ['a ref that was gone by then', 'gone', time(8), { status: 404, code: 'no-such-version', detail: expect.stringContaining('deleted') }],
])('%s is refused', async (_what, ref, moment, problem) => { await expect(resolved(ref, moment)).rejects.toMatchObject(problem); });

test('what is no position of ours is none of another log', () => {
  expect(() => parseAt(EPOCH, '12345678')).toThrow(expect.objectContaining({ code: 'at-malformed' }));
  expect(() => parseAt(EPOCH, '12345678-a/b')).toThrow(expect.objectContaining({ code: 'at-malformed' }));
});

test.each([undefined, '', 'x', '00000000-0000-4000-8000-000000000002', `${ID}'`])('a codebase named %j is unknown: 404', async (id) => {
  await expect(codebaseOf(store, id)).rejects.toMatchObject({ status: 404, code: 'codebase-unknown' });
});

test.each([['removed', 404, 'codebase-removed'], ['deleted', 410, 'codebase-deleted']] as const)('a codebase that is %s is hidden: %d, and only the removed is there for who asks for it', async (state, status, code) => {
  const hidden = { ...store, codebase: async () => ({ ...codebase, state, removedAt: time(1) }) };
  await expect(codebaseOf(hidden, ID)).rejects.toMatchObject({ status, code });
  const asked = codebaseOf(hidden, ID, { orRemoved: true });
  if (state === 'removed') expect(await asked).toMatchObject({ state });
  else await expect(asked).rejects.toMatchObject({ status, code });
});

/** I10. */
test.each<[string, Partial<CodebaseView>, string[], boolean]>([
  ['nothing came since', { lastWholeHintAt: time(5) }, [], false],
  ['a cause for every ref came since GitLab was asked for this one', { lastWholeHintAt: time(6) }, [], true],
  ['a sync of this ref is under way', {}, ['refs/heads/main'], true],
  ['a sync of another ref is', { lastHintAt: time(50) }, ['refs/heads/both'], false],
])('a receipt says whether the ref may have moved: %s', async (_what, more, underWay, expected) => {
  const { version: main } = await resolveVersion({ store, epoch: EPOCH, bus }, codebase, { ref: 'main', at: undefined });
  const receipt = receiptOf(EPOCH, { codebase: { ...codebase, ...more }, version: main, refsUnderWay: new Set(underWay as RefName[]), isParked: false });
  expect(receipt).toEqual({ codebase: ID, ref: 'refs/heads/main', commit: commit('e'), tree: commit('e'), storedAt: time(5), observedAt: time(5), isHintWaiting: expected, isParked: false, watchedBy: 'poll', lastLook: { at: time(5), how: 'sync' }, position: positionOutside(EPOCH, at(5)) });
});

test('a receipt says whether work on the codebase is set aside', async () => {
  expect((await resolveVersion({ store, epoch: EPOCH, bus }, codebase, { ref: 'main', at: undefined })).isParked).toBe(true);
  parkedKeys.length = 0;
  expect((await resolveVersion({ store, epoch: EPOCH, bus }, codebase, { ref: 'main', at: undefined })).isParked).toBe(false);
});

test.each<[string, object, string | object]>([
  ['what GitLab had then', { observedAt: time(5) }, 'e'],
  ['what GitLab had then, as known before', { observedAt: time(5), at: time(4) }, 'a'],
  ['with a commit', { observedAt: time(5), at: commit('a') }, { code: 'at-malformed' }],
  ['what is no time', { observedAt: 'then' }, { code: 'time-malformed' }],
])('observedAt= takes %s', async (_what, asked, expected) => {
  const found = resolveVersion({ store, epoch: EPOCH, bus }, codebase, { ref: 'main', at: undefined, ...asked });
  if (typeof expected === 'string') expect((await found).version.commit?.[0]).toBe(expected);
  else await expect(found).rejects.toMatchObject(expected);
});

test('the receipt in headers is the receipt, in ASCII whatever the ref is called', () => {
  const headers = receiptHeaders(EPOCH, { codebase, refsUnderWay: new Set(), isParked: false, version: { ...version(1, 'refs/heads/日本', null), commit: null } });
  expect(headers).toMatchObject({ 'X-Tekai-Ref': encodeURI('refs/heads/日本'), 'X-Tekai-Commit': 'none', 'X-Tekai-Position': positionOutside(EPOCH, at(1)) });
  for (const value of Object.values(headers)) expect(value).toMatch(/^[\x20-\x7e]+$/);
});

/** I10. */
const look = { lookedAt: time(30), position: at(5), different: [], hookTrouble: null };
test.each<[string, Partial<CodebaseView>, string | undefined, object]>([
  ['all that it saw was equal', { look }, undefined, { at: time(30), how: 'poll' }],
  ['another ref differed', { look: { ...look, different: ['refs/heads/both' as RefName] } }, undefined, { at: time(30), how: 'poll' }],
  ['this ref differed', { look: { ...look, different: ['refs/heads/main' as RefName] } }, undefined, { at: time(5), how: 'sync' }],
  ['too many differed to name', { look: { ...look, different: null } }, undefined, { at: time(5), how: 'sync' }],
  ['it was compared with an older version', { look: { ...look, position: at(4) } }, undefined, { at: time(5), how: 'sync' }],
  ['it was before the sync', { look: { ...look, lookedAt: time(2) } }, undefined, { at: time(5), how: 'sync' }],
  ['the ref is not followed any more', { look, followed: { branches: ['both'], tags: [] } }, undefined, { at: time(5), how: 'sync' }],
  ['the version is one that the ref has left', { look }, commit('a'), { at: time(1), how: 'sync' }],
  ['GitLab never answered', { look: { ...look, lookedAt: null, position: null } }, undefined, { at: time(5), how: 'sync' }],
])('what a look at GitLab says of a version: %s', async (_what, more, moment, expected) => {
  const found = await resolveVersion({ store, epoch: EPOCH, bus }, { ...codebase, ...more }, { ref: 'main', at: moment });
  expect(receiptOf(EPOCH, found).lastLook).toEqual(expected);
});

test.each<['hook' | 'poll', CodebaseView['hook']['state'], string | null | undefined]>([
  ['hook', 'installed', undefined], ['hook', 'installed', null], ['poll', 'installed', 'GitLab disabled it'], ['poll', 'refused', null], ['poll', 'pending', undefined],
])('watched by %s when the hook is %s and its trouble %j', (expected, state, hookTrouble) => {
  const of = { ...codebase, hook: { state, reason: null, isSigned: null }, ...(hookTrouble === undefined ? {} : { look: { ...look, hookTrouble } }) };
  expect(watchedBy(of)).toBe(expected);
  expect(lastLookOf(of)).toEqual(hookTrouble === undefined ? null : { at: time(30), how: 'poll' });
});
