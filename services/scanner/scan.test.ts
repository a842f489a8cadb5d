import fc from 'fast-check';
import type { ObjectId } from '#schemas/brand.ts';
import { createMemoryBlobStore } from '#shared/blobs/memory-blob-store.ts';
import { emptyTree } from '#shared/objects/git-objects.ts';
import { createMemoryObjectIndex } from '#shared/objects/memory-object-index.ts';
import type { BlobFinding, Finding, TreeTotals } from '#shared/objects/object-index.ts';
import { PackDamaged } from '#shared/objects/pack-format.ts';
import { blobOf, commitOf, packed, treeOf, type Made } from '#tests/harness/git-objects.ts';
import { languageOf } from './language.ts';
import { scan } from './scan.ts';

type Node = { kind: 'file'; content: Buffer; mode: string } | { kind: 'folder'; entries: Record<string, Node> } | { kind: 'submodule' };

const blobs = createMemoryBlobStore();
let index = createMemoryObjectIndex();
beforeEach(() => { index = createMemoryObjectIndex(); });

/** The objects of a node, those below it too, folders first. */
function objectsOf(node: Node): { root: Made; trees: Made[]; files: Made[] } {
  if (node.kind === 'submodule') throw new Error('a submodule is no object');
  if (node.kind === 'file') { const root = blobOf(node.content); return { root, trees: [], files: [root] }; }
  const trees: Made[] = [];
  const files: Made[] = [];
  const entries = Object.entries(node.entries).map(([name, child]): [string, string, string] => {
    if (child.kind === 'submodule') return ['160000', name, '1'.repeat(40)];
    const below = objectsOf(child);
    trees.push(...below.trees);
    files.push(...below.files);
    return [child.kind === 'folder' ? '40000' : child.mode, name, below.root.id];
  });
  const root = treeOf(entries);
  return { root, trees: [root, ...trees], files };
}

/** What anybody would count who walks every path. */
function totalsOf(node: Node, name = ''): TreeTotals {
  if (node.kind === 'submodule') return { kind: 'tree', files: 0, bytes: 0, languages: {}, counts: {} };
  if (node.kind === 'file') {
    const language = node.mode === '120000' || node.content.subarray(0, 8_000).includes(0) ? null : languageOf(name);
    return { kind: 'tree', files: 1, bytes: node.content.length, languages: language === null ? {} : { [language]: node.content.length }, counts: language === null ? {} : { [language]: [1, linesOf(node.content)] } };
  }
  const languages: Record<string, number> = {};
  const counts: Record<string, [number, number]> = {};
  let [files, bytes] = [0, 0];
  for (const [childName, child] of Object.entries(node.entries)) {
    const below = totalsOf(child, childName);
    files += below.files;
    bytes += below.bytes;
    for (const [language, count] of Object.entries(below.languages)) languages[language] = (languages[language] ?? 0) + count;
    for (const [language, [count, lines]] of Object.entries(below.counts ?? {})) counts[language] = [(counts[language]?.[0] ?? 0) + count, (counts[language]?.[1] ?? 0) + lines];
  }
  return { kind: 'tree', files, bytes, languages, counts };
}

/** The last one counts also without its end. */
const linesOf = (text: Buffer) => (text.toString('latin1').match(/[^\n]*\n|[^\n]+$/g) ?? []).length;

async function scanned(root: ObjectId, objects: readonly Made[], options: { packBytesMax?: number } = {}): Promise<Map<ObjectId, Finding>> {
  const { packs, places } = await packed(blobs, objects, options);
  const found = await scan({ root, format: 'sha1', packs: packs.map(({ pack }) => pack), blobs, index, signal: AbortSignal.timeout(60_000), onProgress: () => {} });
  await index.record(places, found);
  return found;
}

const unique = (objects: readonly Made[]) => [...new Map(objects.map((object) => [object.id, object])).values()];

const content = fc.oneof(fc.constantFrom('', 'a', 'a\nb\n', '\0bin'), fc.string({ maxLength: 30 })).map((text) => Buffer.from(text));
const name = fc.constantFrom('a.ts', 'b.ts', 'c.py', 'Makefile', 'none', 'vendor', 'd', 'e.min.js', '__proto__', 'constructor');
const { node } = fc.letrec<{ node: Node; folder: Node }>((tie) => ({
  node: fc.oneof({ depthSize: 'small', withCrossShrink: true },
    fc.record({ kind: fc.constant('file' as const), content, mode: fc.constantFrom('100644', '100755', '120000') }),
    fc.constant({ kind: 'submodule' as const }),
    tie('folder')),
  folder: fc.array(fc.tuple(name, tie('node')), { maxLength: 5 }).map((entries): Node => ({ kind: 'folder', entries: Object.fromEntries(entries) })),
}));
const folder = node.map((one): Node => (one.kind === 'folder' ? one : { kind: 'folder', entries: { top: one } }));

