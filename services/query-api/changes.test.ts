import type { ObjectId } from '#schemas/brand.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import { makeRepository, type Repository } from '#tests/harness/repository.ts';
import { changesCounted, changesPage, RENAMES_CHANGES_MAX, statusOf, withRenames, type Change } from './changes.ts';
import { diffTree, randomHistory, seeded, storedObjects } from './stored-repository.fixture.ts';

const COMMITS = 1_100;
const below = seeded(11);
let repository: Repository;
let reader: ObjectReader;
let trees: ObjectId[];

beforeAll(async () => {
  repository = await makeRepository();
  randomHistory(repository, { commits: COMMITS, below });
  trees = repository.git('log', '--format=%T', 'random').split('\n') as ObjectId[];
  reader = await storedObjects(repository);
});

const shown = ({ path, from, to }: Change) => `${from?.mode ?? '000000'} ${to?.mode ?? '000000'} ${from?.id ?? '0'.repeat(40)} ${to?.id ?? '0'.repeat(40)} ${path.toString('hex')}`;

async function allPages(from: ObjectId, to: ObjectId, { limit, isLookingForRenames = false }: { limit: number; isLookingForRenames?: boolean }): Promise<Change[]> {
  const changes: Change[] = [];
  for (let after: Buffer | undefined; ;) {
    const page = await changesPage(reader, { from, to, after, limit, isLookingForRenames });
    expect(page.changes.length).toBeLessThanOrEqual(limit);
    changes.push(...page.changes);
    if (page.next === undefined) return changes;
    after = page.next;
  }
}

test('without renames, the pages of any two of more than 1,000 commits are what git diff-tree says', async () => {
  expect(trees).toHaveLength(COMMITS);
  let compared = 0;
  for (let pair = 0; pair < 150; pair += 1) {
    const [from, to] = [trees[below(COMMITS)]!, trees[below(COMMITS)]!];
    const expected = diffTree(repository, from, to);
    expect((await allPages(from, to, { limit: 1 + below(30) })).map(shown)).toEqual(expected);
    compared += expected.length;
  }
  expect(compared).toBeGreaterThan(3_000);
});

test('with renames nothing is lost: taken apart again they are what git diff-tree says, whatever the pages', async () => {
  let renamed = 0;
  for (let pair = 0; pair < 60; pair += 1) {
    const [from, to] = [trees[below(COMMITS)]!, trees[below(COMMITS)]!];
    const changes = await allPages(from, to, { limit: 1 + below(20), isLookingForRenames: true });
    const apart = changes.flatMap((change): Change[] => (change.renamedFrom === undefined ? [change] : [
      { path: change.renamedFrom, from: change.from, to: undefined }, { path: change.path, from: undefined, to: change.to }]));
    expect(apart.map(shown).sort()).toEqual(diffTree(repository, from, to).sort());
    for (const { renamedFrom, from: one, to: other } of changes) if (renamedFrom !== undefined) { expect(one?.id).toBe(other?.id); renamed += 1; }
    // What is left over has no counterpart.
    const left = (side: 'from' | 'to') => changes.filter((change) => change.renamedFrom === undefined && change[side === 'from' ? 'to' : 'from'] === undefined && change[side]?.mode !== '160000').map((change) => `${change[side]?.mode === '120000'} ${change[side]?.id}`);
    const added = new Set(left('to'));
    expect(left('from').filter((one) => added.has(one))).toEqual([]);
    const { counts } = await changesCounted(reader, { from, to, isLookingForRenames: true });
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(changes.length);
    expect(counts.renamed).toBe(changes.filter((change) => statusOf(change) === 'renamed').length);
  }
  expect(renamed).toBeGreaterThan(100);
});

const leaf = (id: string, mode: '100644' | '100755' | '120000' | '160000' = '100644') => ({ mode, id: id.repeat(40) as ObjectId });
const gone = (path: string, from: ReturnType<typeof leaf>) => ({ path: Buffer.from(path), from, to: undefined });
const come = (path: string, to: ReturnType<typeof leaf>) => ({ path: Buffer.from(path), from: undefined, to });

test('equal contents are paired in order; a link is no file, a submodule is never renamed', () => {
  const pairs = withRenames([gone('a', leaf('1')), gone('b', leaf('1')), come('x', leaf('1', '100755')), come('y', leaf('1')), come('z', leaf('1')), gone('l', leaf('2', '120000')), come('m', leaf('2')), gone('s', leaf('3', '160000')), come('t', leaf('3', '160000'))])
    .map((change) => [change.renamedFrom?.toString(), change.path.toString(), statusOf(change)]);
  expect(pairs).toEqual([['a', 'x', 'renamed'], ['b', 'y', 'renamed'], [undefined, 'z', 'added'], [undefined, 'l', 'removed'], [undefined, 'm', 'added'], [undefined, 's', 'removed'], [undefined, 't', 'added']]);
});

test('where too much changed, no renames are looked for, and it says so', async () => {
  const files = Array.from({ length: RENAMES_CHANGES_MAX / 2 + 1 }, (_, n) => ({ path: `a/${n}`, content: `${n}` }));
  const before = repository.commit('many', files, { parent: null });
  const after = repository.commit('many', files.map(({ path, content }) => ({ path: path.replace('a/', 'b/'), content })), { parent: null });
  const fewer = repository.commit('many', files.slice(2).map(({ path, content }) => ({ path: path.replace('a/', 'b/'), content })), { parent: null });
  const own = await storedObjects(repository);
  const [from, to, less] = [before, after, fewer].map((commit) => repository.git('rev-parse', `${commit}^{tree}`) as ObjectId);
  const asked = { from, limit: 5, after: undefined, isLookingForRenames: true };
  expect(await changesPage(own, { ...asked, to })).toMatchObject({ areRenamesFound: false, counts: undefined });
  expect(await changesPage(own, { ...asked, to: less })).toMatchObject({ areRenamesFound: true, counts: { renamed: files.length - 2, removed: 2 } });
  expect(await changesCounted(own, { from, to, isLookingForRenames: true })).toMatchObject({ areRenamesFound: false, counts: { added: files.length, removed: files.length } });
});

test('a cursor that names no change is refused, not begun anew', async () => {
  await expect(changesPage(reader, { from: trees[0], to: trees[500], after: Buffer.from('nowhere'), limit: 1, isLookingForRenames: true })).rejects.toMatchObject({ status: 400, code: 'cursor-malformed' });
});
