import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { BEGINNING, type CodebaseId, type GitLabProjectId, type Position, type SourceId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { codebaseIdOf } from '#schemas/ids.ts';
import type { Answer, GitLabMember } from '#shared/gitlab/gitlab.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createMemoryReadStore, type ReadModel } from '#shared/read-store/memory-read-store.ts';
import type { GitLabReadersView } from '#shared/read-store/read-store.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { differenceOfOne, whereToAsk } from './decide-own-reads.ts';
import { readsCode } from './decide-readers.ts';
import { lookAtPerson, type PersonLook } from './look-at-person.ts';

const SOURCE = randomUUID() as SourceId;
const NOW = new Date('2026-01-02T12:00:00.000Z');
const TODAY = '2026-01-02';
const PERSON = 7;
/** Somebody else, of whom a look at a person says nothing. */
const OTHER = 8;
const PROJECTS = 6;

type Refusal = 'away' | 'throttled' | 'refused' | 'hidden';
/** Its number in GitLab is one more. */
const idOf = (project: number) => codebaseIdOf(SOURCE, project + 1 as GitLabProjectId);

function answered<T>(refusal: Refusal | undefined, value: () => T): Answer<T> {
  switch (refusal) {
    case undefined: return { kind: 'ok', value: value() };
    case 'away': throw new Unavailable('gitlab', '502');
    case 'throttled': throw new Unavailable('gitlab', '429', { retryAfterMs: 60_000 });
    case 'refused': return { kind: 'refused', status: 401, detail: 'invalid_token' };
    case 'hidden': return { kind: 'absent', detail: '404 Project Not Found' };
    default: return refusal satisfies never;
  }
}

interface Kept { readonly notSo: Set<CodebaseId>; readonly unanswered: Set<CodebaseId> }
const nothingKept = (): Kept => ({ notSo: new Set(), unanswered: new Set() });

/** Every project has one. */
const OWNER: GitLabMember = { userId: 1, level: 50, isActive: true, expiresAt: null };
const ownersOnly = (): Answer<readonly GitLabMember[]> => ({ kind: 'ok', value: [OWNER] });

/** A person in a GitLab of six projects, on memory; the tables follow the log when they are told to. */
function createWorld(known: readonly (readonly number[] | undefined)[]) {
  const log = createMemoryEventLog();
  const tables = new Map<CodebaseId, GitLabReadersView>();
  const codebases = known.map((_, n): ReadModel['codebases'][number] => ({
    id: idOf(n), sourceId: SOURCE, gitlabProjectId: n + 1, path: null, followed: { branches: ['*'], tags: [] }, defaultRef: null, hook: { state: 'installed', reason: null, isSigned: true },
    registeredAt: NOW.toISOString(), lastHintAt: null, lastWholeHintAt: null, lastObservedAt: null, state: n % 2 === 0 ? 'active' : 'archived', removedAt: null, revision: 0,
  }));
  const store = createMemoryReadStore({ position: BEGINNING as Position, sources: [], codebases, versions: [], syncs: [], facts: [], progress: new Map(), unfolded: [], gitlabReaders: tables });
  const facts: Fact<'codebase.readers-observed'>[] = [];
  const inLog = new Map<CodebaseId, GitLabReadersView>();
  const read = async () => {
    for (const { id } of codebases) {
      const told = await log.readStream(`readers-${id}` as never, { limit: 1_000 }) as unknown as (Fact<'codebase.readers-observed'> & { revision: number })[];
      const users = new Set<number>();
      for (const { data } of told) {
        for (const one of data.granted) users.add(one);
        for (const one of data.revoked) users.delete(one);
      }
      const last = told.at(-1);
      if (last !== undefined) inLog.set(id, { users: [...users], beyondMembers: last.data.beyondMembers, observedAt: last.data.observedAt, isOpen: false, revision: last.revision });
    }
  };
  const follow = async () => {
    await read();
    for (const [id, one] of inLog) tables.set(id, one);
  };
  const append: typeof log.append = async (stream, expected, given) => {
    const outcome = await log.append(stream, expected, given);
    if (outcome.kind === 'appended') facts.push(...given as unknown as Fact<'codebase.readers-observed'>[]);
    return outcome;
  };
  const tell = (project: number, granted: readonly number[]) => log.append(`readers-${idOf(project)}` as never, tables.get(idOf(project))?.revision ?? 'noStream', [{
    id: randomUUID(), type: 'codebase.readers-observed', schemaVersion: 1, key: idOf(project), actor: { kind: 'scheduler', id: 'readers' }, correlationId: 'c', causationId: null, time: NOW.toISOString(),
    data: { codebaseId: idOf(project), sourceId: SOURCE, gitlabProjectId: project + 1, granted: [...granted], revoked: [], beyondMembers: 'nobody', observedAt: NOW.toISOString() },
  } as never]);
  return {
    facts, follow, read, tell,
    holds: (project: number) => inLog.get(idOf(project))?.users ?? [],
    async begin() {
      for (const [n, users] of known.entries()) if (users !== undefined) await tell(n, users);
      await follow();
      facts.length = 0;
    },
    look(given: { listed: () => Answer<readonly number[]>; member: (project: number) => Answer<GitLabMember | null>; members?: (project: number) => Answer<readonly GitLabMember[]>; doubts?: Kept }): Promise<PersonLook> {
      const { notSo, unanswered } = given.doubts ?? nothingKept();
      return lookAtPerson({ log: { append, readStream: log.readStream }, store, now: () => NOW }, {
        sourceId: SOURCE, gitlabUserId: PERSON, own: { ownProjects: async () => { const answer = given.listed(); return answer.kind === 'ok' ? { kind: 'ok', value: answer.value.map((project) => project + 1 as GitLabProjectId) } : answer; } },
        gitlab: { member: async (project) => given.member(project - 1), members: async (project) => (given.members ?? ownersOnly)(project - 1) },
        followed: codebases.map(({ id, gitlabProjectId }) => ({ id, gitlabProjectId: gitlabProjectId as GitLabProjectId })), doubts: {
          isNotSo: ({ id }) => notSo.has(id), unanswered: () => [...unanswered],
          keep: ({ id }, what) => { unanswered.delete(id); if (what === 'unanswered') unanswered.add(id); if (what === 'not so') notSo.add(id); },
        },
      });
    },
  };
}

const member = (more: Partial<GitLabMember> = {}): GitLabMember => ({ userId: PERSON, level: 20, isActive: true, expiresAt: null, ...more });

test('where a list says otherwise than what is held is asked further, what may be lost first; what is not followed is nothing to us', () => {
  const followed = [1, 2, 3, 4].map((project) => ({ id: idOf(project), gitlabProjectId: project as GitLabProjectId }));
  const found = whereToAsk({ listed: new Set([1, 2, 99] as GitLabProjectId[]), held: new Set([idOf(2), idOf(4), idOf(50)]), followed });
  expect(found.map(({ gitlabProjectId }) => gitlabProjectId)).toEqual([4, 1]);
});

test('one member is judged as all are by the sweep: level, state and last day; others are left as they are', () => {
  const before = { users: [OTHER, PERSON], beyondMembers: 'signed-in' as const };
  const of = (one: GitLabMember | null) => differenceOfOne(before, { gitlabUserId: PERSON, member: one, today: TODAY });
  const lost = { granted: [], revoked: [PERSON], beyondMembers: 'signed-in' };
  expect([of(member()), of(null), of(member({ level: 15 })), of(member({ isActive: false })), of(member({ expiresAt: TODAY }))]).toEqual([undefined, lost, lost, lost, lost]);
  expect(differenceOfOne({ ...before, users: [OTHER] }, { gitlabUserId: PERSON, member: member({ level: 30 }), today: TODAY })).toEqual({ granted: [PERSON], revoked: [], beyondMembers: 'signed-in' });
});

test('what the person\'s list and the project say alike is told at once: who came in, and who is out', async () => {
  const world = createWorld([[OTHER], [OTHER, PERSON]]);
  await world.begin();
  const look = await world.look({ listed: () => ({ kind: 'ok', value: [0] }), member: (project) => ({ kind: 'ok', value: project === 0 ? member() : null }) });
  expect(look).toMatchObject({ kind: 'seen', changed: 2, isWhole: true, requests: 5 });
  expect(world.facts.map(({ data }) => [data.gitlabProjectId, data.granted, data.revoked, data.beyondMembers])).toEqual([[2, [], [PERSON], 'nobody'], [1, [PERSON], [], 'nobody']]);
});

test('one of the two alone changes nothing (I8), and is not asked about again for a while', async () => {
  const world = createWorld([[], [PERSON]]);
  await world.begin();
  const doubts = nothingKept();
  let asked = 0;
  // GitLab's own list has a membership until its worker comes by, on its last day too; and lists nothing that is to be deleted.
  const look = () => world.look({ doubts, listed: () => ({ kind: 'ok', value: [0] }), member: (project) => { asked += 1; return { kind: 'ok', value: project === 0 ? member({ expiresAt: TODAY }) : member() }; } });
  expect([await look(), await look()]).toMatchObject([{ changed: 0, requests: 4 }, { changed: 0, requests: 2 }]);
  expect([world.facts, asked]).toEqual([[], 2]);
});

test.each<[string, () => Answer<readonly GitLabMember[]>]>([
  ['a list of nobody', () => ({ kind: 'ok', value: [] })],
  ['404', () => answered('hidden', () => [])],
  ['401', () => answered('refused', () => [])],
  ['502', () => answered('away', () => [])],
  ['a list in which they read', () => ({ kind: 'ok', value: [OWNER, member()] })],
])('that GitLab finds them not among the members is no loss to a token to which it answers %s when asked for all: it is asked again (I8)', async (_, members) => {
  const world = createWorld([[PERSON], []]);
  await world.begin();
  const doubts = nothingKept();
  const look = (all: () => Answer<readonly GitLabMember[]>) => world.look({ doubts, listed: () => ({ kind: 'ok', value: [1] }), member: (project) => ({ kind: 'ok', value: project === 1 ? member() : null }), members: all });
  // What they are given is told all the same: nobody is asked for all of them for it.
  expect(await look(members)).toMatchObject({ kind: 'seen', changed: 1, isWhole: true, requests: 5 });
  expect([world.facts.map(({ data }) => [data.granted, data.revoked]), [...doubts.unanswered]]).toEqual([[[[PERSON], []]], [idOf(0)]]);
  await world.follow();
  expect(await look(ownersOnly)).toMatchObject({ changed: 1, requests: 4 });
  await world.read();
  expect(world.holds(0)).toEqual([]);
});

test('who is put out of many projects at once costs as many requests as who is put into them: half as many are asked about a look, and of a crowd one', async () => {
  const world = createWorld(Array.from({ length: 15 }, () => [PERSON]));
  await world.begin();
  const look = (members = ownersOnly) => world.look({ listed: () => ({ kind: 'ok', value: [] }), member: () => ({ kind: 'ok', value: null }), members });
  expect(await look()).toMatchObject({ changed: 10, isWhole: false, requests: 22 });
  await world.follow();
  const crowd = Array.from({ length: 2_000 }, (_, n): GitLabMember => ({ ...OWNER, userId: n + 1_000 }));
  expect(await look(() => ({ kind: 'ok', value: crowd }))).toMatchObject({ changed: 1, isWhole: false, requests: 24 });
});

test('what another look told meanwhile is not told against: the fact is refused, and the person asked again', async () => {
  const world = createWorld([[PERSON]]);
  await world.begin();
  const look = await world.look({ listed: () => ({ kind: 'ok', value: [] }), member: () => { void world.tell(0, [OTHER]); return { kind: 'ok', value: null }; } });
  expect([look, world.facts]).toMatchObject([{ kind: 'seen', changed: 0, isWhole: false }, []]);
});

test('who is put into many projects at once is asked about by and by', async () => {
  const world = createWorld(Array.from({ length: 45 }, () => []));
  await world.begin();
  const looks: PersonLook[] = [];
  for (let round = 0; round < 3; round += 1) {
    looks.push(await world.look({ listed: () => ({ kind: 'ok', value: Array.from({ length: 45 }, (_, n) => n) }), member: () => ({ kind: 'ok', value: member() }) }));
    await world.follow();
  }
  expect(looks).toMatchObject([{ changed: 20, isWhole: false }, { changed: 20, isWhole: false }, { changed: 5, isWhole: true }]);
});

test('what the source is not shown comes again behind all else, a few at once, so that what lies behind it has its turn; what was not learnt yet is not asked and takes no place', async () => {
  const HIDDEN = Array.from({ length: 25 }, () => [PERSON]);
  const world = createWorld([...HIDDEN, ...HIDDEN.map(() => undefined), [PERSON], []]);
  await world.begin();
  const [doubts, asked] = [nothingKept(), [] as number[]];
  const look = () => world.look({ doubts, listed: () => ({ kind: 'ok', value: [...HIDDEN.map((_, n) => n + 25), 51] }), member: (project) => { asked.push(project); return answered(project < 25 ? 'hidden' : undefined, () => (project === 51 ? member() : null)); } });
  expect([await look(), await look()]).toMatchObject([{ changed: 0, isWhole: false, requests: 22 }, { changed: 2, isWhole: true, requests: 15 }]);
  await world.follow();
  expect([await look(), world.holds(50), world.holds(51)]).toMatchObject([{ changed: 0, isWhole: true, requests: 7 }, [], [PERSON]]);
  const from = (n: number, count: number) => Array.from({ length: count }, (_, at) => n + at);
  // Losses first, then gains; then the rest of what did not answer, the longest ago first.
  expect(asked).toEqual([...from(0, 20), ...from(20, 5), 50, 51, ...from(0, 5), ...from(5, 5)]);
});

test('one project that GitLab fails at keeps nothing of the others back; a pause that it asks for ends the look', async () => {
  const world = createWorld([[PERSON], [PERSON]]);
  await world.begin();
  const doubts = nothingKept();
  const look = (refused: Refusal) => world.look({ doubts, listed: () => ({ kind: 'ok', value: [] }), member: (project) => answered(project === 0 ? refused : undefined, () => null) });
  await expect(look('throttled')).rejects.toMatchObject({ retryAfterMs: 60_000 });
  expect(await look('away')).toMatchObject({ kind: 'seen', changed: 1, isWhole: true, requests: 5 });
  await world.read();
  expect([world.holds(0), world.holds(1), [...doubts.unanswered]]).toEqual([[PERSON], [], [idOf(0)]]);
});

// Truth moves between looks; looks fail in every way at every step; the list is told in any order, or with what is not so; the tables
// come late.
const membership = fc.option(fc.record({ level: fc.constantFrom(10, 15, 20, 30, 50), isActive: fc.boolean(), expiresAt: fc.constantFrom(null, '2026-01-01', TODAY, '2026-01-03') }), { nil: null });
const refusal = fc.option(fc.constantFrom<Refusal>('away', 'throttled', 'refused', 'hidden'), { nil: undefined, freq: 3 });
const round = fc.record({
  truth: fc.array(membership, { minLength: PROJECTS, maxLength: PROJECTS }),
  listRefused: refusal, refusals: fc.array(refusal, { minLength: PROJECTS, maxLength: PROJECTS }),
  /** To the source's token, of all members: nobody in the list, and the one way to ask for one says 404 of everybody. */
  isBlind: fc.array(fc.boolean(), { minLength: PROJECTS, maxLength: PROJECTS }),
  order: fc.array(fc.nat(), { minLength: PROJECTS, maxLength: PROJECTS }),
  /** Of the list alone: what it says too much or leaves out. */
  wrong: fc.array(fc.integer({ min: 0, max: 3 }).map((n) => n === 0), { minLength: PROJECTS, maxLength: PROJECTS }),
  isTableLate: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
});

test('an error never shrinks what a person reads nor widens it, and after a whole look it is as GitLab says (I7, I8)', async () => {
  const known = fc.array(fc.option(fc.subarray([PERSON, OTHER]), { nil: undefined, freq: 6 }), { minLength: PROJECTS, maxLength: PROJECTS });
  await fc.assert(fc.asyncProperty(known, fc.array(round, { minLength: 1, maxLength: 6 }), async (before, rounds) => {
    const world = createWorld(before);
    await world.begin();
    let wereLate = false;
    for (const { truth, listRefused, refusals, isBlind, order, wrong, isTableLate } of rounds) {
      const memberOf = (n: number) => { const one = truth[n]; return one === null || one === undefined ? null : member(one); };
      const reads = (n: number) => { const one = memberOf(n); return one !== null && readsCode(one, TODAY); };
      const listed = Array.from({ length: PROJECTS }, (_, n) => n).filter((n) => reads(n) !== wrong[n]).sort((one, other) => order[one]! - order[other]!);
      const held = Array.from({ length: PROJECTS }, (_, n) => world.holds(n).includes(PERSON));
      const look = await world.look({ listed: () => answered(listRefused, () => listed), member: (n) => answered(refusals[n], () => (isBlind[n] === true ? null : memberOf(n))), members: (n) => ({ kind: 'ok', value: isBlind[n] === true ? [] : [OWNER, ...(memberOf(n) === null ? [] : [memberOf(n)!])] }) }).catch((error: unknown) => { expect(error).toBeInstanceOf(Unavailable); return undefined; });
      await (isTableLate ? world.read() : world.follow());
      for (let n = 0; n < PROJECTS; n += 1) {
        const isNow = world.holds(n).includes(PERSON);
        // Whatever is other than it was is so: nothing is concluded from what was not said.
        if (isNow !== held[n]) expect([n, isNow]).toEqual([n, reads(n)]);
        expect([n, world.holds(n).includes(OTHER)]).toEqual([n, before[n]?.includes(OTHER) === true]);
        if (listRefused !== undefined) expect([n, isNow]).toEqual([n, held[n]]);
        // What is equal to tables that are late is looked at again with the next look.
        if (look?.kind === 'seen' && look.isWhole && !wereLate && refusals[n] === undefined && isBlind[n] === false && wrong[n] === false && before[n] !== undefined) expect([n, isNow]).toEqual([n, reads(n)]);
      }
      wereLate = isTableLate;
    }
  }), { numRuns: 300 });
});
