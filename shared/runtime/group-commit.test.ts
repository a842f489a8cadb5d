import fc from 'fast-check';
import { createGroupCommit } from './group-commit.ts';

/** A commit that a test lets through, one group at a time. */
function createCommits({ itemsMax = 100, bytesMax = 1_000_000 } = {}) {
  const groups: number[][] = [];
  const waiting: { resolve(): void; reject(error: Error): void }[] = [];
  const commits = createGroupCommit<number, string>({
    itemsMax, bytesMax, bytesOf: (item) => item,
    commit: (items) => new Promise((resolve, reject) => {
      groups.push([...items]);
      waiting.push({ resolve: () => resolve(items.map(String)), reject });
    }),
  });
  const next = async (settle: 'resolve' | 'reject' = 'resolve') => {
    const one = waiting.shift();
    if (settle === 'resolve') one?.resolve();
    else one?.reject(new Error('away'));
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  };
  return { commits, groups, next };
}

test('an item alone is committed at once', async () => {
  const { commits, groups, next } = createCommits();
  const added = commits.add(7);
  expect(groups).toEqual([[7]]);
  await next();
  expect(await added).toBe('7');
});

test('what comes while one commit is under way goes into the next, all together, each with its own result', async () => {
  const { commits, groups, next } = createCommits();
  const added = [1, 2, 3, 4].map((item) => commits.add(item));
  expect(groups).toEqual([[1]]);
  await next();
  expect(groups).toEqual([[1], [2, 3, 4]]);
  await next();
  expect(await Promise.all(added)).toEqual(['1', '2', '3', '4']);
});

test('no group has more items or bytes than it may, but an item that is too large goes alone', async () => {
  const { commits, groups, next } = createCommits({ itemsMax: 3, bytesMax: 10 });
  const added = [1, 1, 1, 1, 1, 9, 1, 50, 1].map((item) => commits.add(item));
  for (let round = 0; round < added.length; round += 1) await next();
  await Promise.all(added);
  expect(groups).toEqual([[1], [1, 1, 1], [1, 9], [1], [50], [1]]);
});

test('a commit that fails fails its items, not those that come after', async () => {
  const { commits, next } = createCommits();
  const [first, second, third] = [1, 2, 3].map((item) => commits.add(item).catch((error: Error) => error.message));
  await next('reject');
  await next();
  expect(await Promise.all([first, second, third])).toEqual(['away', '2', '3']);
});

test('whatever comes whenever, each item is committed once, in order, within the bounds', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.oneof(fc.nat(6), fc.constant('commit' as const)), { maxLength: 40 }), async (steps) => {
    const { commits, groups, next } = createCommits({ itemsMax: 4, bytesMax: 9 });
    const items = steps.filter((one) => one !== 'commit');
    const added: Promise<string>[] = [];
    for (const one of steps) {
      if (one === 'commit') await next();
      else added.push(commits.add(one));
    }
    for (let round = 0; round <= items.length; round += 1) await next();
    expect(await Promise.all(added)).toEqual(items.map(String));
    expect(groups.flat()).toEqual(items);
    expect(groups.filter((group) => group.length > 4 || (group.length > 1 && group.reduce((sum, item) => sum + item, 0) > 9))).toEqual([]);
  }), { numRuns: 200 });
});
