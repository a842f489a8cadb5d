import { randomUUID } from 'node:crypto';
import { BEGINNING, type CodebaseId, type GitLabProjectId, type Position, type SourceId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { codebaseIdOf, readersStream } from '#schemas/ids.ts';
import type { GitLab, GitLabAccess } from '#shared/gitlab/gitlab.ts';
import type { ActivePerson } from '#shared/identity/own-access.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createMemoryReadStore, type ReadModel } from '#shared/read-store/memory-read-store.ts';
import type { GitLabReadersView } from '#shared/read-store/read-store.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { createReadersBudgets, leftForSweep } from './readers-budgets.ts';
import { sweepPeople } from './sweep-people.ts';

const SOURCE = randomUUID() as SourceId;
const START = Date.parse('2026-01-01T12:00:00.000Z');
const EVERY_MS = 300_000;

/** People of a GitLab with one project, on memory, with a clock that runs with its sleep; the tables follow the log at once, until told otherwise. */
function createWorld({ people = 1, requestsPerMinute = 60, letting = Infinity } = {}) {
  const log = createMemoryEventLog();
  let time = START;
  const id = codebaseIdOf(SOURCE, 1 as GitLabProjectId);
  const tables = new Map<CodebaseId, GitLabReadersView>();
  const codebase: ReadModel['codebases'][number] = {
    id, sourceId: SOURCE, gitlabProjectId: 1, path: null, followed: { branches: ['*'], tags: [] }, defaultRef: null, hook: { state: 'installed', reason: null, isSigned: true },
    registeredAt: new Date(START).toISOString(), lastHintAt: null, lastWholeHintAt: null, lastObservedAt: null, state: 'active', removedAt: null, revision: 0,
  };
  const facts: Fact<'codebase.readers-observed'>[] = [];
  const append: typeof log.append = async (stream, expected, given) => {
    const outcome = await log.append(stream, expected, given);
    if (outcome.kind === 'appended') for (const { data } of given as unknown as Fact<'codebase.readers-observed'>[]) {
      facts.push({ data } as never);
      if (!follower.isLate) tables.set(id, { users: [...new Set([...tables.get(id)?.users ?? [], ...data.granted])].filter((user) => !data.revoked.includes(user)), beyondMembers: 'nobody', observedAt: data.observedAt, isOpen: false, revision: outcome.revision });
    }
    return outcome;
  };
  const active = Array.from({ length: people }, (_, n): ActivePerson => ({ sourceId: SOURCE, userId: `user-${n + 1}`, gitlabUserId: n + 1, grantId: n < letting ? `grant-${n + 1}` : null }));
  const gitlab = { members: new Set<number>(), refuses: undefined as undefined | 401 | 429 | 500, asked: [] as { who: number | 'source'; at: number }[] };
  const told: unknown[] = [];
  const follower = { isLate: false };
  const openGitLab = ({ token }: GitLabAccess): GitLab => ({
    ownProjects: async () => {
      const who = Number(token.replace('token of grant-', ''));
      gitlab.asked.push({ who, at: time });
      if (gitlab.refuses === 401) return { kind: 'refused', status: 401, detail: 'invalid_token' };
      if (gitlab.refuses === 429) throw new Unavailable('gitlab', '429', { retryAfterMs: 30_000 });
      if (gitlab.refuses === 500) throw new Unavailable('gitlab', '500');
      return { kind: 'ok', value: gitlab.members.has(who) ? [1] : [] };
    },
    members: async () => ({ kind: 'ok', value: [...gitlab.members, 1_000].map((userId) => ({ userId, level: 20, isActive: true, expiresAt: null })) }),
    member: async (_project: number, userId: number) => {
      gitlab.asked.push({ who: token === 'of the source' ? 'source' : NaN, at: time });
      return { kind: 'ok', value: gitlab.members.has(userId) ? { userId, level: 20, isActive: true, expiresAt: null } : null };
    },
  }) as unknown as GitLab;
  const budgets = createReadersBudgets(requestsPerMinute);
  const stopping = new AbortController();
  const begin = async () => {
    await append(readersStream(id), 'noStream', [{ id: randomUUID(), type: 'codebase.readers-observed', schemaVersion: 1, key: id, actor: { kind: 'scheduler', id: 'readers' }, correlationId: 'c', causationId: null, time: new Date(START).toISOString(), data: { codebaseId: id, sourceId: SOURCE, gitlabProjectId: 1, granted: [], revoked: [], beyondMembers: 'nobody', observedAt: new Date(START).toISOString() } } as never]);
    facts.length = 0;
    await sweepPeople({
      log: { append, readStream: log.readStream }, logger: createLogger('silent'), now: () => new Date(time), openGitLab,
      store: createMemoryReadStore({ position: BEGINNING as Position, sources: [], codebases: [codebase], versions: [], syncs: [], facts: [], progress: new Map(), unfolded: [], gitlabReaders: tables }),
      ownAccess: { people: async () => [...active], token: async ({ grantId }) => (grantId === null ? undefined : `token of ${grantId}`) },
      sources: { access: async () => ({ baseUrl: 'http://gitlab', token: 'of the source', caPem: undefined, proxyUrl: undefined }) },
      peopleLooks: { paced: async (_source, one) => void told.push(one), forget: async () => void told.push('forgotten'), forgetAll: async () => undefined },
      sleep: async (ms, signal) => { time += ms; if (!signal.aborted) await new Promise(setImmediate); },
    }, { budgets, everyMs: EVERY_MS }, stopping.signal);
  };
  const running = begin();
  return {
    gitlab, active, facts, told, budgets, follower, holds: () => tables.get(id)?.users ?? [], now: () => time,
    pass: async (ms: number) => { const end = time + ms; while (time < end) await new Promise(setImmediate); },
    stop: async () => { stopping.abort(); await running; },
  };
}

let world: ReturnType<typeof createWorld>;
afterEach(async () => { await world.stop(); });

test('what somebody reads is asked at once when they are active, and then every five minutes: what they are given and what they lose is told within it', async () => {
  world = createWorld();
  await world.pass(10_000);
  expect(world.gitlab.asked.map(({ who }) => who)).toEqual([1]);
  world.gitlab.members.add(1);
  await world.pass(EVERY_MS);
  expect(world.facts.map(({ data }) => [data.granted, data.revoked])).toEqual([[[1], []]]);
  world.gitlab.members.delete(1);
  await world.pass(EVERY_MS);
  expect(world.facts.map(({ data }) => [data.granted, data.revoked])).toEqual([[[1], []], [[], [1]]]);
  // Of who has gone nothing is asked; of who signs in anew, at once.
  const [person] = world.active.splice(0);
  await world.pass(10_000);
  const before = world.gitlab.asked.length;
  await world.pass(EVERY_MS * 2);
  expect(world.gitlab.asked).toHaveLength(before);
  world.active.push({ ...person!, grantId: 'grant-1' });
  await world.pass(10_000);
  expect(world.gitlab.asked).toHaveLength(before + 1);
});

test.each([401, 429, 500] as const)('a GitLab that answers %s to a person\'s token takes nothing from them, however long; it is asked ever more rarely, and when it answers again that is learnt (I8)', async (refuses) => {
  world = createWorld();
  world.gitlab.members.add(1);
  await world.pass(10_000);
  expect(world.holds()).toEqual([1]);
  world.gitlab.refuses = refuses;
  world.gitlab.members.delete(1);
  const before = world.gitlab.asked.length;
  await world.pass(3_600_000);
  expect([world.holds(), world.gitlab.asked.slice(before).filter(({ who }) => who === 'source')]).toEqual([[1], []]);
  expect(world.gitlab.asked.length - before).toBeLessThan(20);
  expect(world.told.at(-1)).toEqual({ active: 1, asked: 0, boundSeconds: 300 });
  world.gitlab.refuses = undefined;
  await world.pass(1_000_000);
  expect([world.holds(), world.told.at(-1)]).toEqual([[], { active: 1, asked: 1, boundSeconds: 300 }]);
});

test('the bound that is told is kept, the budget is never passed, and the sweep keeps half of it', async () => {
  const requestsPerMinute = 24;
  world = createWorld({ people: 80, letting: 60, requestsPerMinute });
  await world.pass(3_600_000);
  expect(world.told.at(-1)).toEqual({ active: 80, asked: 60, boundSeconds: 600 / 0.8 });
  for (const { at } of world.gitlab.asked) expect(world.gitlab.asked.filter((one) => one.at >= at && one.at < at + 60_000).length * 2).toBeLessThanOrEqual((requestsPerMinute / 2) * (7 / 6) + 2);
  for (let who = 1; who <= 80; who += 1) {
    const times = world.gitlab.asked.filter((one) => one.who === who).map(({ at }) => at);
    if (who > 60) expect([who, times]).toEqual([who, []]);
    else expect([who, Math.max(...times.slice(1).map((at, n) => at - times[n]!)) <= 750_000]).toEqual([who, true]);
  }
  expect(leftForSweep(world.budgets, SOURCE)).toBe(12);
  world.active.length = 0;
  await world.pass(10_000);
  expect([world.told.at(-1), leftForSweep(world.budgets, SOURCE)]).toEqual(['forgotten', 24]);
});

test('whose look is never whole takes what the others leave: they are asked as often as without', async () => {
  world = createWorld({ people: 3, requestsPerMinute: 24 });
  await world.pass(10_000);
  // What is told of them goes against what is newer, again and again.
  world.follower.isLate = true;
  world.gitlab.members.add(1);
  await world.pass(3_600_000);
  const timesOf = (who: number) => world.gitlab.asked.filter((one) => one.who === who).map(({ at }) => at);
  expect(timesOf(1).length).toBeGreaterThan(30);
  for (const who of [2, 3]) {
    const times = [...timesOf(who), world.now()];
    expect([who, Math.max(...times.slice(1).map((at, n) => at - times[n]!)) <= EVERY_MS]).toEqual([who, true]);
  }
  expect(world.told.at(-1)).toEqual({ active: 3, asked: 2, boundSeconds: 300 });
});
