import fc from 'fast-check';
import type { CodebaseId, ObjectId, Position, RefName, SyncId } from '#schemas/brand.ts';
import type { ReadModel } from './memory-read-store.ts';
import type { At, Known, ReadStore, VersionView } from './read-store.ts';

type Version = ReadModel['versions'][number];

const QUESTIONS = 200;
/** Whose histories they are: registered before all of them. */
export const MOMENTS_OF = '00000000-0000-4000-8000-000000000001' as CodebaseId;
const CODEBASE = MOMENTS_OF;
const OTHER = '00000000-0000-4000-8000-000000000002' as CodebaseId;
const REFS = ['refs/heads/main', 'refs/heads/side', 'refs/tags/v1'] as RefName[];
const at = (n: number) => String(n).padStart(20, '0') as Position;
const time = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString();
const commit = (n: number) => n.toString(16).padStart(40, '0') as ObjectId;

/** Any moves of any refs: clocks that go back, commits that come again on other refs, deletions. */
const history = fc.array(fc.record({
  other: fc.nat({ max: 5 }), ref: fc.nat({ max: 2 }), commit: fc.nat({ max: 6 }), isDeleted: fc.nat({ max: 4 }), storedAt: fc.nat({ max: 30 }), observedAt: fc.nat({ max: 30 }),
}), { maxLength: 25 }).map((moves) => moves.map(({ other, ref, commit: id, isDeleted, storedAt, observedAt }, index): Version => ({
  codebaseId: other === 0 ? OTHER : CODEBASE, ref: REFS[ref]!, state: isDeleted === 0 ? 'deleted' : 'stored', commit: isDeleted === 0 ? null : commit(id), commitTime: null, tree: isDeleted === 0 ? null : commit(id),
  objectFormat: isDeleted === 0 ? null : 'sha1', sync: '00000000-0000-4000-8000-000000000009' as SyncId, storedAt: time(storedAt), observedAt: time(observedAt), position: at(index + 1),
})));

const known: fc.Arbitrary<Known> = fc.oneof(fc.nat({ max: 26 }).map((n) => ({ position: at(n) })), fc.nat({ max: 31 }).map((n) => ({ time: time(n) })));
const question: fc.Arbitrary<At> = fc.oneof(known, fc.nat({ max: 7 }).map((n) => ({ commit: commit(n) })), fc.record({ observedAt: fc.nat({ max: 31 }).map(time) }), fc.record({ observedAt: fc.nat({ max: 31 }).map(time), known }));

/** The same as in the documentation of the parameters, read from the first move to the last. */
function oracle(moves: readonly Version[], ref: RefName, moment: At): Version | undefined {
  let found: Version | undefined;
  const wasKnown = (move: Version, by: Known) => ('position' in by ? move.position <= by.position : move.storedAt <= by.time);
  for (const move of moves.filter(({ codebaseId }) => codebaseId === CODEBASE)) {
    if ('commit' in moment) {
      if (move.commit === moment.commit && (move.ref === ref || found?.ref !== ref)) found = move;
    } else if (move.ref === ref) {
      if ('observedAt' in moment) {
        const isSeen = move.observedAt <= moment.observedAt && (moment.known === undefined || wasKnown(move, moment.known));
        if (isSeen && (found === undefined || move.observedAt >= found.observedAt)) found = move;
      } else if (wasKnown(move, moment)) found = move;
    }
  }
  return found;
}

/** Point in time: what was stored then, what GitLab was seen to have then, and what we knew then of that; against a slow and simple answer. */
export function momentsContract(name: string, open: (versions: readonly Version[]) => Promise<{ store: Pick<ReadStore, 'versionAt'>; close(): Promise<void> }>): void {
  test(`moments (${name}): ${QUESTIONS} questions to any histories are answered as by reading them from the beginning`, async () => {
    await fc.assert(fc.asyncProperty(history, fc.array(fc.tuple(fc.nat({ max: 2 }), question), { minLength: 10, maxLength: 10 }), async (moves, questions) => {
      const { store, close } = await open(moves);
      try {
        for (const [ref, moment] of questions) {
          const { codebaseId: _codebaseId, ...expected } = oracle(moves, REFS[ref]!, moment) ?? {} as Partial<Version>;
          const found: Partial<VersionView> = (await store.versionAt(CODEBASE, REFS[ref]!, moment)) ?? {};
          expect(found).toEqual(expected);
        }
      } finally {
        await close();
      }
    }), { numRuns: QUESTIONS / 10 });
  });
}
