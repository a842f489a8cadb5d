import type { ObjectId, RefName, SyncId } from '#schemas/brand.ts';
import type { GitLabProject } from '#shared/gitlab/gitlab.ts';
import { decideHead, type DecideHead } from './decide-head.ts';
import type { Head } from './heads.ts';

const [A, B, C] = ['a', 'b', 'c'].map((letter) => letter.repeat(40)) as [ObjectId, ObjectId, ObjectId];
const SYNC = 'the sync before' as SyncId;

const knownAt = (commit: ObjectId | null): Head => ({ ref: 'refs/heads/main' as RefName, commit, isDeleted: false, sync: SYNC });
const deleted: Head = { ...knownAt(null), isDeleted: true };

interface Case { shown?: ObjectId; known?: Head; expected?: DecideHead['expected']; befores?: string[]; isExpectedKnown?: boolean; isEmpty?: boolean; sinceFirstMs?: number }

function decide({ shown, known, expected = null, befores = [], isExpectedKnown, isEmpty = false, sinceFirstMs = 0 }: Case) {
  return decideHead({ observed: { at: new Date(0), project: { isEmpty } as GitLabProject, commit: shown, parents: [], isExpectedKnown }, known, expected, befores, sinceFirstMs });
}

describe('a head that is new to us is brought at once', () => {
  test.each<[string, Case, boolean | null]>([
    ['never seen', { shown: A }, null],
    ['another than before', { shown: B, known: knownAt(A) }, null],
    ['what the hint named', { shown: B, known: knownAt(A), expected: B }, true],
    ['the hint was passed by', { shown: C, known: knownAt(A), expected: B, isExpectedKnown: true }, true],
    ['GitLab does not know the hint yet', { shown: B, known: knownAt(A), expected: C, isExpectedKnown: false }, false],
    ['GitLab was not asked for the hint', { shown: B, known: knownAt(A), expected: C }, false],
    ['deleted before, at the same commit', { shown: A, known: { ...deleted, commit: A } }, null],
    ['the repository was empty', { shown: A, known: knownAt(null) }, null],
    ['the hint said deleted, and it is there again', { shown: B, known: knownAt(A), expected: 'deleted' }, true],
    ['still where the hint says it was', { shown: A, expected: B, befores: [A], isExpectedKnown: true }, false],
  ])('%s', (_what, one, hintReached) => {
    expect(decide(one)).toEqual({ kind: 'bring', commit: one.shown, hintReached });
  });
});

describe('a head that we have', () => {
  test.each<[string, Case, boolean | null]>([
    ['no hint', { shown: A, known: knownAt(A) }, null],
    ['what the hint named', { shown: A, known: knownAt(A), expected: A }, true],
    ['the hint was passed by', { shown: A, known: knownAt(A), expected: B, isExpectedKnown: true }, true],
    ['the hint said deleted, and it is there', { shown: A, known: knownAt(A), expected: 'deleted' }, true],
    ['a minute is over', { shown: A, known: knownAt(A), expected: B, isExpectedKnown: false, sinceFirstMs: 60_000 }, false],
  ])('is skipped: %s', (_what, one, hintReached) => {
    expect(decide(one)).toEqual({ kind: 'skip', reason: 'up-to-date', coveredBy: SYNC, commit: A, hintReached });
  });

  test.each<[string, Case]>([
    ['GitLab does not know what the hint named', { shown: A, known: knownAt(A), expected: B, isExpectedKnown: false }],
    ['GitLab knows it from another branch, and shows the ref where the hint says it was', { shown: A, known: knownAt(A), expected: B, befores: [A], isExpectedKnown: true }],
    ['nothing was there, and nothing is there yet', { expected: B, isExpectedKnown: false }],
    ['an empty repository that a hint speaks of', { isEmpty: true, expected: B, isExpectedKnown: false }],
    ['gone, where the hint names a commit', { known: knownAt(A), expected: B, isExpectedKnown: false }],
  ])('is waited for: %s', (_what, one) => {
    expect(decide(one)).toEqual({ kind: 'wait', afterMs: 500, expected: B });
  });
});

test('the wait grows with what was waited, from half a second to ten, and ends after a minute', () => {
  const lagging: Case = { shown: A, known: knownAt(A), expected: B, isExpectedKnown: false };
  const waits = [0, 499, 2_000, 9_999, 30_000, 59_999].map((sinceFirstMs) => decide({ ...lagging, sinceFirstMs }));
  expect(waits.map((decision) => decision.kind === 'wait' && decision.afterMs)).toEqual([500, 500, 2_000, 9_999, 10_000, 10_000]);
  expect(decide({ ...lagging, sinceFirstMs: 60_000 }).kind).toBe('skip');
});

describe('no head', () => {
  test.each<[string, Case]>([
    ['no hint', { known: knownAt(A) }],
    ['the hint said so', { known: knownAt(A), expected: 'deleted' }],
    ['a minute after the hint of a commit', { known: knownAt(A), expected: B, isExpectedKnown: false, sinceFirstMs: 60_000 }],
    ['the hint\'s commit is known, but the ref is gone', { known: knownAt(A), expected: B, isExpectedKnown: true }],
    ['the whole repository is empty now', { known: knownAt(A), isEmpty: true }],
  ])('where there was one is a deletion: %s', (_what, one) => {
    expect(decide(one)).toEqual({ kind: 'deleted', lastCommit: A });
  });

  test('where an empty repository was, and something is elsewhere now, ends that state', () => {
    expect(decide({ known: knownAt(null) })).toEqual({ kind: 'deleted', lastCommit: null });
  });

  test.each<[string, Head | undefined, SyncId | null]>([['never', undefined, null], ['not any more', deleted, SYNC]])('where there was none (%s) is nothing there', (_what, known, coveredBy) => {
    expect(decide({ ...(known === undefined ? {} : { known }) })).toEqual({ kind: 'skip', reason: 'nothing-there', coveredBy, commit: null, hintReached: null });
  });

  test.each<[string, Head | undefined]>([['never seen', undefined], ['deleted before', deleted]])('in an empty repository is a state of its own: %s', (_what, known) => {
    expect(decide({ isEmpty: true, ...(known === undefined ? {} : { known }) })).toEqual({ kind: 'empty' });
  });

  test('in a repository that we know to be empty is nothing new', () => {
    expect(decide({ isEmpty: true, known: knownAt(null) })).toEqual({ kind: 'skip', reason: 'up-to-date', coveredBy: SYNC, commit: null, hintReached: null });
  });
});
