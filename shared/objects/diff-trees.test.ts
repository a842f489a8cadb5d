import type { ObjectId } from '#schemas/brand.ts';
import { makeRepository, type Repository } from '#tests/harness/repository.ts';
import { diffTrees, type TreeChange } from './diff-trees.ts';
import type { ObjectReader } from './object-reader.ts';

let repository: Repository;
let reads: string[] = [];
beforeAll(async () => { repository = await makeRepository(); });
beforeEach(() => { reads = []; });

/** A process of git each: every tree is asked for once. */
const trees = new Map<string, Buffer>();

/** Trees straight from git. */
const reader: Pick<ObjectReader, 'stream'> = {
  async stream(id) {
    reads.push(id);
    const bytes = trees.get(id) ?? repository.gitBytes(['cat-file', 'tree', id]);
    trees.set(id, bytes);
    return { id, kind: 'tree', bytes: bytes.length, content: (async function* () { yield bytes; })() };
  },
};

const treeOf = (commit: string) => repository.git('rev-parse', `${commit}^{tree}`) as ObjectId;

async function diff(from: string | undefined, to: string | undefined, after?: Buffer): Promise<TreeChange[]> {
  const changes: TreeChange[] = [];
  for await (const change of diffTrees(reader, { from: from as ObjectId | undefined, to: to as ObjectId | undefined, after })) changes.push(change);
  return changes;
}

const shown = ({ path, from, to }: TreeChange) => `${from?.mode ?? '000000'} ${to?.mode ?? '000000'} ${from?.id ?? '0'.repeat(40)} ${to?.id ?? '0'.repeat(40)} ${path.toString('hex')}`;

/** As git has it. A change of sort (file to link) is one change in both. */
function byGit(from: string, to: string): string[] {
  const fields = repository.gitBytes(['diff-tree', '-r', '--no-renames', '-z', from, to]).toString('latin1').split('\0');
  const changes: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [before, after, one, other] = fields[at]!.slice(1).split(' ');
    changes.push(`${before} ${after} ${one} ${other} ${Buffer.from(fields[at + 1]!, 'latin1').toString('hex')}`);
  }
  return changes;
}

let seed = 7;
const below = (count: number) => { seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff; return Math.floor((seed / 0x80000000) * count); };

/** Few names, so that files become folders and folders files; with names that only bytes can say. */
const NAMES = ['a', 'a.b', 'a-b', 'a0', 'b', Buffer.from([0x61, 0xff]), 'ü', 'z z'];
const MODES = ['100644', '100755', '120000'];

function randomPath(): Buffer {
  const names = Array.from({ length: 1 + below(4) }, () => Buffer.from(NAMES[below(NAMES.length)]!));
  return Buffer.concat(names.flatMap((name, index) => (index === 0 ? [name] : [Buffer.from('/'), name])));
}

function randomCommit(parent: string | null): string {
  const entries = Array.from({ length: 1 + below(25) }, () => (below(4) === 0
    ? { path: randomPath() }
    : { path: randomPath(), mode: MODES[below(MODES.length)]!, content: String(below(6)) }));
  return repository.commit('random', entries, { parent });
}

test('it finds what git diff-tree finds, in its order, and goes on behind any change of it', async () => {
  const trees: string[] = [];
  for (let parent: string | null = null; trees.length < 40;) {
    const commit = randomCommit(below(5) === 0 ? null : parent);
    trees.push(treeOf(commit));
    parent = commit;
  }
  let compared = 0;
  for (let pair = 0; pair < 60; pair += 1) {
    const [from, to] = [trees[below(trees.length)]!, trees[below(trees.length)]!];
    const changes = await diff(from, to);
    expect(changes.map(shown)).toEqual(byGit(from, to));
    compared += changes.length;
    if (changes.length === 0) continue;
    const told = below(changes.length);
    expect((await diff(from, to, changes[told]!.path)).map(shown)).toEqual(changes.slice(told + 1).map(shown));
  }
  expect(compared).toBeGreaterThan(500);
});

test('without a side, everything is added, or removed; the empty tree is no side either', async () => {
  const tree = treeOf(repository.commit('whole', [{ path: 'd/x', content: '1' }, { path: 'y', content: '2' }], { parent: null }));
  expect((await diff(undefined, tree)).map(({ path, from, to }) => [path.toString(), from, to?.mode])).toEqual([['d/x', undefined, '100644'], ['y', undefined, '100644']]);
  expect((await diff(tree, '4b825dc642cb6eb9a060e54bf8d69288fbee4904')).map(({ path, to }) => [path.toString(), to])).toEqual([['d/x', undefined], ['y', undefined]]);
  expect(await diff(tree, tree)).toEqual([]);
});

test('what is the same on both sides, or lies before the place to go on from, is not read', async () => {
  const files = Array.from({ length: 30 }, (_, n) => ({ path: `d${String(n).padStart(2, '0')}/deep/f`, content: `${n}` }));
  const before = treeOf(repository.commit('cost', files, { parent: null }));
  const after = treeOf(repository.commit('cost', [{ path: 'd07/deep/f', content: 'new' }, { path: 'd20/deep/f', content: 'new' }]));
  expect(await diff(before, after)).toHaveLength(2);
  expect(reads).toHaveLength(2 * (1 + 2 + 2));
  reads = [];
  expect(await diff(before, after, Buffer.from('d07/deep/f'))).toHaveLength(1);
  // The folder of the place itself is looked into, for what may lie behind it there.
  expect(reads).toHaveLength(2 * (1 + 2 + 2));
  reads = [];
  expect(await diff(before, after, Buffer.from('d08/deep/f'))).toHaveLength(1);
  expect(reads).toHaveLength(2 * (1 + 2));
});
