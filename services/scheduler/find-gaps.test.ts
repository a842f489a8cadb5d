import type { CodebaseId, ObjectId, RefName, SyncId } from '#schemas/brand.ts';
import { gapKeyOf } from '#schemas/ids.ts';
import type { VersionView } from '#shared/read-store/read-store.ts';
import { differencesOf, judge, type Sight } from './find-gaps.ts';

const CODEBASE = '00000000-0000-4000-8000-000000000001' as CodebaseId;
const [MAIN, SIDE, TAG] = ['refs/heads/main', 'refs/heads/side', 'refs/tags/v1'] as RefName[] as [RefName, RefName, RefName];
const [A, B] = ['a'.repeat(40), 'b'.repeat(40)] as ObjectId[] as [ObjectId, ObjectId];
const [S1, S2] = ['s1', 's2'] as SyncId[] as [SyncId, SyncId];
const stored = (ref: RefName, commit: ObjectId | null) => ({ ref, state: 'stored', commit }) as VersionView;
const all = { branches: ['*'], tags: [] };
const difference = { ref: MAIN, found: B, known: A };
const at = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, n)).toISOString();

test.each<[string, Parameters<typeof differencesOf>[0], object[]]>([
  ['nothing when all is where it was', { listed: [{ ref: MAIN, commit: A }], stored: [stored(MAIN, A)], followed: all }, []],
  ['a ref that moved', { listed: [{ ref: MAIN, commit: B }], stored: [stored(MAIN, A)], followed: all }, [difference]],
  ['a new one and one that is gone', { listed: [{ ref: SIDE, commit: B }], stored: [stored(MAIN, A)], followed: all }, [{ ref: SIDE, found: B, known: null }, { ref: MAIN, found: null, known: A }]],
  ['not the ref that stands for an empty repository', { listed: [], stored: [stored(MAIN, null)], followed: all }, []],
  ['the first branch of what was empty', { listed: [{ ref: MAIN, commit: A }], stored: [stored(MAIN, null)], followed: all }, [{ ref: MAIN, found: A, known: null }]],
  ['nothing that is not followed, of theirs or of ours', { listed: [{ ref: SIDE, commit: A }, { ref: TAG, commit: A }], stored: [stored('refs/heads/old' as RefName, A), stored(MAIN, A)], followed: { branches: ['side'], tags: [] } }, [{ ref: SIDE, found: A, known: null }]],
  ['a followed tag', { listed: [{ ref: TAG, commit: A }], stored: [], followed: { branches: [], tags: ['v*'] } }, [{ ref: TAG, found: A, known: null }]],
])('differences are %s', (_what, given, expected) => { expect(differencesOf(given)).toEqual(expected); });

const sight = (more: Partial<Sight> = {}): Sight => ({
  codebase: CODEBASE, differences: [difference], refsUnderWay: new Set(), lastEnded: new Map([[MAIN, { id: S1, begunAt: at(5) }]]), wholeHintAt: null, suspects: new Map([[MAIN, S1]]), ...more,
});

test.each<[string, Partial<Sight>, 'gap' | 'suspect' | 'neither']>([
  ['seen twice, with nothing between', {}, 'gap'],
  ['seen for the first time', { suspects: new Map() }, 'suspect'],
  ['of another ref before', { suspects: new Map([[SIDE, S1]]) }, 'suspect'],
  ['with a sync that ended between', { lastEnded: new Map([[MAIN, { id: S2, begunAt: at(6) }]]) }, 'suspect'],
  ['with a sync or a hint of it under way', { refsUnderWay: new Set([MAIN]) }, 'neither'],
  ['with a sync of another ref under way', { refsUnderWay: new Set([SIDE]) }, 'gap'],
  ['while a newer cause for every ref may not have come to it', { wholeHintAt: at(6) }, 'neither'],
  ['when that cause has come to it', { wholeHintAt: at(5) }, 'gap'],
  ['never synced, with such a cause under way', { wholeHintAt: at(1), lastEnded: new Map(), suspects: new Map([[MAIN, null]]) }, 'neither'],
  ['never synced, seen twice', { lastEnded: new Map(), suspects: new Map([[MAIN, null]]) }, 'gap'],
  ['never synced, seen once', { lastEnded: new Map(), suspects: new Map() }, 'suspect'],
])('a difference %s is a gap, a suspicion, or neither', (_what, more, expected) => {
  const { gaps, suspects } = judge(sight(more));
  expect([gaps.length, suspects.size]).toEqual({ gap: [1, 0], suspect: [0, 1], neither: [0, 0] }[expected]);
});

test('the key of a gap is the same however often it is seen; another head, another ref or a sync that ended between makes another', () => {
  const keys = [
    gapKeyOf(CODEBASE, MAIN, { lastEnded: S1, found: B }), gapKeyOf(CODEBASE, MAIN, { lastEnded: S2, found: B }), gapKeyOf(CODEBASE, MAIN, { lastEnded: S1, found: A }),
    gapKeyOf(CODEBASE, SIDE, { lastEnded: S1, found: B }), gapKeyOf(CODEBASE, MAIN, { lastEnded: null, found: B }), gapKeyOf(CODEBASE, MAIN, { lastEnded: S1, found: null }),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  expect(gapKeyOf(CODEBASE, MAIN, { lastEnded: S1, found: B })).toBe(keys[0]);
});
