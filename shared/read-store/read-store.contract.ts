import type { CodebaseId, FactId, ObjectId, Position, ProjectId, RefName, SourceId, StreamName, SyncId } from '#schemas/brand.ts';
import type { ReadModel } from './memory-read-store.ts';
import type { ReadStore, SyncView, VersionView } from './read-store.ts';

const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const at = (n: number) => String(n).padStart(20, '0') as Position;
const time = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, n)).toISOString();
const commit = (name: string) => name.repeat(40) as ObjectId;
const [APP, LIB, OLD, HIDDEN, ANEW] = [uuid(1) as CodebaseId, uuid(2) as CodebaseId, uuid(3) as CodebaseId, uuid(4) as CodebaseId, uuid(5) as CodebaseId];
const [MAIN, SIDE] = ['refs/heads/main' as RefName, 'refs/heads/side' as RefName];

const codebase = (id: CodebaseId, more: Partial<ReadModel['codebases'][number]> = {}): ReadModel['codebases'][number] => ({
  id, sourceId: uuid(9) as SourceId, gitlabProjectId: 2 ** 40, path: null, followed: { branches: ['*'], tags: ['v*'] }, defaultRef: MAIN,
  hook: { state: 'refused', reason: '403', isSigned: null }, registeredAt: time(0), lastHintAt: time(0), lastWholeHintAt: time(0), lastObservedAt: null, state: 'active', removedAt: null, revision: 0, look: null, beganAt: '' as Position, ...more,
});
const version = (position: number, ref: RefName, named: string | null, codebaseId = APP): ReadModel['versions'][number] => ({
  codebaseId, ref, state: named === null ? 'deleted' : 'stored', commit: named === null ? null : commit(named), commitTime: named === null ? null : time(position), tree: named === null ? null : commit(named),
  objectFormat: named === null ? null : 'sha1', sync: uuid(100 + position) as SyncId, storedAt: time(position), observedAt: time(position), position: at(position),
});
const sync = (n: number, more: Partial<SyncView> = {}): SyncView => ({
  id: uuid(200 + n) as SyncId, codebaseId: APP, ref: MAIN, cause: uuid(300) as FactId, correlationId: 'c', state: 'stored', reason: null, detail: null, coveredBy: null, commit: commit('a'), tree: commit('b'),
  hintReached: true, attempt: 1, begunAt: time(n), fetchedAt: time(n), scannedAt: time(n), endedAt: time(n), counts: { commits: 1, trees: 2, blobs: 3 }, bytes: 6_000_000_000, objectsAdded: 6, ...more,
});

