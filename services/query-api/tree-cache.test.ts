import type { ObjectId } from '#schemas/brand.ts';
import { parseTree } from '#shared/objects/git-tree.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import { treeOf, type Made } from '#tests/harness/git-objects.ts';
import { createTreeCache, entryNamed } from './tree-cache.ts';

function readerOf(trees: readonly Made[]): { reader: Pick<ObjectReader, 'stream'>; reads: ObjectId[] } {
  const reads: ObjectId[] = [];
  return { reads, reader: { async stream(id) {
    reads.push(id);
    const tree = trees.find((one) => one.id === id);
    return tree && { ...tree, content: (async function* () { yield tree.content; })() };
  } } };
}

const trees = ['a', 'b', 'c'].map((name) => treeOf([['100644', name, '1'.repeat(40)], ['100644', `${name}2`, '1'.repeat(40)]]));
const [a, b, c] = trees.map(({ id }) => id) as [ObjectId, ObjectId, ObjectId];

test('a tree is read once, also when many ask at once; the one not asked for longest goes first', async () => {
  const { reader, reads } = readerOf(trees);
  const cache = createTreeCache(reader, { entriesMax: 6 });
  const [one, other] = await Promise.all([cache.entries(a), cache.entries(a)]);
  expect([one, reads]).toEqual([other, [a]]);
  await cache.entries(b);
  await cache.entries(a);
  await cache.entries(c);
  await cache.entries(a);
  expect(reads).toEqual([a, b, c]);
  await cache.entries(b);
  expect(reads).toEqual([a, b, c, b]);
});

test('a tree larger than all room is given and not kept; a failure is not kept either', async () => {
  const { reader, reads } = readerOf(trees);
  const cache = createTreeCache(reader, { entriesMax: 1 });
  expect(await cache.entries(a)).toHaveLength(2);
  await cache.entries(a);
  expect(reads).toEqual([a, a]);
  const missing = 'f'.repeat(40) as ObjectId;
  await expect(cache.entries(missing)).rejects.toThrow();
  await expect(cache.entries(missing)).rejects.toThrow();
  expect(reads).toHaveLength(4);
});

test('an entry is found by its name whatever its sort, where folders stand elsewhere than files', () => {
  const names = ['a', 'a-', 'a.', 'a/', 'a0', 'ab', 'b/', 'b0', '\u00ff', 'z/'];
  const tree = treeOf(names.map((name) => [name.endsWith('/') && name !== 'a/' ? '40000' : '100644', name.replace('/', name === 'a/' ? '_' : ''), '1'.repeat(40)]));
  const entries = parseTree(tree.content, 'sha1');
  for (const entry of entries) expect(entryNamed(entries, Buffer.from(entry.name))).toBe(entry);
  for (const name of ['', 'c', 'a\u0000', 'b/', 'zz']) expect(entryNamed(entries, Buffer.from(name))).toBeUndefined();
});
