import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { codebaseId, objectId, type CodebaseId, type GitObjectFormat, type ObjectId } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { MissingObject, OBJECT_IN_MEMORY_BYTES_MAX, type CommitObjects, type GitObject, type GitTransport, type OpenCommit, type Opened } from './git-transport.ts';
import { startSimulatedGitLab, type SimulatedGitLab, type SimulatedProject } from './simulated-gitlab.contract.ts';

/** A fresh id for a codebase nobody has a cache of. */
export const newCodebase = (): CodebaseId => codebaseId.parse(randomUUID());

export function opening(gitlab: SimulatedGitLab, project: SimulatedProject, commit: ObjectId, more: Partial<OpenCommit> = {}): OpenCommit {
  return { codebaseId: newCodebase(), access: gitlab.access, url: project.url, objectFormat: 'sha1', commit, parents: [], signal: new AbortController().signal, ...more };
}

export function objectsOf(opened: Opened): CommitObjects {
  if (opened.kind !== 'ok') throw new Error(`expected the commit, got ${opened.kind}: ${opened.detail}`);
  return opened.objects;
}

/** Reads all of them; checks that each is what its name says. */
export async function readWhole(objects: CommitObjects, ids: readonly ObjectId[], format: GitObjectFormat = 'sha1'): Promise<GitObject[]> {
  const read: GitObject[] = [];
  for await (const object of objects.read(ids)) {
    const hash = createHash(format).update(`${object.kind} ${object.bytes}\0`);
    if (Buffer.isBuffer(object.content)) hash.update(object.content);
    else for await (const piece of object.content) hash.update(piece);
    expect(hash.digest('hex')).toBe(object.id);
    read.push(object);
  }
  expect(read.map(({ id }) => id)).toEqual(ids);
  return read;
}

/** Every commit, tree and blob of a commit, level by level as the fetcher walks. */
export async function idsBelow(project: SimulatedProject, commit: ObjectId): Promise<ObjectId[]> {
  const tree = await project.worktree.git('rev-parse', `${commit}^{tree}`);
  const listed = await project.worktree.git('ls-tree', '-r', '-t', commit);
  const below = listed === '' ? [] : listed.split('\n').map((line) => line.split(/\s/)[2]);
  return [...new Set([commit, tree, ...below])].map((id) => objectId.parse(id));
}

