import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ObjectId, PackId } from '#schemas/brand.ts';
import { createMemoryBlobStore } from '#shared/blobs/memory-blob-store.ts';
import { emptyTree, gitId } from '#shared/objects/git-objects.ts';
import { createMemoryObjectIndex } from '#shared/objects/memory-object-index.ts';
import type { ObjectKind, ObjectPlace } from '#shared/objects/object-index.ts';
import { createObjectReader } from '#shared/objects/object-reader.ts';
import { putPack } from '#shared/objects/pack-store.ts';
import { createPackWriter } from '#shared/objects/pack-writer.ts';
import { verifyPacks } from './verify-packs.ts';

interface Made { readonly id: ObjectId; readonly kind: ObjectKind; readonly content: Buffer }

const made = (kind: ObjectKind, content: Buffer | string): Made => ({ id: gitId(kind, Buffer.from(content), 'sha1'), kind, content: Buffer.from(content) });
const tree = (...entries: readonly [mode: string, name: string, id: ObjectId][]) =>
  made('tree', Buffer.concat(entries.map(([mode, name, id]) => Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(id, 'hex')]))));
const commitOf = (root: ObjectId) => made('commit', `tree ${root}\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nm\n`);

/** Packs what is given, whatever it is, and has it judged. `known` are objects of an earlier sync. */
async function judge(objects: readonly Made[], { root, commit, known = [] }: { root: Made; commit: Made | null; known?: readonly Made[] }) {
  const blobs = createMemoryBlobStore();
  const index = createMemoryObjectIndex();
  const pack = async (list: readonly Made[]): Promise<PackId[]> => {
    const writer = createPackWriter({ directory: await mkdtemp(path.join(tmpdir(), 'tekai-verify-')) });
    for (const one of list) await writer.add({ ...one, bytes: one.content.length });
    const finished = await writer.finish();
    for (const one of finished) await putPack(blobs, one);
    await writer.abandon();
    return finished.map((one) => one.pack);
  };
  const options = (packs: readonly PackId[]) => ({
    commit: commit?.id ?? null, tree: root.id, format: 'sha1' as const, packs, blobs, index, reader: createObjectReader({ index, blobs }),
    signal: new AbortController().signal, onProgress: () => undefined,
  });
  const before = await verifyPacks({ ...options(await pack(known)), commit: null, tree: emptyTree('sha1') });
  if (before.kind === 'good') await index.record(before.places as ObjectPlace[], new Map());
  return verifyPacks(options(await pack(objects)));
}

const blob = made('blob', 'content\n');
const root = tree(['100644', 'a', blob.id]);

test('objects that are what their ids say, and name nothing that is not there, are good', async () => {
  expect(await judge([commitOf(root.id), root, blob], { root, commit: commitOf(root.id) })).toMatchObject({ kind: 'good', places: [{}, {}, {}] });
});

test('bytes of another object under an id are found, in a pack that is whole', async () => {
  const lie: Made = { ...blob, content: Buffer.from('contend\n') };
  expect(await judge([commitOf(root.id), root, lie], { root, commit: commitOf(root.id) })).toMatchObject({ kind: 'wrong', reason: 'object-damaged' });
});

test('a child that is nowhere is found, and one in the index is enough', async () => {
  expect(await judge([commitOf(root.id), root], { root, commit: commitOf(root.id) })).toMatchObject({ kind: 'wrong', reason: 'object-missing' });
  expect(await judge([commitOf(root.id), root], { root, commit: commitOf(root.id), known: [blob] })).toMatchObject({ kind: 'good' });
});

test('a submodule is no child, and the empty tree is always there', async () => {
  const withModule = tree(['040000', 'empty', emptyTree('sha1')], ['160000', 'module', '1'.repeat(40) as ObjectId]);
  expect(await judge([commitOf(withModule.id), withModule], { root: withModule, commit: commitOf(withModule.id) })).toMatchObject({ kind: 'good' });
});

test('a blob named as a folder is found, here and in the index', async () => {
  const wrong = tree(['40000', 'a', blob.id]);
  expect(await judge([commitOf(wrong.id), wrong, blob], { root: wrong, commit: commitOf(wrong.id) })).toMatchObject({ kind: 'wrong', reason: 'object-missing' });
  expect(await judge([commitOf(wrong.id), wrong], { root: wrong, commit: commitOf(wrong.id), known: [blob] })).toMatchObject({ kind: 'wrong', reason: 'object-missing' });
});

test('a commit that names another tree is found, packed now or known before', async () => {
  const other = commitOf(emptyTree('sha1'));
  expect(await judge([other, root, blob], { root, commit: other })).toMatchObject({ kind: 'wrong', reason: 'object-damaged' });
  expect(await judge([root, blob], { root, commit: other, known: [other] })).toMatchObject({ kind: 'wrong', reason: 'object-damaged' });
});

test('bytes that are no tree are found', async () => {
  const malformed = made('tree', 'not a tree');
  expect(await judge([commitOf(malformed.id), malformed], { root: malformed, commit: commitOf(malformed.id) })).toMatchObject({ kind: 'wrong', reason: 'tree-malformed' });
});
