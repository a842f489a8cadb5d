import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { BEGINNING, type CodebaseId, type GitLabProjectId, type ObjectId, type Position, type RefName, type SourceId, type SyncId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { codebaseIdOf, codebaseStream, syncIdOf } from '#schemas/ids.ts';
import { GitLabRequestError, type GitLab, type GitLabHook, type RefHead } from '#shared/gitlab/gitlab.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createMemoryReadStore, type ReadModel } from '#shared/read-store/memory-read-store.ts';
import type { SyncView } from '#shared/read-store/read-store.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { WebhookSecrets } from '#shared/sources/source-directory.ts';
import { isOutOfReach } from './ensure-hook.ts';
import { NEVER_LOOKED, type LookRow, type Looks, type SourcePace } from './looks.ts';
import { poll } from './poll.ts';

const SOURCE = randomUUID() as SourceId;
const PROJECT = 7 as GitLabProjectId;
const CODEBASE = codebaseIdOf(SOURCE, PROJECT);
const MAIN = 'refs/heads/main' as RefName;
const [A, B] = ['a'.repeat(40), 'b'.repeat(40)] as [ObjectId, ObjectId];
const START = Date.parse('2026-01-01T12:00:00.000Z');
const iso = (ms: number) => new Date(ms).toISOString();

type Fault = 'none' | 'away' | 'refused' | 'throttled';

/** Schedulers that poll, on memory, with a clock that runs with their sleep; a GitLab that a test can change. */
function createWorld({ schedulers = 1, hintAgoMs = 0, hook = 'installed' as 'installed' | 'refused', isBehind = false } = {}) {
  const log = createMemoryEventLog();
  let time = START;
  const gitlab = { heads: [{ ref: MAIN, commit: A }] as RefHead[], fault: 'none' as Fault, askedAt: [] as number[], hooks: [] as GitLabHook[], canTest: async () => true, tested: 0, offersSigning: true, canChange: true, tokens: [] as string[], secrets: { tokens: ['plain'], signingTokens: ['whsec_x'] } as WebhookSecrets };
  const answered = <T>(value: () => T) => {
    gitlab.askedAt.push(time);
    if (gitlab.fault === 'away') throw new Unavailable('gitlab', '502');
    if (gitlab.fault === 'throttled') throw new Unavailable('gitlab', '429', { retryAfterMs: 120_000 });
    return gitlab.fault === 'refused' ? ({ kind: 'refused', status: 401, detail: '401' } as const) : ({ kind: 'ok', value: value() } as const);
  };
  const save = (id: number, url: string) => {
    const made: GitLabHook = { id, url, isSigned: gitlab.offersSigning, offersSigning: gitlab.offersSigning, alertStatus: gitlab.hooks.find((one) => one.id === id)?.alertStatus ?? 'executable', receivesPushes: true };
    gitlab.hooks = [...gitlab.hooks.filter((one) => one.id !== id), made];
    return made;
  };
  const fake = {
    heads: async () => answered(() => [...gitlab.heads]),
    hooks: async () => answered(() => gitlab.hooks),
    createHook: async (_project: unknown, { url }: { url: string }) => answered(() => save(50, url)),
    updateHook: async (_project: unknown, id: number, { url, token }: { url: string; token: string }) => {
      if (!gitlab.canChange) return { kind: 'refused', status: 403, detail: '403' };
      gitlab.tokens.push(token);
      return answered(() => save(id, url));
    },
    testHook: async (_project: unknown, id: number) => {
      gitlab.tested += 1;
      if (!(await gitlab.canTest())) throw new GitLabRequestError('test', 422, 'Hook execution failed');
      gitlab.hooks = gitlab.hooks.map((one) => (one.id === id ? { ...one, alertStatus: 'executable' } : one));
      return { kind: 'ok', value: null };
    },
  } as unknown as GitLab;
  const model = {
    position: BEGINNING as Position, sources: [], syncs: [], facts: [], progress: new Map(), unfolded: [],
    codebases: [{
      id: CODEBASE, sourceId: SOURCE, gitlabProjectId: PROJECT, path: null, followed: { branches: ['*'], tags: [] }, defaultRef: MAIN, hook: { state: hook, reason: null, isSigned: true },
      registeredAt: iso(START), lastHintAt: iso(START - hintAgoMs), lastWholeHintAt: null, lastObservedAt: null, state: 'active' as const, removedAt: null, revision: 0,
    }],
    versions: [{ codebaseId: CODEBASE, ref: MAIN, state: 'stored' as const, commit: A, commitTime: null, tree: A, objectFormat: 'sha1' as const, sync: randomUUID() as SyncId, storedAt: iso(START), observedAt: iso(START), position: '0'.repeat(20) as Position }],
  } satisfies ReadModel;
  const rows = new Map<CodebaseId, LookRow>();
  const paces: SourcePace[] = [];
  const keep = async (id: CodebaseId, row: Partial<LookRow>) => void rows.set(id, { ...(rows.get(id) ?? NEVER_LOOKED), ...row });
  const looks: Looks = { all: async () => new Map(rows), looked: keep, hookChecked: keep, paced: async (_source, pace) => void paces.push(pace) };
  const stopping = new AbortController();
  const settings = { requestsPerMinute: 300, activeSeconds: 60, idleSeconds: 900, peopleSeconds: 300, hookCheckSeconds: 900, hookRetrySeconds: 3_600 };
  const deps = {
    log, looks, publicUrl: 'http://here', openGitLab: () => fake, metrics: createMetrics(), logger: createLogger('silent'), now: () => new Date(time),
    // The tables follow the log at once.
    store: { ...createMemoryReadStore(model), position: async () => (isBehind ? BEGINNING : log.head()) },
    bus: { parked: async () => [], workedUpTo: () => log.head() },
    sources: { access: async () => ({ baseUrl: 'http://gitlab', token: 't', caPem: undefined, proxyUrl: undefined }), webhookSecrets: async () => gitlab.secrets },
    sleep: async (ms: number, signal: AbortSignal) => { time += ms / schedulers; if (!signal.aborted) await new Promise(setImmediate); },
  };
  const running = Array.from({ length: schedulers }, () => poll(deps, settings, stopping.signal));
  const factsOf = async (type: string) => {
    const found: Fact[] = [];
    for await (const { facts, isCaughtUp } of log.subscribe({ after: BEGINNING, prefixes: [], signal: new AbortController().signal })) {
      found.push(...(facts as Fact[]).filter((fact) => fact.type === type));
      if (isCaughtUp) break;
    }
    return found;
  };
  return {
    log, gitlab, rows, paces, model, factsOf,
    /** So much time goes by. */
    pass: async (ms: number) => { const end = time + ms; await until(() => time >= end); },
    register: async ({ isSigned = true } = {}) => {
      const parts = { key: CODEBASE, actor: { kind: 'scheduler', id: 'hooks' } as const, correlationId: 'x', causationId: null, time: new Date(START) };
      const registered = newFact({ type: 'codebase.registered', ...parts, data: { codebaseId: CODEBASE, sourceId: SOURCE, gitlabProjectId: PROJECT, path: null, followed: { branches: ['*'], tags: [] }, command: { id: 'x', digest: '0'.repeat(64) } } });
      const told = hook === 'installed' ? newFact({ type: 'hook.installed', ...parts, data: { codebaseId: CODEBASE, sourceId: SOURCE, gitlabHookId: 50, how: 'created', isSigned } }) : newFact({ type: 'hook.refused', ...parts, data: { codebaseId: CODEBASE, sourceId: SOURCE, reason: 'no' } });
      await log.append(codebaseStream(CODEBASE), 'noStream', [registered, told]);
    },
    stop: async () => { stopping.abort(); await Promise.all(running); },
  };
}

let world: ReturnType<typeof createWorld>;
afterEach(async () => { await world.stop(); });

test.each([1, 2])('%d scheduler(s): a head that no webhook told is one gap within a minute, and stays one however often it is seen', async (schedulers) => {
  world = createWorld({ schedulers });
  await world.pass(10_000);
  world.gitlab.heads = [{ ref: MAIN, commit: B }];
  await world.pass(60_000);
  expect(await world.factsOf('gap.detected')).toMatchObject([{ stream: expect.stringMatching(/^command-scheduler-/), data: { found: B, known: A, how: 'poll' } }]);
  await world.pass(600_000);
  expect(await world.factsOf('gap.detected')).toHaveLength(1);
  expect(world.rows.get(CODEBASE)?.different).toEqual([MAIN]);
});

test.each<Fault>(['away', 'refused', 'throttled'])('GitLab is %s: nothing is concluded, it is asked ever more rarely, and the gap is found when that is over', async (fault) => {
  world = createWorld();
  world.gitlab.fault = fault;
  world.gitlab.heads = [];
  await world.pass(600_000);
  expect(await world.factsOf('gap.detected')).toEqual([]);
  expect(world.rows.get(CODEBASE)?.lookedAt).toBeNull();
  expect(world.gitlab.askedAt.length).toBeLessThan(15);
  if (fault === 'throttled') for (const [n, at] of world.gitlab.askedAt.entries()) expect(at - (world.gitlab.askedAt[n - 1] ?? -Infinity)).toBeGreaterThanOrEqual(120_000);
  world.gitlab.fault = 'none';
  await until(async () => (await world.factsOf('gap.detected')).length === 1);
});

test.each([[0, 40_000, 60_000], [5 * 3_600_000, 200_000, 300_000], [100 * 3_600_000, 700_000, 900_000]])(
  'a codebase whose last hint was %d ms ago is looked at every %d to %d ms', async (hintAgoMs, least, most) => {
    world = createWorld({ hintAgoMs });
    await world.pass(3_000_000);
    const pauses = world.gitlab.askedAt.slice(1).map((at, n) => at - (world.gitlab.askedAt[n] ?? 0));
    expect(pauses.length).toBeGreaterThan(2);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(least);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(most);
    expect(world.paces[0]).toMatchObject({ activeBoundSeconds: 60, idleBoundSeconds: 900, heldUntil: null });
  });

test('our clock was set back an hour: a head that was found, left and found again is a gap each time', async () => {
  world = createWorld();
  const ended = (id: SyncId, endedAt: string) => (world.model.syncs as Partial<SyncView>[]).push({ id, codebaseId: CODEBASE, ref: MAIN, begunAt: endedAt, endedAt });
  ended('before the clock was set back' as SyncId, iso(START + 3_600_000));
  for (let times = 1; times <= 3; times += 1) {
    world.gitlab.heads = [{ ref: MAIN, commit: B }];
    await until(async () => (await world.factsOf('gap.detected')).length === times);
    // While its sync is under way, it is the same.
    await world.pass(120_000);
    const gaps = await world.factsOf('gap.detected');
    expect(gaps).toHaveLength(times);
    ended(syncIdOf(gaps.at(-1)!.id, CODEBASE, MAIN), iso(START + times));
  }
});

test('while the tables are behind the log nothing is concluded', async () => {
  world = createWorld({ isBehind: true });
  world.gitlab.heads = [{ ref: MAIN, commit: B }];
  await world.register();
  await world.pass(600_000);
  expect(await world.factsOf('gap.detected')).toEqual([]);
});

describe('webhooks', () => {
  test.each([null, 900_000])('get changed secrets within seconds, also when they were never looked after; one that may not be changed is tried again, and not noted as having them (looked after before: %s)', async (checkedAfterMs) => {
    world = createWorld();
    await world.register();
    const url = `http://here/webhooks/gitlab/${SOURCE}`;
    world.gitlab.hooks = [{ id: 50, url, isSigned: true, offersSigning: true, alertStatus: 'executable', receivesPushes: true }];
    if (checkedAfterMs !== null) await world.pass(1_000_000);
    world.gitlab.canChange = false;
    world.gitlab.secrets = { tokens: ['new', 'plain'], signingTokens: ['whsec_new', 'whsec_x'], revision: 2, formerUntil: new Date(START) };
    await world.pass(60_000);
    expect([world.gitlab.tokens, world.rows.get(CODEBASE)?.hookSecrets ?? 0]).toEqual([[], 0]);
    expect(world.rows.get(CODEBASE)?.hookTrouble).toContain('does not let us');
    world.gitlab.canChange = true;
    await world.pass(3_700_000);
    expect([world.gitlab.tokens, world.rows.get(CODEBASE)?.hookSecrets, world.rows.get(CODEBASE)?.hookTrouble]).toEqual([['new'], 2, null]);
    expect((await world.factsOf('hook.installed')).map(({ data }) => (data as { how: string }).how)).toEqual(['created', 'repaired']);
    world.gitlab.secrets = { ...world.gitlab.secrets, revision: 5, tokens: ['newer', 'new'] };
    await world.pass(20_000);
    expect([world.gitlab.tokens, world.rows.get(CODEBASE)?.hookSecrets]).toEqual([['new', 'newer'], 5]);
  });

  test.each<[string, (at: string) => GitLabHook[], number]>([
    ['gone', () => [], 0],
    ['disabled', (url) => [{ id: 50, url, isSigned: true, offersSigning: true, alertStatus: 'disabled', receivesPushes: true }], 1],
    ['led elsewhere', () => [{ id: 50, url: 'http://old/webhooks', isSigned: true, offersSigning: true, alertStatus: 'executable', receivesPushes: true }], 0],
    ['not told of pushes', (url) => [{ id: 50, url, isSigned: true, offersSigning: true, alertStatus: 'executable', receivesPushes: false }], 0],
  ])('one that is %s is put right, and that is told', async (_how, hooks, tested) => {
    world = createWorld();
    const url = `http://here/webhooks/gitlab/${SOURCE}`;
    world.gitlab.hooks = hooks(url);
    await world.register();
    await world.pass(1_000_000);
    expect((await world.factsOf('hook.installed')).map(({ data }) => (data as { how: string }).how)).toEqual(['created', 'repaired']);
    expect(world.gitlab.hooks).toMatchObject([{ id: 50, url, alertStatus: 'executable' }]);
    expect(world.gitlab.tested).toBe(tested);
  });

  test('one that cannot be put right is known to be broken, and tried again', async () => {
    world = createWorld();
    world.gitlab.hooks = [{ id: 50, url: `http://here/webhooks/gitlab/${SOURCE}`, isSigned: true, offersSigning: true, alertStatus: 'disabled', receivesPushes: true }];
    world.gitlab.canTest = async () => false;
    await world.register();
    await world.pass(2_000_000);
    expect(world.rows.get(CODEBASE)?.hookTrouble).toContain('Hook execution failed');
    expect(world.gitlab.tested).toBe(2);
    world.gitlab.canTest = async () => true;
    await world.pass(1_000_000);
    expect(world.rows.get(CODEBASE)?.hookTrouble).toBeNull();
  });

  const signs = async () => (await world.factsOf('hook.installed')).map(({ data }) => (data as { isSigned: boolean }).isSigned);
  const ours = (more: Partial<GitLabHook>): GitLabHook => ({ id: 50, url: `http://here/webhooks/gitlab/${SOURCE}`, isSigned: true, offersSigning: true, alertStatus: 'executable', receivesPushes: true, ...more });

  test('one that lost its signing token gets it again; that of a GitLab that was upgraded gets one', async () => {
    world = createWorld();
    world.gitlab.hooks = [ours({ isSigned: false, offersSigning: false })];
    world.gitlab.offersSigning = false;
    await world.register({ isSigned: false });
    await world.pass(2_000_000);
    expect([await signs(), world.gitlab.tokens]).toEqual([[false], []]);
    world.gitlab.offersSigning = true;
    for (const expected of [[false, true], [false, true, true]]) {
      world.gitlab.hooks = [ours({ isSigned: false })];
      await world.pass(1_000_000);
      expect([await signs(), world.gitlab.hooks]).toEqual([expected, [ours({})]]);
    }
  });

  test('that of a GitLab that signs no more is told as such, once; one that was disabled meanwhile is tried once that is told, at once', async () => {
    world = createWorld();
    world.gitlab.hooks = [ours({ isSigned: false, offersSigning: false })];
    world.gitlab.offersSigning = false;
    await world.register();
    await world.pass(3_000_000);
    expect([await signs(), world.gitlab.tested]).toEqual([[true, false], 0]);
    await world.stop();

    world = createWorld();
    world.gitlab.hooks = [ours({ isSigned: false, offersSigning: false, alertStatus: 'temporarily_disabled' })];
    world.gitlab.offersSigning = false;
    // As the door does: until it is told, what is not signed is refused.
    world.gitlab.canTest = async () => (await signs()).at(-1) === false;
    await world.register();
    await world.pass(1_000_000);
    expect([await signs(), world.gitlab.tested, world.rows.get(CODEBASE)?.hookTrouble]).toEqual([[true, false, false], 1, null]);
  });

  test('one that is not ours to change goes on with the secret token alone, told as it is, and is no trouble', async () => {
    world = createWorld();
    world.gitlab.hooks = [ours({ id: 7, isSigned: false })];
    world.gitlab.canChange = false;
    await world.register();
    await world.pass(3_000_000);
    expect(await world.factsOf('hook.installed')).toMatchObject([{ data: { isSigned: true } }, { data: { gitlabHookId: 7, how: 'adopted', isSigned: false } }]);
    expect([world.rows.get(CODEBASE)?.hookTrouble, world.gitlab.hooks[0]?.isSigned]).toEqual([null, false]);
  });

  test.each<[string, number | undefined, Partial<GitLabHook>]>([
    ['has older secrets', 2, {}], ['has older secrets, at a GitLab that was downgraded', 2, { offersSigning: false }], ['is disabled', undefined, { alertStatus: 'disabled' }],
  ])('one that is not ours to change and %s is told as unsigned when it is, once; that it cannot be put right stays known', async (_how, revision, change) => {
    world = createWorld();
    world.gitlab.hooks = [ours({ id: 7 })];
    world.gitlab.canChange = false;
    if (revision !== undefined) world.gitlab.secrets = { tokens: ['new', 'plain'], signingTokens: ['whsec_new', 'whsec_x'], revision, formerUntil: new Date(START) };
    await world.register();
    await world.pass(60_000);
    expect(await signs()).toEqual([true]);
    world.gitlab.hooks = [ours({ id: 7, isSigned: false, ...change })];
    await world.pass(3_700_000);
    expect(await signs()).toEqual([true, false]);
    await world.pass(3_700_000);
    expect([await signs(), world.rows.get(CODEBASE)?.hookTrouble]).toEqual([[true, false], expect.stringContaining('does not let us')]);
  });

  test('one that was refused is tried again, and told when it is made', async () => {
    world = createWorld({ hook: 'refused' });
    await world.register();
    await until(async () => (await world.factsOf('hook.installed')).length === 1);
  });
});

test.each([['http://127.0.0.1:8080/w', 'https://gitlab.example.com', true], ['http://localhost/w', 'http://127.0.0.1:3000', false], ['https://tekai.example.com/w', 'https://gitlab.example.com', false], ['http://[::1]/w', 'https://gitlab.example.com', true]])(
  'whether %s is out of the reach of %s: %j', (url, gitlab, expected) => { expect(isOutOfReach(url, gitlab)).toBe(expected); });

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error('waited in vain');
    await delay(1);
  }
}