/** What every adapter of the port GitTransport must do, against real repositories over smart HTTP; or those of a real GitLab (tests/gitlab). */
export function gitTransportContract(name: string, create: (directory: string) => GitTransport, start: () => Promise<SimulatedGitLab> = startSimulatedGitLab): void {
  describe(`GitTransport: ${name}`, () => {
    let gitlab: SimulatedGitLab;
    let demo: SimulatedProject;
    let first: ObjectId;
    let transport: GitTransport;
    let directories = 0;

    beforeAll(async () => {
      gitlab = await start();
      demo = await gitlab.project('demo');
      for (let at = 0; at < 60; at += 1) await demo.worktree.write(`dir-${at % 6}/sub/file-${at}.txt`, `content ${at}\n`.repeat(50));
      await demo.worktree.write('empty', '');
      // Equal folders, one within the other: one tree that is a sibling and a child.
      await demo.worktree.write('twin/same.txt', 'same');
      await demo.worktree.write('outer/twin/same.txt', 'same');
      first = await demo.worktree.commit('one');
      await demo.worktree.push();
    });
    afterAll(() => gitlab.stop());
    beforeEach(() => { transport = create(join(gitlab.folder, `caches-${(directories += 1)}`)); });
    afterEach(() => gitlab.admin('DELETE', '/faults'));

    const fault = (script: object) => gitlab.admin('POST', '/faults', { kind: 'http', ...script });
    const open = async (commit: ObjectId, more: Partial<OpenCommit> = {}) => objectsOf(await transport.open(opening(gitlab, demo, commit, more)));
    /** One more commit that changes one file. */
    const pushOne = async () => {
      await demo.worktree.write('dir-1/sub/file-1.txt', randomUUID());
      const commit = await demo.worktree.commit('next');
      await demo.worktree.push();
      return commit;
    };
    const fetches = async () => (await gitlab.requests('/git-upload-pack$')).length;

    test('a commit without a cache is opened cheaply, and its objects come as they are read, mixed as they may be', async () => {
      const objects = await open(first);
      expect(objects.isComplete).toBe(false);
      await readWhole(objects, await idsBelow(demo, first));
      await objects.close();
    });

    test('objects come in the order asked, twice if asked twice', async () => {
      const objects = await open(first);
      const ids = (await idsBelow(demo, first)).reverse();
      await readWhole(objects, [...ids, ...ids]);
      await objects.close();
    });

    test('all that was brought at once is read without another request', async () => {
      const objects = await open(first);
      const told: number[] = [];
      await objects.bringAll((bytes) => told.push(bytes));
      expect(objects.isComplete).toBe(true);
      expect(told.at(-1)).toBeGreaterThan(0);
      const before = await fetches();
      await readWhole(objects, await idsBelow(demo, first));
      expect(await fetches()).toBe(before);
      await objects.close();
    });

    test('nothing asked is nothing done', async () => {
      const objects = await open(first);
      const before = await fetches();
      expect(await readWhole(objects, [])).toEqual([]);
      expect(await fetches()).toBe(before);
      await objects.close();
    });

    test('with all of the last commit at hand the next costs one small request', async () => {
      const codebase = newCodebase();
      const before = await open(await pushOne(), { codebaseId: codebase });
      await before.bringAll();
      await before.close();

      const next = await pushOne();
      await gitlab.admin('DELETE', '/requests');
      const objects = await open(next, { codebaseId: codebase });
      expect(objects.isComplete).toBe(true);
      await readWhole(objects, await idsBelow(demo, next));
      await objects.close();
      const asked = await gitlab.requests('/git-upload-pack$');
      expect(asked).toHaveLength(1);
      expect(asked[0]?.bytesOut).toBeLessThan(2_500);

      const again = await open(next, { codebaseId: codebase });
      await readWhole(again, await idsBelow(demo, next));
      await again.close();
      expect(await gitlab.requests('/git-upload-pack$')).toHaveLength(1);
    });

    test('a commit after one that is at hand is asked for as such, and so is the one after it, a force push between them or not', async () => {
      const codebase = newCodebase();
      let at = await pushOne();
      const begun = await open(at, { codebaseId: codebase });
      await begun.bringAll();
      await begun.close();

      for (const isForced of [false, false, true, false]) {
        if (isForced) await demo.worktree.git('reset', '-q', '--hard', `${at}~2`);
        const parent = isForced ? await demo.worktree.git('rev-parse', 'HEAD').then((id) => objectId.parse(id)) : at;
        at = await pushOne();
        await gitlab.admin('DELETE', '/requests');
        const objects = await open(at, { codebaseId: codebase, parents: [parent] });
        expect(objects.isComplete).toBe(true);
        await readWhole(objects, await idsBelow(demo, at));
        await objects.close();
        const asked = await gitlab.requests('/git-upload-pack$');
        expect(asked).toHaveLength(1);
        expect(asked[0]?.bytesOut).toBeLessThan(2_500);
      }
    });

    test('parents that are not the commit\'s, or not at hand, change nothing of what is read', async () => {
      const [before, unseen, next, after] = [await pushOne(), await pushOne(), await pushOne(), await pushOne()];
      for (const parents of [[unseen], [before, unseen], [before]]) {
        const codebase = newCodebase();
        const begun = await open(before, { codebaseId: codebase });
        await begun.bringAll();
        await begun.close();
        for (const commit of [next, after]) {
          const objects = await open(commit, { codebaseId: codebase, parents });
          await readWhole(objects, await idsBelow(demo, commit));
          await objects.close();
        }
      }
    });

    test('a cache with holes never speaks for what it lacks: the commits after it are whole', async () => {
      const codebase = newCodebase();
      let parents: ObjectId[] = [];
      for (let push = 0; push < 4; push += 1) {
        const commit = await pushOne();
        const objects = await open(commit, { codebaseId: codebase, parents });
        parents = [commit];
        // Only the root, as if all below were known: the cache keeps its holes.
        await readWhole(objects, (await idsBelow(demo, commit)).slice(0, 2));
        if (push === 3) await readWhole(objects, await idsBelow(demo, commit));
        await objects.close();
      }
    });

    test('after two cheap openings a push costs one request for its trees and one for its blobs', async () => {
      const codebase = newCodebase();
      const known = new Set<ObjectId>();
      for (let push = 0; push < 4; push += 1) {
        const commit = await pushOne();
        const ids = (await idsBelow(demo, commit)).filter((id) => !known.has(id));
        await gitlab.admin('DELETE', '/requests');
        const objects = await open(commit, { codebaseId: codebase });
        // Level by level, as the fetcher does.
        for (const id of ids) await readWhole(objects, [id]);
        await objects.close();
        for (const id of ids) known.add(id);
        if (push >= 2) expect(await fetches()).toBe(2);
      }
    });

    test('a force push, and a branch of no relation, are ordinary', async () => {
      const codebase = newCodebase();
      const objects = await open(await pushOne(), { codebaseId: codebase });
      await objects.bringAll();
      await objects.close();
      await demo.worktree.git('checkout', '-q', '--orphan', `other-${randomUUID()}`);
      await demo.worktree.write('only.txt', 'alone');
      const unrelated = await demo.worktree.commit('unrelated');
      await demo.worktree.push();
      const other = await open(unrelated, { codebaseId: codebase });
      await readWhole(other, await idsBelow(demo, unrelated));
      await other.close();
      await demo.worktree.git('checkout', '-q', 'main');
    });

    test('a commit that is not there is commitAbsent; an object that is not there is a MissingObject', async () => {
      const nowhere = objectId.parse('1'.repeat(40));
      expect(await transport.open(opening(gitlab, demo, nowhere))).toMatchObject({ kind: 'commitAbsent' });

      for (const isWhole of [false, true]) {
        const objects = await open(first);
        if (isWhole) await objects.bringAll();
        await expect(readWhole(objects, [first, nowhere])).rejects.toThrow(MissingObject);
        await objects.close();
      }
    });

    test('a dead token is refused with 401, one without the scope with 403; a project that is not there is absent', async () => {
      const { secret } = await gitlab.admin<{ secret: string }>('POST', '/tokens', { user: 'root', scopes: ['read_user'] });
      expect(await transport.open(opening(gitlab, demo, first, { access: { ...gitlab.access, token: 'glpat-dead' } }))).toMatchObject({ kind: 'refused', status: 401 });
      expect(await transport.open(opening(gitlab, demo, first, { access: { ...gitlab.access, token: secret } }))).toMatchObject({ kind: 'refused', status: 403 });
      expect(await transport.open(opening(gitlab, demo, first, { url: `${gitlab.url}/root/none.git` }))).toMatchObject({ kind: 'absent' });
    });

    test('a SHA-256 repository is read like any other', async () => {
      const project = await gitlab.project(`wide-ids-${randomUUID()}`, { objectFormat: 'sha256' });
      await project.worktree.write('a/b/c.txt', 'deep');
      const commit = await project.worktree.commit('one');
      await project.worktree.push();
      for (const isWhole of [false, true]) {
        const objects = objectsOf(await transport.open(opening(gitlab, project, commit, { objectFormat: 'sha256' })));
        if (isWhole) await objects.bringAll();
        await readWhole(objects, await idsBelow(project, commit), 'sha256');
        await objects.close();
      }
    });

    test('a large object comes in pieces, also when only part of it is taken', async () => {
      const project = await gitlab.project(`large-${randomUUID()}`);
      await project.worktree.write('large.bin', randomBytes(OBJECT_IN_MEMORY_BYTES_MAX + 1));
      await project.worktree.write('edge.bin', randomBytes(OBJECT_IN_MEMORY_BYTES_MAX));
      const commit = await project.worktree.commit('one');
      await project.worktree.push();
      const objects = objectsOf(await transport.open(opening(gitlab, project, commit)));
      const ids = await idsBelow(project, commit);
      const whole = await readWhole(objects, ids);
      expect(whole.filter(({ content }) => !Buffer.isBuffer(content)).map(({ bytes }) => bytes)).toEqual([OBJECT_IN_MEMORY_BYTES_MAX + 1]);

      const before = await fetches();
      const seen: ObjectId[] = [];
      for await (const object of objects.read([...ids, ...ids])) {
        seen.push(object.id);
        if (!Buffer.isBuffer(object.content)) for await (const piece of object.content) { expect(piece.length).toBeGreaterThan(0); break; }
      }
      expect(seen).toEqual([...ids, ...ids]);
      // Nor was anything asked again: the second half is read where the first ended.
      expect(await fetches()).toBe(before);
      await objects.close();
    });

    test('two openings of one codebase wait for each other; a wait can be told to stop', async () => {
      const codebase = newCodebase();
      const held = await open(first, { codebaseId: codebase });
      const stopping = new AbortController();
      const stopped = transport.open(opening(gitlab, demo, first, { codebaseId: codebase, signal: stopping.signal }));
      let isOpen = false;
      const second = open(first, { codebaseId: codebase }).then((objects) => { isOpen = true; return objects; });
      stopping.abort(new Error('told to stop'));
      await expect(stopped).rejects.toThrow('told to stop');

      const elsewhere = await open(first);
      await elsewhere.close();
      expect(isOpen).toBe(false);
      await held.close();
      await (await second).close();
    });

    test('what is read after closing is a mistake; closing twice is not', async () => {
      const objects = await open(first);
      await objects.close();
      await objects.close();
      expect(() => objects.read([first])).toThrow(/closed/);
    });

    test.each([
      ['answers 502', { path: 'upload-pack', status: 502 }],
      ['answers 429', { path: 'upload-pack', status: 429, retryAfterSeconds: 7 }],
      ['is under load', { path: 'git-upload-pack$', gitError: 'GitLab is currently unable to handle this request due to load.' }],
      ['shows a sign-in page', { path: 'info/refs', html: true }],
      ['cuts the pack', { path: 'git-upload-pack$', cutAfterBytes: 100 }],
    ])('a GitLab that %s is Unavailable, and well again afterwards', async (_, script) => {
      const codebase = newCodebase();
      const before = await open(first, { codebaseId: codebase });
      await before.bringAll();
      await before.close();
      const next = await pushOne();
      await fault(script);
      await expect(transport.open(opening(gitlab, demo, next, { codebaseId: codebase }))).rejects.toThrow(Unavailable);

      await gitlab.admin('DELETE', '/faults');
      const objects = await open(next, { codebaseId: codebase });
      // The fault was not the cache's: it is still there.
      expect(objects.isComplete).toBe(true);
      await readWhole(objects, await idsBelow(demo, next));
      await objects.close();
    });
  });
}
