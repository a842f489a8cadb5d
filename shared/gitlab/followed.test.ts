import fc from 'fast-check';
import type { RefName } from '#schemas/brand.ts';
import { isFollowed, matches } from './followed.ts';

test.each<[string, string, boolean]>([
  ['main', 'main', true],
  ['main', 'main2', false],
  ['main', 'Main', false],
  ['*', '', true],
  ['*', 'a/b/c', true],
  ['release/*', 'release/1.2', true],
  ['release/*', 'release', false],
  ['*-stable', '12-stable', true],
  ['*-stable', 'stable', false],
  ['a*a', 'a', false],
  ['a*a', 'aa', true],
  ['a*b*c', 'a-b-b-c', true],
  ['a*b*c', 'acb', false],
  ['**', 'x', true],
  ['v1.0', 'v1x0', false],
  ['', '', true],
  ['', 'x', false],
])('%j and the name %j: %s', (pattern, name, expected) => {
  expect(matches(pattern, name)).toBe(expected);
});

test('a pattern says of every name what the regular expression would', () => {
  const word = (letters: string) => fc.array(fc.constantFrom(...letters), { maxLength: 10 }).map((all) => all.join(''));
  fc.assert(fc.property(word('ab/*'), word('ab/'), (pattern, name) => {
    expect(matches(pattern, name)).toBe(new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(name));
  }), { numRuns: 2_000 });
});

test('a pattern with many stars does not take for ever', () => {
  expect(matches('*a'.repeat(120), 'b'.repeat(1_000))).toBe(false);
  expect(matches(`${'*a'.repeat(40)}*`, `${'a'.repeat(39)}${'b'.repeat(1_000)}`)).toBe(false);
});

test('branches are followed by the patterns for branches, tags by those for tags, nothing else ever', () => {
  const followed = { branches: ['main', 'release/*'], tags: ['v*'] };
  const names = ['refs/heads/main', 'refs/heads/release/1', 'refs/heads/v1', 'refs/tags/v1', 'refs/tags/main', 'refs/merge-requests/1/head', 'refs/keep-around/main', 'refs/headsmain'];
  expect(names.filter((name) => isFollowed(name as RefName, followed))).toEqual(['refs/heads/main', 'refs/heads/release/1', 'refs/tags/v1']);
  expect(isFollowed('refs/keep-around/x' as RefName, { branches: ['*'], tags: ['*'] })).toBe(false);
});