const MODEL: Required<ReadModel> = {
  hookSecrets: new Map([[LIB, 3]]),
  position: at(50),
  sources: [{ id: uuid(9) as SourceId, name: 'later', baseUrl: 'https://b', registeredAt: time(2), revision: 3, state: 'active' }, { id: uuid(10) as SourceId, name: 'first', baseUrl: 'https://a', registeredAt: time(1), revision: 0, state: 'active' }, { id: uuid(11) as SourceId, name: 'gone', baseUrl: 'https://c', registeredAt: time(0), revision: 1, state: 'removed' }],
  codebases: [codebase(LIB, { path: 'a/lib', hook: { state: 'installed', reason: null, isSigned: true }, lastObservedAt: time(9), look: { lookedAt: time(8), position: at(7), different: [SIDE], hookTrouble: 'disabled' } }), codebase(APP),
    codebase(OLD, { state: 'archived', sourceId: uuid(10) as SourceId, defaultRef: null }), codebase(HIDDEN, { sourceId: uuid(10) as SourceId, state: 'removed', removedAt: time(3), revision: 4 }), codebase(ANEW, { state: 'deleted', beganAt: at(11) })],
  projects: [
    { id: uuid(41) as ProjectId, name: 'Both', state: 'active', createdAt: time(1), removedAt: null, revision: 5 }, { id: uuid(40) as ProjectId, name: 'Old', state: 'archived', createdAt: time(1), removedAt: null, revision: 1 },
    { id: uuid(42) as ProjectId, name: 'Gone', state: 'removed', createdAt: time(1), removedAt: time(2), revision: 1 }],
  people: [{ project: uuid(41) as ProjectId, userId: uuid(71), role: 'member', since: time(3) }, { project: uuid(41) as ProjectId, userId: uuid(70), role: 'admin', since: time(2) }, { project: uuid(40) as ProjectId, userId: uuid(70), role: 'member', since: time(2) }],
  members: [[APP, true], [LIB, false], [OLD, true], [HIDDEN, true]].map(([one, isMember]) => ({ project: uuid(41) as ProjectId, codebase: one as CodebaseId, isMember: isMember as boolean, isRead: one === APP || one === LIB }))
    .concat([[LIB, true], [OLD, false], [APP, true]].map(([one, isMember]) => ({ project: uuid(400) as ProjectId, codebase: one as CodebaseId, isMember: isMember as boolean, isRead: false }))),
  // main: a, b, a again; side: c, gone, c; the other codebase has the same commit.
  versions: [version(1, MAIN, 'a'), version(2, SIDE, 'c'), version(3, MAIN, 'b'), version(4, SIDE, null), version(5, MAIN, 'a'), version(6, 'refs/heads/z' as RefName, 'b'), version(7, 'refs/heads/gone' as RefName, 'd'), version(8, 'refs/heads/gone' as RefName, null), version(9, MAIN, 'b', LIB), version(10, MAIN, 'a', ANEW), version(12, SIDE, 'b', ANEW),
    version(13, 'refs/heads/b' as RefName, 'b', OLD), version(14, 'refs/heads/a' as RefName, 'a', OLD)],
  syncs: [sync(1), sync(3, { ref: SIDE, state: 'waiting', endedAt: null, counts: null, bytes: null }), sync(2, { cause: uuid(301) as FactId }), sync(4, { codebaseId: LIB, state: 'fetched', endedAt: null, cause: null })],
  facts: [1, 2, 3, 4, 5].map((n) => ({ position: at(n), key: n % 2 === 0 ? APP : LIB, stream: `sync-${n % 3}` as StreamName, revision: n, type: n === 4 ? 'codebase.stored' : 'codebase.fetched', id: uuid(400 + n) as FactId, correlationId: `begun by ${n % 2}`, time: time(n) })),
  progress: new Map([[uuid(203) as SyncId, { syncId: uuid(203) as SyncId, codebaseId: APP, ref: SIDE, step: 'fetch', objectsDone: 1, objectsTotal: null, bytesDone: 2 }]]),
  unfolded: [APP, APP, 'other'],
  gitlabReaders: new Map([[LIB, { users: [7, 2 ** 40], beyondMembers: 'signed-in', observedAt: time(4), revision: 3 }], [OLD, { users: [7], beyondMembers: 'nobody', observedAt: time(4), revision: 0 }], [HIDDEN, { users: [], beyondMembers: 'everybody', observedAt: time(4), revision: 0 }]]),
  readersAsked: new Map([[LIB, { askedAt: time(9), trouble: null }], [OLD, { askedAt: null, trouble: '404 Project Not Found' }]]),
  openSources: [uuid(10) as SourceId],
  bindings: [{ user: uuid(73), source: uuid(9) as SourceId, gitlabUser: 7 }, { user: uuid(74), source: uuid(9) as SourceId, gitlabUser: 8 }],
  polling: new Map([[uuid(9) as SourceId, { activeBoundSeconds: 60, idleBoundSeconds: 900, requestsPerMinute: 300, wantedPerMinute: 12, readersBoundSeconds: 300, people: { active: 3, asked: 2, boundSeconds: 300 }, heldUntil: time(3), heldReason: '429' }]]),
};

