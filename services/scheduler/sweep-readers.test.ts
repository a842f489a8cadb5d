import { randomUUID } from 'node:crypto';
import { BEGINNING, type CodebaseId, type GitLabProjectId, type Position, type SourceId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { codebaseIdOf, deliveryStream } from '#schemas/ids.ts';
import type { GitLab, GitLabMember } from '#shared/gitlab/gitlab.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createMemoryReadStore, type ReadModel } from '#shared/read-store/memory-read-store.ts';
import type { GitLabReadersView } from '#shared/read-store/read-store.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { ReaderLookRow } from './reader-looks.ts';
import { createReadersBudgets } from './readers-budgets.ts';
import { sweepReaders } from './sweep-readers.ts';

const SOURCE = randomUUID() as SourceId;
const START = Date.parse('2026-01-01T12:00:00.000Z');
const reporter = (userId: number): GitLabMember => ({ userId, level: 20, isActive: true, expiresAt: null });
type Fault = 'none' | 'away' | 'refused' | 'absent';

/** A sweep on memory, with a clock that runs with its sleep; the tables follow the log at once. */
function createWorld({ projects = 1, requestsPerMinute = 60, states = ['active'] as ReadModel['codebases'][number]['state'][] } = {}) {
  const log = createMemoryEventLog();
  let time = START;
  const gitlab = { members: new Map<number, GitLabMember[]>(), fault: 'none' as Fault, asked: [] as { project: number; at: number }[] };
  const answered = <T>(value: () => T) => {
    if (gitlab.fault === 'away') throw new Unavailable('gitlab', '502');
    if (gitlab.fault === 'refused') return { kind: 'refused', status: 403, detail: '403 Forbidden' } as const;
    return gitlab.fault === 'absent' ? ({ kind: 'absent', detail: '404 Project Not Found' } as const) : ({ kind: 'ok', value: value() } as const);
  };
  const fake = {
    project: async () => answered(() => ({ beyondMembers: 'nobody' })),
    members: async (project: number) => { gitlab.asked.push({ project, at: time }); return answered(() => gitlab.members.get(project) ?? [reporter(1)]); },
  } as unknown as GitLab;
  const ids = Array.from({ length: projects }, (_, n) => n + 1);
  const known = new Map<CodebaseId, GitLabReadersView>();
  const codebases = ids.map((project, n): ReadModel['codebases'][number] => ({
    id: codebaseIdOf(SOURCE, project as GitLabProjectId), sourceId: SOURCE, gitlabProjectId: project, path: null, followed: { branches: ['*'], tags: [] }, defaultRef: null, hook: { state: 'installed', reason: null, isSigned: true },
    registeredAt: new Date(START).toISOString(), lastHintAt: null, lastWholeHintAt: null, lastObservedAt: null, state: states[n % states.length]!, removedAt: null, revision: 0,
  }));
  const store = createMemoryReadStore({ position: BEGINNING as Position, sources: [], codebases, versions: [], syncs: [], facts: [], progress: new Map(), unfolded: [], gitlabReaders: known });
  const rows = new Map<CodebaseId, ReaderLookRow>();
  const bounds: number[] = [];
  const facts: Fact<'codebase.readers-observed'>[] = [];
  const append: typeof log.append = async (stream, expected, given) => {
    const outcome = await log.append(stream, expected, given);
    if (outcome.kind === 'appended') for (const one of given as unknown as Fact<'codebase.readers-observed'>[]) {
      facts.push(one);
      const users = new Set([...known.get(one.data.codebaseId)?.users ?? [], ...one.data.granted].filter((user) => !one.data.revoked.includes(user)));
      known.set(one.data.codebaseId, { users: [...users], beyondMembers: one.data.beyondMembers, observedAt: one.data.observedAt, isOpen: false, revision: outcome.revision });
    }
    return outcome;
  };
  const stopping = new AbortController();
  const running = sweepReaders({
    log: { append, readStream: log.readStream, subscribe: log.subscribe }, store, logger: createLogger('silent'), now: () => new Date(time),
    sources: { access: async () => ({ baseUrl: 'http://gitlab', token: 't', caPem: undefined, proxyUrl: undefined }) }, openGitLab: () => fake,
    readerLooks: { all: async () => new Map(rows), keep: async (id, row) => void rows.set(id, row), paced: async (_source, seconds) => void bounds.push(seconds) },
    sleep: async (ms, signal) => { time += ms; if (!signal.aborted) await new Promise(setImmediate); },
  }, { budgets: createReadersBudgets(requestsPerMinute) }, stopping.signal);
  return {
    gitlab, rows, bounds, facts, known,
    now: () => time,
    pass: async (ms: number) => { const end = time + ms; while (time < end) await new Promise(setImmediate); },
    hint: (project: number | null) => {
      const deliveryId = randomUUID();
      const data = { deliveryId, sourceId: SOURCE, about: 'members' as const, event: 'user_remove_from_team', gitlabProjectId: project as GitLabProjectId | null, body: { bytes: 2, sha256: '0'.repeat(64) } };
      return log.append(deliveryStream(SOURCE, deliveryId), 'noStream', [newFact({ type: 'gitlab.hinted', key: SOURCE, actor: { kind: 'gitlab', id: SOURCE }, correlationId: deliveryId, causationId: null, time: new Date(time), data })]);
    },
    stop: async () => { stopping.abort(); await running; },
  };
}

let world: ReturnType<typeof createWorld>;
afterEach(async () => { await world.stop(); });

test('who reads is asked at once and then every five minutes; only what changed is a fact; who is archived is asked about too', async () => {
  world = createWorld({ projects: 2, states: ['active', 'archived'] });
  await world.pass(20_000);
  expect(new Map(world.facts.map(({ data }) => [data.gitlabProjectId, data.granted]))).toEqual(new Map([[1, [1]], [2, [1]]]));
  await world.pass(1_200_000);
  expect(world.facts).toHaveLength(2);
  world.gitlab.members.set(2, [reporter(7)]);
  await world.pass(301_000);
  expect(world.facts.slice(2).map(({ data }) => [data.gitlabProjectId, data.granted, data.revoked])).toEqual([[2, [7], [1]]]);
});

test('what a webhook tells of is asked within moments: of the project that it names, or of all where it names none', async () => {
  world = createWorld({ projects: 3 });
  await world.pass(20_000);
  const before = world.gitlab.asked.length;
  const from = world.now();
  world.gitlab.members.set(2, [reporter(9)]);
  await world.hint(2);
  await world.pass(5_000);
  expect(world.gitlab.asked.slice(before).map(({ project }) => project)).toEqual([2]);
  expect(world.facts.at(-1)?.data).toMatchObject({ gitlabProjectId: 2, granted: [9], revoked: [1] });
  expect(Date.parse(world.facts.at(-1)?.data.observedAt ?? '') - from).toBeLessThanOrEqual(3_000);
  await world.hint(null);
  await world.pass(10_000);
  expect(new Set(world.gitlab.asked.slice(before + 1).map(({ project }) => project))).toEqual(new Set([1, 2, 3]));
});

test.each(['away', 'refused', 'absent'] as const)('GitLab that is %s changes nobody\'s reading; when it answers again, a webhook\'s word is followed at once (I8)', async (fault) => {
  world = createWorld();
  await world.pass(20_000);
  world.gitlab.fault = fault;
  world.gitlab.members.set(1, [reporter(5)]);
  await world.hint(1);
  await world.pass(1_800_000);
  expect(world.facts).toHaveLength(1);
  expect([...world.rows.values()]).toMatchObject([{ trouble: expect.stringMatching(/40[34]|502/) }]);
  world.gitlab.fault = 'none';
  await world.hint(1);
  await world.pass(5_000);
  expect(world.facts.map(({ data }) => [data.granted, data.revoked])).toEqual([[[1], []], [[5], [1]]]);
});

test('a list of nobody is not believed: every project has an owner', async () => {
  world = createWorld();
  await world.pass(20_000);
  world.gitlab.members.set(1, []);
  await world.hint(1);
  await world.pass(900_000);
  expect(world.facts).toHaveLength(1);
  expect([...world.known.values()]).toMatchObject([{ users: [1] }]);
});

test('a short budget is never passed, and every codebase is asked about within the bound that is told', async () => {
  const requestsPerMinute = 12;
  world = createWorld({ projects: 60, requestsPerMinute });
  await world.pass(3_600_000);
  const bound = world.bounds.at(-1)! * 1_000;
  expect(bound).toBeGreaterThan(600_000);
  // Two requests a look. What may come at once after a silence is a sixth of a minute's.
  for (const { at } of world.gitlab.asked) expect(world.gitlab.asked.filter((one) => one.at >= at && one.at < at + 60_000).length * 2).toBeLessThanOrEqual(requestsPerMinute * (7 / 6) + 2);
  for (let project = 1; project <= 60; project += 1) {
    const times = world.gitlab.asked.filter((one) => one.project === project).map(({ at }) => at);
    expect([project, Math.max(...times.slice(1).map((at, n) => at - times[n]!)) <= bound]).toEqual([project, true]);
  }
});