test('the totals of any tree are those of walking it, and every new blob and tree has its finding', async () => {
  await fc.assert(fc.asyncProperty(folder, fc.boolean(), async (root, isCut) => {
    index = createMemoryObjectIndex();
    const objects = objectsOf(root);
    const all = unique([...objects.trees, ...objects.files]);
    const found = await scanned(objects.root.id, all, isCut ? { packBytesMax: 300 } : {});
    expect(found.get(objects.root.id)).toEqual(totalsOf(root));
    expect([...found.keys()].sort()).toEqual(all.map(({ id }) => id).sort());
    for (const { id, kind } of all) expect(found.get(id)?.kind).toBe(kind);
  }), { numRuns: 80 });
});

test('a second version scans what is new alone, and its totals count what is known as if it were walked', async () => {
  await fc.assert(fc.asyncProperty(folder, folder, async (first, second) => {
    index = createMemoryObjectIndex();
    const before = objectsOf(first);
    await scanned(before.root.id, unique([...before.trees, ...before.files]));
    const both: Node = { kind: 'folder', entries: { old: first, new: second, 'again.py': { kind: 'file', content: Buffer.from('a\nb\n'), mode: '100644' } } };
    const after = objectsOf(both);
    const known = await index.known([...after.trees, ...after.files].map(({ id }) => id));
    const fresh = unique([...after.trees, ...after.files]).filter(({ id }) => !known.has(id));
    const found = await scanned(after.root.id, fresh);
    expect(found.get(after.root.id)).toEqual(totalsOf(both));
    expect(found.size).toBe(fresh.length);
  }), { numRuns: 60 });
});

test('above a folder that was stored before lines were counted, they are not counted either', async () => {
  const [file, tree] = [blobOf('one\n'), blobOf('')];
  const inner = treeOf([['100644', 'a.ts', file.id]]);
  const { places } = await packed(blobs, [inner, file]);
  await index.record(places, new Map<ObjectId, Finding>([[inner.id, { kind: 'tree', files: 1, bytes: 4, languages: { TypeScript: 4 } }]]));
  const root = treeOf([['40000', 'in', inner.id], ['100644', 'empty.py', tree.id]]);
  expect((await scanned(root.id, [root, tree])).get(root.id)).toEqual({ kind: 'tree', files: 2, bytes: 4, languages: { TypeScript: 4, Python: 0 } });
});

test('submodules count for nothing, links count as files without a language', async () => {
  const [file, link] = [blobOf('one\n'), blobOf('../a.ts')];
  const root = treeOf([['100644', 'a.ts', file.id], ['120000', 'b.ts', link.id], ['160000', 'c.ts', '1'.repeat(40)]]);
  expect((await scanned(root.id, [root, file, link])).get(root.id)).toEqual({ kind: 'tree', files: 2, bytes: 4 + 7, languages: { TypeScript: 4 }, counts: { TypeScript: [1, 1] } });
});

test('the same bytes under two names count under each name\'s language', async () => {
  const file = blobOf('x = 1\n');
  const root = treeOf([['100644', 'a.py', file.id], ['100644', 'b.rb', file.id], ['100644', 'c', file.id]]);
  expect((await scanned(root.id, [root, file])).get(root.id)).toEqual({ kind: 'tree', files: 3, bytes: 18, languages: { Python: 6, Ruby: 6 }, counts: { Python: [1, 1], Ruby: [1, 1] } });
});

test('what a blob is called is where it is met, whole path and all', async () => {
  const [vendored, own] = [blobOf('v'), blobOf('o')];
  const inner = treeOf([['100644', 'x.go', vendored.id]]);
  const vendor = treeOf([['40000', 'vendor', inner.id]]);
  const root = treeOf([['40000', 'lib', vendor.id], ['100644', 'x.go', own.id]]);
  const found = await scanned(root.id, [root, vendor, inner, vendored, own]);
  expect((found.get(vendored.id) as BlobFinding).isVendored).toBe(true);
  expect((found.get(own.id) as BlobFinding).isVendored).toBe(false);
});

