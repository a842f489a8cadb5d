import { buffer } from 'node:stream/consumers';
import type { ObjectId } from '#schemas/brand.ts';
import { createMemoryBlobStore } from '#shared/blobs/memory-blob-store.ts';
import { emptyTree } from '#shared/objects/git-objects.ts';
import { createMemoryObjectIndex } from '#shared/objects/memory-object-index.ts';
import { createObjectReader } from '#shared/objects/object-reader.ts';
import { packBlobName } from '#shared/objects/pack-store.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { blobOf, commitOf, packed, treeOf, type Made } from '#tests/harness/git-objects.ts';
import { verifyPacks, type VerifyOptions } from './verify-packs.ts';

let blobs = createMemoryBlobStore();
let index = createMemoryObjectIndex();
beforeEach(() => {
  blobs = createMemoryBlobStore();
  index = createMemoryObjectIndex();
});

const FILE = blobOf('file\n');
const BIG = blobOf(Buffer.alloc(2_000_000, 'big'));
const INNER = treeOf([['100644', 'f', FILE.id]]);
const ROOT = treeOf([['40000', 'dir', INNER.id], ['100644', 'g', FILE.id], ['100644', 'huge', BIG.id], ['160000', 'sub', '1'.repeat(40)]]);
const COMMIT = commitOf(ROOT.id);
const ALL = [COMMIT, ROOT, INNER, FILE, BIG];

async function verified(objects: readonly Made[], more: Partial<VerifyOptions> = {}) {
  const { packs } = await packed(blobs, objects);
  return verifyPacks({
    commit: COMMIT.id, tree: ROOT.id, format: 'sha1', packs: packs.map(({ pack }) => pack), blobs, index, reader: createObjectReader({ index, blobs }),
    signal: AbortSignal.timeout(30_000), onProgress: () => {}, ...more,
  });
}

const known = async (objects: readonly Made[]) => void (await index.record((await packed(blobs, objects)).places, new Map()));

test('a whole version is good, and every object of it gets its place', async () => {
  const found = await verified(ALL);
  expect(found.kind).toBe('good');
  expect(found.kind === 'good' && found.places.map(({ id }) => id).sort()).toEqual(ALL.map(({ id }) => id).sort());
});

test('it is good over several packs, and in a SHA-256 repository', async () => {
  const [one, two] = [await packed(blobs, [COMMIT, ROOT, INNER]), await packed(blobs, [FILE, BIG])];
  expect((await verified([], { packs: [...one.packs, ...two.packs].map(({ pack }) => pack) })).kind).toBe('good');
  const file = blobOf('x', 'sha256');
  const root = treeOf([['100644', 'f', file.id]], 'sha256');
  const commit = commitOf(root.id, 'c', 'sha256');
  expect((await verified([commit, root, file], { commit: commit.id, tree: root.id, format: 'sha256' })).kind).toBe('good');
});

test('what the index knows need not come again', async () => {
  await known([INNER, FILE, BIG]);
  expect((await verified([COMMIT, ROOT])).kind).toBe('good');
  await known([ROOT, COMMIT]);
  expect(await verified([])).toEqual({ kind: 'good', places: [] });
  const other = commitOf(ROOT.id, 'the same tree again');
  expect((await verified([other], { commit: other.id })).kind).toBe('good');
});

test('an empty repository is good: no commit, no pack, the empty tree', async () => {
  expect(await verified([], { commit: null, tree: emptyTree('sha1') })).toEqual({ kind: 'good', places: [] });
});

test('a commit of the empty tree, and an empty folder, are good though nobody has the empty tree', async () => {
  const commit = commitOf(emptyTree('sha1'));
  expect((await verified([commit], { commit: commit.id, tree: emptyTree('sha1') })).kind).toBe('good');
  const root = treeOf([['40000', 'nothing', emptyTree('sha1')]]);
  const above = commitOf(root.id);
  expect((await verified([above, root], { commit: above.id, tree: root.id })).kind).toBe('good');
});

const lie = (object: Made, id: ObjectId): Made => ({ ...object, id });

test.each<[string, readonly Made[], Partial<VerifyOptions>, string]>([
  ['a blob whose bytes are of another', [COMMIT, ROOT, INNER, lie(blobOf('fil3\n'), FILE.id), BIG], {}, 'object-damaged'],
  ['a big blob whose bytes are of another', [COMMIT, ROOT, INNER, FILE, lie(blobOf(Buffer.alloc(2_000_000, 'bad')), BIG.id)], {}, 'object-damaged'],
  ['a tree whose bytes are of another', [COMMIT, ROOT, lie(treeOf([['100644', 'e', FILE.id]]), INNER.id), FILE, BIG], {}, 'object-damaged'],
  ['a commit whose bytes are of another', [lie(commitOf(ROOT.id, 'forged'), COMMIT.id), ROOT, INNER, FILE, BIG], {}, 'object-damaged'],
  ['a missing blob', [COMMIT, ROOT, INNER, BIG], {}, 'object-missing'],
  ['a missing tree', [COMMIT, ROOT, FILE, BIG], {}, 'object-missing'],
  ['a missing root', [COMMIT, INNER, FILE, BIG], {}, 'object-missing'],
  ['a missing commit', [ROOT, INNER, FILE, BIG], {}, 'object-missing'],
  ['nothing at all', [], {}, 'object-missing'],
  ['a commit that names another tree', [...ALL, commitOf(INNER.id)], { commit: commitOf(INNER.id).id }, 'object-damaged'],
  ['a commit that names no tree', [lie({ ...COMMIT, content: Buffer.from('nothing'), bytes: 7 }, '0'.repeat(40) as ObjectId), ROOT, INNER, FILE, BIG], { commit: '0'.repeat(40) as ObjectId }, 'object-damaged'],
  ['a tree that is of the other format', [COMMIT, ROOT, INNER, FILE, BIG], { format: 'sha256' }, 'object-damaged'],
])('%s is wrong', async (_what, objects, more, reason) => {
  expect(await verified(objects, more)).toMatchObject({ kind: 'wrong', reason });
});