/** What every read store must do, on the tables that a projector would have folded. */
export function readStoreContract(name: string, open: (model: ReadModel) => Promise<{ store: ReadStore; close(): Promise<void> }>): void {
  describe(`read store (${name})`, () => {
    let store: ReadStore;
    let close: () => Promise<void>;
    beforeAll(async () => { ({ store, close } = await open(MODEL)); });
    afterAll(async () => { await close(); });

    test('the position is that of the last fact folded', async () => { expect(await store.position()).toBe(at(50)); });

    test('sources come oldest first, without those that were removed', async () => {
      expect(await store.sources()).toEqual([MODEL.sources[1], MODEL.sources[0]].map(({ state: _state, ...source }: any) => source));
    });

    test('codebases come by id, a page at a time, whole', async () => {
      const [lib, app, old] = MODEL.codebases.map(({ beganAt: _beganAt, ...view }) => view);
      expect(await store.codebases({ after: '', limit: 10 })).toEqual([app, lib, old]);
      expect(await store.codebases({ after: '', limit: 1 })).toEqual([app]);
      expect(await store.codebases({ after: APP, limit: 1 })).toEqual([lib]);
      expect(await store.codebase(LIB)).toEqual(lib);
      expect(await store.codebase(uuid(77) as CodebaseId)).toBeUndefined();
    });

    test('codebases are filtered by state, source and project; the removed and the deleted are listed only when asked for', async () => {
      const ids = async (filter: Partial<Parameters<ReadStore['codebases']>[0]>) => (await store.codebases({ after: '', limit: 10, ...filter })).map(({ id }) => id);
      expect(await ids({ states: ['removed', 'deleted'] })).toEqual([HIDDEN, ANEW]);
      expect(await ids({ source: uuid(10) as SourceId })).toEqual([OLD]);
      expect(await ids({ project: uuid(41) as ProjectId })).toEqual([APP, OLD]);
      expect(await ids({ project: uuid(41) as ProjectId, states: ['removed'] })).toEqual([HIDDEN]);
      expect(await ids({ project: uuid(40) as ProjectId })).toEqual([]);
      expect((await store.codebase(HIDDEN))).toMatchObject({ state: 'removed', removedAt: time(3), revision: 4 });
    });

    test('to somebody is shown what their projects let them read: of codebases, syncs, facts and counts', async () => {
      const [reader, stranger] = [uuid(71), uuid(72)];
      // In the project, and read by its members: APP alone. LIB has left it, OLD is in it and not read.
      expect(await store.readable(reader, [APP, LIB, OLD, HIDDEN, uuid(77) as CodebaseId])).toEqual(new Set([APP]));
      expect(await store.readable(stranger, [APP, LIB, OLD])).toEqual(new Set());
      const shown = async (readableBy: string) => ({
        codebases: (await store.codebases({ after: '', limit: 10, readableBy })).map(({ id }) => id),
        syncs: (await store.syncs({ limit: 10, readableBy })).map(({ id }) => id),
        facts: (await store.facts({ after: '' as Position, limit: 10, readableBy })).map(({ position }) => position),
        project: (await store.project(uuid(41) as ProjectId, readableBy))?.codebases,
      });
      expect(await shown(reader)).toEqual({ codebases: [APP], syncs: [3, 2, 1].map((n) => uuid(200 + n)), facts: [at(2), at(4)], project: 1 });
      expect(await shown(stranger)).toEqual({ codebases: [], syncs: [], facts: [], project: 0 });
      expect((await store.projects({ after: '', limit: 10, person: reader })).map(({ id, codebases }) => [id, codebases])).toEqual([[uuid(41), 1]]);
    });

    test('whether every installed webhook has its source\'s secrets of a revision is told; a source without any has nothing to wait for', async () => {
      expect(await Promise.all([0, 3, 4].map((revision) => store.haveHooksSecrets(uuid(9) as SourceId, revision)))).toEqual([true, true, false]);
      expect(await store.haveHooksSecrets(uuid(10) as SourceId, 9)).toBe(true);
    });

    test('the rights of many are told in one look, each of what concerns them: what they named, and what their projects have or had', async () => {
      const asked = [
        { user: uuid(71), codebases: [LIB, uuid(77)], projects: [uuid(41), uuid(40)] },
        { user: uuid(72), codebases: [APP], projects: [uuid(41)] },
        { user: uuid(73), codebases: [LIB, APP], projects: [] },
        { user: uuid(74), codebases: [HIDDEN, LIB], projects: ['no id'] },
        { user: uuid(79), codebases: [APP], projects: [uuid(41)] },
      ];
      const found = await store.rightsOf(asked);
      const of = (user: string) => [[...found.get(user)?.codebases ?? []].sort(), [...found.get(user)?.projects ?? []].sort()];
      expect(asked.map(({ user }) => of(user))).toEqual([[[APP], [uuid(41)]], [[], []], [[LIB], []], [[HIDDEN], []], [[], []]]);
      expect(await store.rightsOf([])).toEqual(new Map());
    });

    test('who is bound to a GitLab user reads what its project lets them read: of that GitLab, and of no other where the number is the same', async () => {
      expect(await store.readable(uuid(73), [APP, LIB, OLD])).toEqual(new Set([LIB]));
      expect(await store.readable(uuid(74), [APP, LIB, OLD])).toEqual(new Set());
      expect((await store.codebases({ after: '', limit: 10, readableBy: uuid(73) })).map(({ id }) => id)).toEqual([LIB]);
      expect(await store.gitlabUsers(uuid(9) as SourceId, [7, 9])).toEqual(new Map([[7, uuid(73)]]));
      expect(await store.gitlabUsers(uuid(8) as SourceId, [7])).toEqual(new Map());
      expect([await store.gitlabReaders(LIB), await store.gitlabReaders(APP)]).toEqual([{ ...MODEL.gitlabReaders.get(LIB), isOpen: false }, undefined]);
      expect([await store.readBy(uuid(9) as SourceId, 7), await store.readBy(uuid(9) as SourceId, 2 ** 40), await store.readBy(uuid(9) as SourceId, 8)]).toEqual([(await store.codebases({ after: '', limit: 10, source: uuid(9) as SourceId, states: ['active', 'archived', 'removed', 'deleted'] })).map(({ id }) => id).filter((id) => MODEL.gitlabReaders.get(id)?.users.includes(7)), [LIB], []]);
      // Public, of a source whose open projects are opened to whoever is signed in; internal, of one whose are not.
      expect([(await store.gitlabReaders(HIDDEN))?.isOpen, await store.readable(uuid(74), [HIDDEN, LIB, OLD]), await store.readable(uuid(75), [HIDDEN])]).toEqual([true, new Set([HIDDEN]), new Set()]);
      expect([await store.readersAsked(LIB), await store.readersAsked(OLD), await store.readersAsked(APP)]).toEqual([{ askedAt: time(9), trouble: null }, { askedAt: null, trouble: '404 Project Not Found' }, undefined]);
      expect([await store.projectReaders(APP), await store.projectReaders(LIB)]).toEqual([[uuid(70), uuid(71)].map((userId) => ({ userId, project: uuid(41), projectName: 'Both' })), []]);
    });

    test('what was in a project keeps its row, and so it is told in which it was ever, and who', async () => {
      expect([await store.projectsEver({ codebase: LIB }), await store.projectsEver({ user: uuid(70) }), await store.projectsEver({ user: uuid(77) })]).toEqual([[uuid(41), uuid(400)], [uuid(40), uuid(41)], []]);
    });

    test('the position by a time is of the last fact that is not later; before all of them, the beginning', async () => {
      expect([await store.positionBy(time(3)), await store.positionBy(time(9)), await store.positionBy('2020-01-01T00:00:00.000Z')]).toEqual([at(3), at(5), '']);
    });

    test('projects come by id, with how many codebases they have that are not removed', async () => {
      const [both, old, gone] = MODEL.projects.map((project, n) => ({ ...project, codebases: n === 0 ? 2 : 0 }));
      expect(await store.projects({ after: '', limit: 10 })).toEqual([old, both]);
      expect(await store.projects({ after: '', limit: 10, states: ['removed'] })).toEqual([gone]);
      expect(await store.projects({ after: uuid(40), limit: 1 })).toEqual([both]);
      expect([await store.project(uuid(41) as ProjectId), await store.project(uuid(42) as ProjectId), await store.project(uuid(77) as ProjectId)]).toEqual([both, gone, undefined]);
    });

    test('what a codebase had before it began anew is not there', async () => {
      expect((await store.refs(ANEW)).map(({ ref }) => ref)).toEqual([SIDE]);
      expect((await store.versions(ANEW, { limit: 10 })).map(({ ref }) => ref)).toEqual([SIDE]);
      expect(await store.versionAt(ANEW, MAIN, { commit: commit('a') })).toBeUndefined();
    });

    test('refs are where each points now, without those that are gone', async () => {
      expect((await store.refs(APP)).map(({ ref, commit: id }) => [ref, id])).toEqual([[MAIN, commit('a')], ['refs/heads/z', commit('b')]]);
      expect((await store.refs(APP))[0]).toEqual(withoutCodebase(MODEL.versions[4]!));
    });

    test('one look says where a ref points now: the first of the names that is stored, or the default branch', async () => {
      const of = async (names?: readonly string[], id = APP) => { const found = await store.standing(id, names as RefName[] | undefined); return [found?.version?.ref, found?.version?.position, found?.isUnderWay]; };
      const [, app] = MODEL.codebases.map(({ beganAt: _beganAt, ...view }) => view);
      expect(await store.standing(APP, undefined)).toEqual({ codebase: app, version: withoutCodebase(MODEL.versions[4]!), isUnderWay: false });
      expect(await of(['refs/heads/z', MAIN])).toEqual(['refs/heads/z', at(6), false]);
      expect(await of(['refs/heads/none', MAIN])).toEqual([MAIN, at(5), false]);
      // SIDE is gone and under way again: there is nothing to read.
      expect(await of([SIDE])).toEqual([undefined, undefined, false]);
      expect(await of([])).toEqual([undefined, undefined, false]);
      expect(await store.standing(uuid(77) as CodebaseId, undefined)).toBeUndefined();
    });

    test('a ref whose sync has not ended is under way; of an earlier life nothing is there; without a default branch it is the first by name', async () => {
      expect(await store.standing(LIB, undefined)).toMatchObject({ codebase: { look: { hookTrouble: 'disabled' } }, version: { ref: MAIN }, isUnderWay: true });
      expect(await store.standing(ANEW, [MAIN])).toMatchObject({ version: undefined });
      expect(await store.standing(ANEW, undefined)).toMatchObject({ version: undefined });
      expect(await store.standing(OLD, undefined)).toMatchObject({ codebase: { state: 'archived', defaultRef: null }, version: { ref: 'refs/heads/a' } });
    });

    test('refs under way are those of syncs that have not ended', async () => {
      expect(await store.refsUnderWay(APP)).toEqual(new Set([SIDE]));
      expect(await store.refsUnderWay(uuid(77) as CodebaseId)).toEqual(new Set());
    });

    test('the last sync of a ref is the one that ended last, in whatever way; of one that never ended there is none', async () => {
      expect(await store.lastEnded(APP, [MAIN, SIDE, 'refs/heads/none' as RefName])).toEqual(new Map([[MAIN, { id: uuid(202), begunAt: time(2) }]]));
      expect(await store.lastEnded(APP, [])).toEqual(new Map());
    });

    test('how close the looks at a source are is known once the scheduler has said it', async () => {
      expect(await store.polling(uuid(9) as SourceId)).toEqual(MODEL.polling?.get(uuid(9) as SourceId));
      expect(await store.polling(uuid(10) as SourceId)).toBeUndefined();
    });

    test('versions come newest first, deletions too, of one ref or all, from before a position on', async () => {
      const positions = async (options: Parameters<ReadStore['versions']>[1]) => (await store.versions(APP, options)).map((one) => Number(one.position));
      expect(await positions({ limit: 100 })).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
      expect(await positions({ refs: [SIDE], limit: 100 })).toEqual([4, 2]);
      expect(await positions({ refs: [MAIN], before: at(5), limit: 1 })).toEqual([3]);
      expect((await store.versions(APP, { refs: [SIDE], limit: 1 }))[0]).toEqual(withoutCodebase(MODEL.versions[3]!));
    });

    test.each<[string, RefName, Parameters<ReadStore['versionAt']>[2], number | undefined]>([
      ['before its first version', MAIN, { position: at(0) }, undefined],
      ['at the position of a version', MAIN, { position: at(3) }, 3],
      ['between two positions', MAIN, { position: at(4) }, 3],
      ['at a position after all', MAIN, { position: at(99) }, 5],
      ['at a time between', MAIN, { time: time(4) }, 3],
      ['at the very time', MAIN, { time: time(5) }, 5],
      ['while it was gone', SIDE, { position: at(5) }, 4],
      ['before it was gone', SIDE, { time: time(3) }, 2],
      ['at a commit that it had twice', MAIN, { commit: commit('a') }, 5],
      ['at a commit that another ref has too', MAIN, { commit: commit('b') }, 3],
      ['at a commit that only another ref had', MAIN, { commit: commit('c') }, 2],
      ['at a commit of a ref that is gone', 'refs/heads/gone' as RefName, { commit: commit('d') }, 7],
      ['at a commit that no ref had', MAIN, { commit: commit('e') }, undefined],
      ['of a name that nothing has', 'refs/heads/none' as RefName, { position: at(99) }, undefined],
    ])('the version of a ref %s', async (_when, ref, moment, expected) => {
      expect((await store.versionAt(APP, ref, moment))?.position).toBe(expected === undefined ? undefined : at(expected));
    });

    test('a sync is found by its id, whole, big numbers as numbers', async () => {
      expect(await store.sync(uuid(201) as SyncId)).toEqual(MODEL.syncs[0]);
      expect(await store.sync(uuid(77) as SyncId)).toBeUndefined();
    });

    test('syncs come newest first, by cause, by codebase, by both, a page at a time', async () => {
      const ids = async (filter: Parameters<ReadStore['syncs']>[0]) => (await store.syncs(filter)).map((one) => Number(one.id.slice(-3)) - 200);
      expect(await ids({ codebase: APP, limit: 10 })).toEqual([3, 2, 1]);
      expect(await ids({ cause: uuid(300) as FactId, limit: 10 })).toEqual([3, 1]);
      expect(await ids({ cause: uuid(301) as FactId, codebase: APP, limit: 10 })).toEqual([2]);
      expect(await ids({ cause: uuid(301) as FactId, codebase: LIB, limit: 10 })).toEqual([]);
      expect(await ids({ codebase: APP, limit: 2 })).toEqual([3, 2]);
    });

    test('facts are named in log order, after a position, by key, stream and type', async () => {
      const found = async (filter: Partial<Parameters<ReadStore['facts']>[0]>) => (await store.facts({ after: '' as Position, limit: 10, ...filter })).map((one) => Number(one.position));
      expect(await store.facts({ after: '' as Position, limit: 10 })).toEqual(MODEL.facts.map(({ position, key, stream, revision, type }) => ({ position, key, stream, revision, type })));
      expect(await found({ after: at(2), limit: 2 })).toEqual([3, 4]);
      expect(await found({ key: APP })).toEqual([2, 4]);
      expect(await found({ stream: 'sync-1' })).toEqual([1, 4]);
      expect(await found({ type: 'codebase.stored', key: APP, stream: 'sync-1' })).toEqual([4]);
      expect(await found({ type: 'codebase.stored', key: LIB })).toEqual([]);
      expect(await found({ type: ['codebase.stored', 'sync.failed'] })).toEqual([4]);
      expect(await found({ type: ['codebase.stored', 'codebase.fetched'], until: { position: at(3) } })).toEqual([1, 2, 3]);
      expect(await found({ until: { time: time(3) }, after: at(1) })).toEqual([2]);
    });

    test('facts are named newest first too, and by their ids and by what began them', async () => {
      const types = ['codebase.fetched', 'codebase.stored'];
      const newest = async (filter: object) => (await store.newestFacts({ types, limit: 10, ...filter })).map((one) => Number(one.position));
      expect(await newest({})).toEqual([5, 4, 3, 2, 1]);
      expect(await newest({ types: ['codebase.fetched'], limit: 2 })).toEqual([5, 3]);
      expect(await newest({ key: APP, before: at(4) })).toEqual([2]);
      expect(await newest({ streamPrefix: 'sync-1' })).toEqual([4, 1]);
      expect(await newest({ streamPrefix: 'sync_1' })).toEqual([]);
      expect(await newest({ since: time(2), until: time(4) })).toEqual([3, 2]);
      expect(await store.marks({ ids: [uuid(404), uuid(401), uuid(77)] })).toEqual([MODEL.facts[0], MODEL.facts[3]]);
      expect((await store.marks({ correlations: ['begun by 1'], types: ['codebase.fetched'] })).map(({ position }) => Number(position))).toEqual([1, 3, 5]);
    });

    test('versions are filtered by patterns of refs and by how their commit begins', async () => {
      const found = async (filter: object) => (await store.versions(APP, { limit: 100, ...filter })).map((one) => Number(one.position));
      expect(await found({ refs: ['refs/heads/*'], commit: 'ddddddd' })).toEqual([7]);
      expect(await found({ refs: ['*/z', SIDE] })).toEqual([6, 4, 2]);
      expect(await found({ refs: ['refs_heads_main', 'refs/heads/mai%', 'refs/heads/mai'] })).toEqual([]);
      expect(await found({ commit: 'c' })).toEqual([2]);
    });

    test('syncs are filtered by ref, state and time, and go on behind one of them', async () => {
      const ids = async (filter: object) => (await store.syncs({ limit: 10, ...filter })).map((one) => Number(one.id.slice(-3)) - 200);
      expect(await ids({})).toEqual([4, 3, 2, 1]);
      expect(await ids({ refs: [SIDE] })).toEqual([3]);
      expect(await ids({ refs: ['refs/heads/*'], states: ['waiting', 'fetched'] })).toEqual([4, 3]);
      expect(await ids({ since: time(2), until: time(4) })).toEqual([3, 2]);
      expect(await ids({ after: { begunAt: time(3), id: uuid(203) } })).toEqual([2, 1]);
      expect(await ids({ after: { begunAt: time(3), id: uuid(202) } })).toEqual([3, 2, 1]);
      expect((await store.syncsById([uuid(201), uuid(203), uuid(77)] as SyncId[])).map(({ id }) => id).sort()).toEqual([uuid(201), uuid(203)]);
    });

    test('progress is what was last told, and what could not be folded is counted by key', async () => {
      expect(await store.progress(uuid(203) as SyncId)).toEqual(MODEL.progress.get(uuid(203) as SyncId));
      expect(await store.progress(uuid(201) as SyncId)).toBeUndefined();
      expect([await store.unfolded(APP), await store.unfolded(LIB)]).toEqual([2, 0]);
    });

    test('facts of several keys come in one order, each once, a page at a time', async () => {
      const found = async (keys: readonly string[], more: { after?: Position; limit?: number } = {}) => (await store.factsOf({ keys, after: '' as Position, limit: 10, ...more })).map((one) => Number(one.position));
      expect(await store.factsOf({ keys: [APP, LIB, APP], after: '' as Position, limit: 10 })).toEqual(MODEL.facts.map(({ position, key, stream, revision, type }) => ({ position, key, stream, revision, type })));
      expect(await found([APP, uuid(77)])).toEqual([2, 4]);
      expect(await found([APP, LIB], { after: at(2), limit: 2 })).toEqual([3, 4]);
      expect(await found([])).toEqual([]);
    });

    test('people are in projects, each as something; who is in none sees none', async () => {
      expect(await store.people(uuid(41) as ProjectId)).toEqual([{ userId: uuid(70), role: 'admin', since: time(2) }, { userId: uuid(71), role: 'member', since: time(3) }]);
      expect([await store.roleOf(uuid(41), uuid(70)), await store.roleOf(uuid(40), uuid(70)), await store.roleOf(uuid(40), uuid(71)), await store.roleOf(uuid(77), uuid(70))]).toEqual(['admin', 'member', undefined, undefined]);
      const idsOf = async (person: string) => (await store.projects({ after: '', limit: 10, person })).map(({ id }) => id);
      expect([await idsOf(uuid(70)), await idsOf(uuid(71)), await idsOf(uuid(72))]).toEqual([[uuid(40), uuid(41)], [uuid(41)], []]);
    });

    test('a project has who is in it, as of the position of the tables; one that nobody made has nobody', async () => {
      expect(await store.members(uuid(400))).toEqual({ codebases: [APP, LIB], position: at(50) });
      expect(await store.members(uuid(401))).toEqual({ codebases: [], position: at(50) });
      expect(await store.members(uuid(77))).toEqual({ codebases: [], position: at(50) });
    });
  });
}

const withoutCodebase = ({ codebaseId: _codebaseId, ...rest }: ReadModel['versions'][number]): VersionView => rest;