test('a folder of 6,000 new folders that hold folders is summed right', async () => {
  const files = Array.from({ length: 6_000 }, (_, n) => blobOf(`${n}`));
  const inner = files.map((file) => treeOf([['100644', 'f.ts', file.id]]));
  const outer = inner.map((tree) => treeOf([['40000', 'in', tree.id]]));
  const root = treeOf(outer.map((tree, n): [string, string, string] => ['40000', `d${n}`, tree.id]));
  const found = await scanned(root.id, [root, ...outer, ...inner, ...files]);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  expect(found.get(root.id)).toEqual({ kind: 'tree', files: 6_000, bytes, languages: { TypeScript: bytes }, counts: { TypeScript: [6_000, 6_000] } });
});

test('folders 6,000 deep are summed right', async () => {
  const file = blobOf('deep');
  let top = treeOf([['100644', 'f.ts', file.id]]);
  const trees = [top];
  for (let depth = 0; depth < 6_000; depth += 1) trees.unshift(top = treeOf([['40000', 'd', top.id]]));
  expect((await scanned(top.id, [...trees, file])).get(top.id)).toEqual({ kind: 'tree', files: 1, bytes: 4, languages: { TypeScript: 4 }, counts: { TypeScript: [1, 1] } });
});

test('trees that say they hold each other do not hold the scanner up', async () => {
  // Only a pack whose ids are lies can do this; the storage-writer refuses it.
  const [left, right] = ['a'.repeat(40) as ObjectId, 'b'.repeat(40) as ObjectId];
  const lie = (id: ObjectId, other: ObjectId): Made => ({ ...treeOf([['40000', 'in', other]]), id });
  expect((await scanned(left, [lie(left, right), lie(right, left)])).get(left)).toMatchObject({ kind: 'tree' });
});

test('an empty repository, and a commit of what is known, leave nothing to find', async () => {
  expect(await scan({ root: emptyTree('sha1'), format: 'sha1', packs: [], blobs, index, signal: AbortSignal.timeout(1_000), onProgress: () => {} })).toEqual(new Map());
  expect((await scanned('c'.repeat(40) as ObjectId, [commitOf('c'.repeat(40))])).size).toBe(0);
});

test('an empty folder inside is a folder without files', async () => {
  const empty = emptyTree('sha1');
  const root = treeOf([['40000', 'nothing', empty]]);
  expect((await scanned(root.id, [root])).get(root.id)).toEqual({ kind: 'tree', files: 0, bytes: 0, languages: {}, counts: {} });
});

test('progress counts every object and byte once', async () => {
  const file = blobOf('x'.repeat(70_000));
  const root = treeOf([['100644', 'f', file.id]]);
  const { packs } = await packed(blobs, [root, file]);
  const told: { objectsDone: number; bytesDone: number }[] = [];
  await scan({ root: root.id, format: 'sha1', packs: packs.map(({ pack }) => pack), blobs, index, signal: AbortSignal.timeout(5_000), onProgress: (progress) => told.push({ ...progress }) });
  expect(told).toEqual([{ objectsDone: 1, bytesDone: root.bytes }, { objectsDone: 2, bytesDone: root.bytes + file.bytes }]);
});

test('a SHA-256 repository is scanned alike', async () => {
  const file = blobOf('one\n', 'sha256');
  const root = treeOf([['100644', 'a.ts', file.id]], 'sha256');
  const { packs } = await packed(blobs, [root, file]);
  const found = await scan({ root: root.id, format: 'sha256', packs: packs.map(({ pack }) => pack), blobs, index, signal: AbortSignal.timeout(5_000), onProgress: () => {} });
  expect(found.get(root.id)).toEqual({ kind: 'tree', files: 1, bytes: 4, languages: { TypeScript: 4 }, counts: { TypeScript: [1, 1] } });
});

test('a pack that is not what its name says has no findings', async () => {
  const file = blobOf('x'.repeat(1_000));
  const root = treeOf([['100644', 'f', file.id]]);
  const { packs: [one] } = await packed(blobs, [root, file]);
  const other = await packed(blobs, [root]);
  const readable = await blobs.get(`packs/${other.packs[0]!.pack}`);
  await blobs.put(`packs/${one!.pack}`, readable!, { bytes: other.packs[0]!.bytes });
  await expect(scan({ root: root.id, format: 'sha1', packs: [one!.pack], blobs, index, signal: AbortSignal.timeout(5_000), onProgress: () => {} })).rejects.toThrow(PackDamaged);
});