const wrongKinds: [string, Made, readonly Made[]][] = [
  ['a blob where a tree says folder', treeOf([['40000', 'd', FILE.id]]), [FILE]],
  ['a tree where a tree says file', treeOf([['100644', 'f', INNER.id]]), [INNER, FILE]],
  ['a commit where a tree says file', treeOf([['100644', 'f', COMMIT.id]]), ALL],
];

test.each(wrongKinds)('%s is wrong, in the packs or in the index', async (_what, root, below) => {
  const commit = commitOf(root.id);
  const asked = { commit: commit.id, tree: root.id };
  expect(await verified([...new Set([commit, root, ...below])], asked)).toMatchObject({ kind: 'wrong', reason: 'object-missing' });
  await known(below);
  expect(await verified([commit, root], asked)).toMatchObject({ kind: 'wrong', reason: 'object-missing' });
});

test('an id that one entry calls a file and another a folder is wrong, whichever comes last', async () => {
  for (const [file, folder] of [['a', 'b'], ['b', 'a']] as const) {
    for (const below of [FILE, emptyish()]) {
      const root = treeOf([['100644', file, below.id], ['40000', folder, below.id]]);
      const commit = commitOf(root.id);
      await known([below]);
      expect(await verified([commit, root], { commit: commit.id, tree: root.id })).toMatchObject({ kind: 'wrong', reason: 'object-missing' });
    }
  }
});

const emptyish = () => treeOf([]);

test('the empty tree is no file', async () => {
  const root = treeOf([['100644', 'f', emptyTree('sha1')]]);
  const commit = commitOf(root.id);
  expect(await verified([commit, root], { commit: commit.id, tree: root.id })).toMatchObject({ kind: 'wrong', reason: 'object-missing' });
});

test.each<[string, Made]>([
  ['a name with a slash', { ...treeOf([['100644', 'a/b', FILE.id]]) }],
  ['two entries of one name', { ...treeOf([['100644', 'a', FILE.id], ['100644', 'a', FILE.id]]) }],
  ['an entry ".."', treeOf([['100644', '..', FILE.id]])],
])('a tree with %s is malformed, also where its id is right', async (_what, root) => {
  const commit = commitOf(root.id);
  expect(await verified([commit, root, FILE], { commit: commit.id, tree: root.id })).toMatchObject({ kind: 'wrong', reason: 'tree-malformed' });
});

test('a commit that was stored before and lies damaged now is wrong, not a crash', async () => {
  await known(ALL);
  const place = (await index.places([COMMIT.id])).get(COMMIT.id)!;
  const bytes = await buffer((await blobs.get(packBlobName(place.pack)))!);
  bytes[place.blockOffset + 5]! ^= 0xff;
  await blobs.put(packBlobName(place.pack), bytes, { bytes: bytes.length });
  expect(await verified([])).toMatchObject({ kind: 'wrong', reason: 'object-damaged' });
});

test('a blob under the id of the commit is no commit', async () => {
  const impostor = blobOf(`tree ${ROOT.id}\n\n`);
  await known([impostor, ...ALL]);
  expect(await verified([], { commit: impostor.id })).toMatchObject({ kind: 'wrong', reason: 'object-missing' });
});

test('wherever a byte of a pack flips, the version is good with the right bytes, or wrong', async () => {
  const { packs: [one], places } = await packed(blobs, [COMMIT, ROOT, INNER, FILE, BIG]);
  const whole = await buffer((await blobs.get(packBlobName(one!.pack)))!);
  const step = Math.max(1, Math.floor(whole.length / 150));
  for (let at = 0; at < whole.length; at += step) {
    const flipped = Buffer.from(whole);
    flipped[at]! ^= 0x04;
    await blobs.put(packBlobName(one!.pack), flipped, { bytes: flipped.length });
    // The hash of the pack is over every byte.
    const found = await verified([], { packs: [one!.pack] }).catch((error: unknown) => error);
    expect([at, (found as { kind?: string }).kind]).toEqual([at, 'wrong']);
  }
  await blobs.put(packBlobName(one!.pack), whole, { bytes: whole.length });
  expect(await verified([], { packs: [one!.pack] })).toEqual({ kind: 'good', places });
});

test('a pack that is not there, or is cut short, is waited for', async () => {
  const { packs: [one] } = await packed(blobs, ALL);
  const whole = await buffer((await blobs.get(packBlobName(one!.pack)))!);
  await blobs.delete(packBlobName(one!.pack));
  await expect(verified([], { packs: [one!.pack] })).rejects.toThrow(Unavailable);
  const stopping = { size: blobs.size, get: async () => { const { Readable } = await import('node:stream'); return Readable.from([whole.subarray(0, 10)]); } };
  await blobs.put(packBlobName(one!.pack), whole, { bytes: whole.length });
  await expect(verified([], { packs: [one!.pack], blobs: stopping })).rejects.toThrow(Unavailable);
});
