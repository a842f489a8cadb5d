import fc from 'fast-check';
import type { Fact } from '#schemas/events/facts.ts';
import type { RefHint } from '#schemas/events/push-received.ts';
import type { RefName } from '#schemas/brand.ts';
import { expectedOf, hintsOf, newerOf, refsNamed } from './hints.ts';

const MAIN = 'refs/heads/main' as RefName;
const id = (letter: string, digits = 40) => letter.repeat(digits);
const [A, B, C, ZEROS] = [id('a'), id('b'), id('c'), id('0')];
const hint = (before: string | null, after: string | null): RefHint => ({ ref: MAIN, before, after });

describe('what several hints of one ref expect together', () => {
  test.each<[string, RefHint[], string | null]>([
    ['nothing, when there are none', [], null],
    ['what the only one names', [hint(A, B)], B],
    ['the end of a chain', [hint(A, B), hint(B, C)], C],
    ['the end of a chain, also in the wrong order', [hint(B, C), hint(A, B)], C],
    ['there and back again: what the newest names', [hint(A, B), hint(B, A)], A],
    ['two chains: what the newest names', [hint(A, B), hint(C, id('d'))], id('d')],
    ['a deletion', [hint(A, ZEROS)], 'deleted'],
    ['a deletion at the end of a chain', [hint(A, B), hint(B, ZEROS)], 'deleted'],
    ['a branch that was deleted and made again', [hint(A, ZEROS), hint(ZEROS, B)], B],
    ['a deletion, SHA-256', [hint(id('a', 64), id('0', 64))], 'deleted'],
    ['a chain, SHA-256', [hint(id('b', 64), id('c', 64)), hint(id('a', 64), id('b', 64))], id('c', 64)],
    ['nothing, when the newest names nothing and the others are two', [hint(A, B), hint(A, C), hint(null, null)], null],
    ['the one end that is named, although the newest names none', [hint(A, B), hint(null, null)], B],
    ['the same hint twice', [hint(A, B), hint(A, B)], B],
  ])('%s', (_what, hints, expected) => {
    expect(expectedOf(hints)).toBe(expected);
  });

  test('of a chain without returns it is its last commit, in whatever order the hints came, and however often', () => {
    const chain = fc.uniqueArray(fc.stringMatching(/^[1-9a-f]{40}$/), { minLength: 2, maxLength: 8 })
      .chain((commits) => {
        const hints = commits.slice(1).map((after, index) => hint(commits[index] ?? null, after));
        return fc.record({
          last: fc.constant(commits.at(-1)),
          hints: fc.tuple(fc.shuffledSubarray(hints, { minLength: hints.length }), fc.subarray(hints)).map(([all, again]) => [...all, ...again]),
        });
      });
    fc.assert(fc.property(chain, ({ last, hints }) => { expect(expectedOf(hints)).toBe(last); }));
  });
});

const push = (...refs: string[]) => ({ id: refs.join(), type: 'push.received', data: { refs: refs.map((ref) => ({ ref, before: A, after: B })) } }) as unknown as Fact;
const request = (ref: string | null) => ({ id: String(ref), type: 'sync.requested', data: { ref } }) as unknown as Fact;
const failure = { id: 'f', type: 'sync.failed', data: { ref: MAIN } } as unknown as Fact;
const registration = { id: 'r', type: 'codebase.registered', data: {} } as unknown as Fact;

test('a cause names the refs of its push, of its request, of its failure; or stands for every followed one', () => {
  expect(refsNamed(push(MAIN, 'refs/heads/x', MAIN))).toEqual([MAIN, 'refs/heads/x']);
  expect(refsNamed(request(MAIN))).toEqual([MAIN]);
  expect(refsNamed(failure)).toEqual([MAIN]);
  for (const cause of [push(), request(null), registration]) expect(refsNamed(cause)).toBeUndefined();
});

test('a push says of a ref what it says, a request for that ref says nothing of it, others do not name it', () => {
  expect(hintsOf(push(MAIN, 'refs/heads/x'), MAIN)).toEqual([hint(A, B)]);
  expect(hintsOf(request(MAIN), MAIN)).toEqual([]);
  for (const cause of [push('refs/heads/x'), push(), request(null), request('refs/heads/x'), failure, registration]) expect(hintsOf(cause, MAIN)).toBeUndefined();
});

test('the newest waiting cause that names the ref takes it over; a failure never does', () => {
  const [first, second] = [push(MAIN), push(MAIN, 'refs/heads/x')];
  expect(newerOf([first, second, push('refs/heads/x'), failure], MAIN)).toBe(second);
  expect(newerOf([failure, registration, request(null)], MAIN)).toBeUndefined();
});
