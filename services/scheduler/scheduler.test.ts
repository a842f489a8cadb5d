import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { BEGINNING, type GitLabProjectId, type SourceId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { codebaseIdOf, codebaseStream } from '#schemas/ids.ts';
import { createLogBus } from '#shared/bus/log-bus.ts';
import { createMemoryGroupStore } from '#shared/bus/memory-group-store.ts';
import { createLocalProgressChannel } from '#shared/bus/local-progress-channel.ts';
import { GitLabRequestError, type GitLab, type GitLabHook, type WantedHook } from '#shared/gitlab/gitlab.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createMemoryReadStore } from '#shared/read-store/memory-read-store.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { decideHook } from './decide-hook.ts';
import { start } from './service.ts';

const SOURCE = randomUUID() as SourceId;
const PROJECT = 7 as GitLabProjectId;
const CODEBASE = codebaseIdOf(SOURCE, PROJECT);
let lastProject = 1_000;
const DAY_MS = 86_400_000;
const STREAM = codebaseStream(CODEBASE);
const URL_OF_OURS = `http://here/webhooks/gitlab/${SOURCE}`;
const hookAt = (id: number, url: string): GitLabHook => ({ id, url, isSigned: true, offersSigning: true, alertStatus: 'executable', receivesPushes: true });

/** The scheduler on a memory log, and a GitLab that a test can change. */
function createWorld() {
  const log = createMemoryEventLog();
  let store = createMemoryGroupStore();
  const gitlab = { hooks: [] as GitLabHook[], sent: [] as WantedHook[], asked: 0, is: 'there' as 'there' | 'away' | 'absent' | 'refused', isSigning: true, onCreate: async (_project?: unknown): Promise<void> => undefined, onDelete: async (): Promise<void> => undefined };
  const clock = { time: Date.parse('2026-01-01T00:00:00Z') };
  const now = () => new Date(clock.time);
  const secrets = { there: true };
  const answer = <T>(value: () => T) => {
    gitlab.asked += 1;
    if (gitlab.is === 'away') throw new Unavailable('gitlab', '502');
    if (gitlab.is === 'absent') return { kind: 'absent', detail: '404 Not Found' } as const;
    if (gitlab.is === 'refused') return { kind: 'refused', status: 403, detail: '403 Forbidden' } as const;
    return { kind: 'ok', value: value() } as const;
  };
  const save = (id: number, wanted: WantedHook) => {
    const hook = { ...hookAt(id, wanted.url), isSigned: gitlab.isSigning, offersSigning: gitlab.isSigning };
    gitlab.sent.push(wanted);
    gitlab.hooks = [...gitlab.hooks.filter((one) => one.id !== id), hook];
    return hook;
  };
  const fake = {
    hooks: async () => answer(() => gitlab.hooks),
    createHook: async (project: unknown, wanted: WantedHook) => { await gitlab.onCreate(project); return answer(() => save(gitlab.hooks.length + 100, wanted)); },
    updateHook: async (_project: unknown, id: number, wanted: WantedHook) => answer(() => save(id, wanted)),
    deleteHook: async (_project: unknown, id: number) => {
      await gitlab.onDelete();
      if (gitlab.is === 'there' && !gitlab.hooks.some((hook) => hook.id === id)) return { kind: 'absent', detail: '404 Not Found' } as const;
      return answer(() => { gitlab.hooks = gitlab.hooks.filter((hook) => hook.id !== id); });
    },
  } as unknown as GitLab;
  const sleep = (ms: number, signal: AbortSignal) => delay(Math.min(ms, 3), undefined, { signal }).catch(() => undefined);
  const startScheduler = () => start({
    // Nothing is in the tables: this is about hooks; what is polled has its own test.
    store: createMemoryReadStore({ position: BEGINNING, sources: [], codebases: [], versions: [], syncs: [], facts: [], progress: new Map(), unfolded: [] }),
    query: async () => [], metrics: createMetrics(), logger: createLogger('silent'), sleep,
    log, publicUrl: 'http://here', now, openGitLab: () => fake,
    ownAccess: { people: async () => [], token: async () => undefined },
    checks: { claimDue: async () => undefined, keep: async () => undefined },
    bus: createLogBus({ log, store, progress: createLocalProgressChannel(), logger: createLogger('silent'), now, sleep }),
    sources: {
      access: async () => ({ baseUrl: 'http://gitlab', token: 't', caPem: undefined, proxyUrl: undefined }),
      webhookSecrets: async () => (secrets.there ? { tokens: ['plain', 'older'], signingTokens: ['whsec_x'] } : undefined),
    },
  }, { concurrency: 2, concurrencyOfSource: 1, polling: { requestsPerMinute: 300, activeSeconds: 60, idleSeconds: 900, peopleSeconds: 300, hookCheckSeconds: 900, hookRetrySeconds: 3_600 } });
  let running = startScheduler();
  return {
    log, gitlab, secrets, clock,
    /** Somebody decides something about it, whatever stands there. */
    async decide(type: 'codebase.archived' | 'codebase.removed' | 'codebase.restored') {
      for (let done = false; !done;) {
        const at = (await log.readStream(STREAM, { limit: 100 })).length - 1;
        const fact = newFact({ type, ...parts, time: now(), data: { codebaseId: CODEBASE, command: { id: randomUUID(), digest: '0'.repeat(64) } } });
        done = (await log.append(STREAM, at, [fact])).kind === 'appended';
      }
    },
    types: async () => (await log.readStream(STREAM, { limit: 100 })).map(({ type }) => type),
    register: () => log.append(STREAM, 'noStream', [registered()]),
    facts: async () => (await log.readStream(STREAM, { limit: 100 })) as unknown as Fact[],
    async told() {
      await until('the scheduler has told', async () => (await log.readStream(STREAM, { limit: 100 })).some(({ type }) => type.startsWith('hook.')));
      return (await log.readStream(STREAM, { limit: 100 })).filter(({ type }) => type.startsWith('hook.')) as unknown as Fact[];
    },
    /** Behind all that the log holds by now a removal is appended that is over: once it is deleted, those before it were looked at. */
    async removalsLookedAt() {
      const [project, time] = [(lastProject += 1) as GitLabProjectId, new Date(clock.time - 8 * DAY_MS)];
      const id = codebaseIdOf(SOURCE, project);
      const stream = codebaseStream(id);
      const command = { id: randomUUID(), digest: '0'.repeat(64) };
      await log.append(stream, 'noStream', [
        newFact({ type: 'codebase.registered', ...parts, key: id, time, data: { codebaseId: id, sourceId: SOURCE, gitlabProjectId: project, path: null, followed: { branches: ['*'], tags: [] }, command } }),
        newFact({ type: 'codebase.removed', ...parts, key: id, time, data: { codebaseId: id, command } }),
      ]);
      await until('a removal behind it is over', async () => (await log.readStream(stream, { limit: 100 })).some(({ type }) => type === 'codebase.deleted'));
    },
    idle: () => until('all is worked on', async () => (await store.loadCheckpoint('scheduler')) === (await log.head())),
    async forget() {
      await (await running).stop();
      store = createMemoryGroupStore();
      running = startScheduler();
    },
    stop: async () => (await running).stop(),
  };
}

const parts = { key: CODEBASE, actor: { kind: 'token', id: 't' } as const, correlationId: 'x', causationId: null, time: new Date() };
const registered = () => newFact({
  type: 'codebase.registered', ...parts,
  data: { codebaseId: CODEBASE, sourceId: SOURCE, gitlabProjectId: PROJECT, path: null, followed: { branches: ['*'], tags: [] }, command: { id: 'x', digest: '0'.repeat(64) } },
});

let world: ReturnType<typeof createWorld>;
beforeEach(() => { world = createWorld(); });
afterEach(async () => { await world.stop(); });

test('a registered codebase gets a webhook with our address and both secrets, and the fact says that it is signed', async () => {
  await world.register();
  expect(await world.told()).toMatchObject([{ type: 'hook.installed', revision: 1, data: { codebaseId: CODEBASE, gitlabHookId: 100, how: 'created', isSigned: true } }]);
  expect(world.gitlab.sent).toEqual([{ url: URL_OF_OURS, token: 'plain', signingToken: 'whsec_x' }]);
});

test('a GitLab that does not sign is told apart', async () => {
  world.gitlab.isSigning = false;
  await world.register();
  expect(await world.told()).toMatchObject([{ type: 'hook.installed', data: { isSigned: false } }]);
});

test('a webhook with our address that stands there already is adopted, never doubled; others are left alone', async () => {
  world.gitlab.hooks = [hookAt(9, 'http://elsewhere'), hookAt(5, URL_OF_OURS)];
  await world.register();
  expect(await world.told()).toMatchObject([{ type: 'hook.installed', data: { gitlabHookId: 5, how: 'adopted' } }]);
  expect(world.gitlab.hooks.map(({ id }) => id).toSorted()).toEqual([5, 9]);
});

test('of several hooks with our address the oldest is ours', () => {
  expect(decideHook([hookAt(9, 'u'), hookAt(4, 'u'), hookAt(1, 'other')], 'u')).toEqual({ kind: 'adopt', hookId: 4 });
  expect(decideHook([hookAt(1, 'u/')], 'u')).toEqual({ kind: 'create' });
});

test('a refusal is told, with what GitLab said and what to do', async () => {
  world.gitlab.is = 'refused';
  await world.register();
  expect(await world.told()).toMatchObject([{ type: 'hook.refused', data: { reason: expect.stringMatching(/403 Forbidden.*scope api/s) } }]);
});

test('a webhook that GitLab will never take is a refusal too, with the address that it does not like', async () => {
  world.gitlab.onCreate = async () => { throw new GitLabRequestError('make the webhook', 422, 'Invalid url given: url is blocked'); };
  await world.register();
  const told = await world.told();
  expect(told).toMatchObject([{ type: 'hook.refused', data: { reason: expect.stringContaining('url is blocked') } }]);
  expect((told[0] as Fact<'hook.refused'>).data.reason).toContain(URL_OF_OURS);
});

test.each(['away', 'absent'] as const)('while GitLab is %s the hook stays pending; it is installed when that is over', async (how) => {
  world.gitlab.is = how;
  await world.register();
  await until('it was asked again and again', () => world.gitlab.asked > 4);
  expect((await world.facts()).map(({ type }) => type)).toEqual(['codebase.registered']);
  world.gitlab.is = 'there';
  expect(await world.told()).toMatchObject([{ type: 'hook.installed' }]);
});

test('a source without secrets is waited for', async () => {
  world.secrets.there = false;
  await world.register();
  world.secrets.there = true;
  expect(await world.told()).toMatchObject([{ type: 'hook.installed' }]);
});

test('a codebase that changes meanwhile is looked at again: one hook, told once, behind the change', async () => {
  world.gitlab.onCreate = async () => {
    world.gitlab.onCreate = async () => undefined;
    await world.log.append(STREAM, 0, [newFact({ type: 'hook.refused', ...parts, data: { codebaseId: CODEBASE, sourceId: SOURCE, reason: 'another decision' } })]);
  };
  await world.register();
  await until('it is told', async () => (await world.facts()).some(({ type }) => type === 'hook.installed'));
  expect((await world.facts()).map(({ type }) => type)).toEqual(['codebase.registered', 'hook.refused', 'hook.installed']);
  expect(world.gitlab.hooks).toHaveLength(1);
});

/** I4. */
test.each(['there', 'refused'] as const)('a registration that comes again, GitLab being %s, tells nothing new and asks GitLab nothing', async (how) => {
  world.gitlab.is = how;
  await world.register();
  await world.told();
  const { asked } = world.gitlab;
  await world.forget();
  await world.idle();
  expect(await world.told()).toHaveLength(1);
  expect(world.gitlab.asked).toBe(asked);
});

describe('a codebase that is removed', () => {
  const last = async () => (await world.types()).at(-1);
  beforeEach(async () => { await world.register(); await world.told(); });

  test('loses its webhook; restored, it gets one again', async () => {
    world.gitlab.hooks.push(hookAt(9, 'http://elsewhere'));
    await world.decide('codebase.removed');
    await until('the hook is gone', async () => (await last()) === 'hook.removed');
    expect(world.gitlab.hooks.map(({ id }) => id)).toEqual([9]);
    await world.decide('codebase.restored');
    await until('the hook is back', async () => (await last()) === 'hook.installed');
    expect(world.gitlab.hooks.filter(({ url }) => url === URL_OF_OURS)).toHaveLength(1);
    expect(await world.types()).toEqual(['codebase.registered', 'hook.installed', 'codebase.removed', 'hook.removed', 'codebase.restored', 'hook.installed']);
  });

  test('and whose webhook GitLab has not is done; one that GitLab will not give up is told, and keeps nothing waiting', async () => {
    world.gitlab.hooks = [];
    await world.decide('codebase.removed');
    await until('it is told', async () => (await last()) === 'hook.removed');
    await world.decide('codebase.restored');
    await until('the hook is back', async () => (await last()) === 'hook.installed');
    world.gitlab.is = 'refused';
    await world.decide('codebase.removed');
    await until('it is told', async () => (await last()) === 'hook.refused');
    expect((await world.facts()).at(-1)).toMatchObject({ data: { reason: expect.stringMatching(/403 Forbidden.*by hand/s) } });
    await world.idle();
  });

  test('archived, it keeps its webhook', async () => {
    await world.decide('codebase.archived');
    await world.idle();
    expect(world.gitlab.hooks).toHaveLength(1);
  });

  test('restored in the moment in which its webhook is taken away has one in the end', async () => {
    world.gitlab.onDelete = async () => {
      world.gitlab.onDelete = async () => undefined;
      await world.decide('codebase.restored');
    };
    await world.decide('codebase.removed');
    await until('all is told', async () => (await last()) === 'hook.installed' && (await world.types()).includes('codebase.restored'));
    await world.idle();
    expect(world.gitlab.hooks.filter(({ url }) => url === URL_OF_OURS)).toHaveLength(1);
    expect(await last()).toBe('hook.installed');
  });

  test('is deleted after seven days, not before, once, and by a scheduler that was started meanwhile; GitLab may be away', async () => {
    world.gitlab.is = 'away';
    await world.decide('codebase.removed');
    world.clock.time += 7 * DAY_MS - 60_000;
    await world.forget();
    await world.removalsLookedAt();
    expect(await world.types()).not.toContain('codebase.deleted');
    world.clock.time += 60_000;
    await until('it is deleted', async () => (await world.types()).includes('codebase.deleted'));
    await world.forget();
    await world.removalsLookedAt();
    expect((await world.facts()).filter(({ type }) => type === 'codebase.deleted')).toMatchObject([{ actor: { kind: 'scheduler' }, data: { codebaseId: CODEBASE } }]);
  });

  test('and restored in time is not deleted, nor is what is removed again before its own seven days', async () => {
    await world.decide('codebase.removed');
    world.clock.time += 6 * DAY_MS;
    await world.decide('codebase.restored');
    world.clock.time += 2 * DAY_MS;
    await world.removalsLookedAt();
    expect(await world.types()).not.toContain('codebase.deleted');
    await world.decide('codebase.removed');
    await world.removalsLookedAt();
    await world.forget();
    await world.removalsLookedAt();
    world.clock.time += 7 * DAY_MS - 1;
    await world.removalsLookedAt();
    expect(await world.types()).not.toContain('codebase.deleted');
    world.clock.time += 1;
    await until('it is deleted', async () => (await world.types()).includes('codebase.deleted'));
  });
});

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`waited in vain: ${what}`);
    await delay(2);
  }
}

test('a GitLab that does not answer keeps the webhooks of another waiting for nothing', async () => {
  const silent = hanging();
  const held = [registeredAt(SOURCE, 21), registeredAt(SOURCE, 22), registeredAt(SOURCE, 23)];
  const other = registeredAt(randomUUID() as SourceId, 24);
  world.gitlab.onCreate = async (project) => { if (project !== 24) await silent.promise; };
  try {
    for (const fact of [...held, other]) await world.log.append(codebaseStream(fact.data.codebaseId), 'noStream', [fact]);
    const toldOf = async ({ data }: typeof other) => (await world.log.readStream(codebaseStream(data.codebaseId), { limit: 100 })).some(({ type }) => type === 'hook.installed');
    await until('the other has its webhook', () => toldOf(other));
    expect(await Promise.all(held.map(toldOf))).toEqual([false, false, false]);
    silent.resolve();
    for (const fact of held) await until('it has its webhook too', () => toldOf(fact));
  } finally {
    silent.resolve();
  }
});

function registeredAt(sourceId: SourceId, project: number) {
  const codebaseId = codebaseIdOf(sourceId, project as GitLabProjectId);
  return newFact({
    type: 'codebase.registered', ...parts, key: codebaseId,
    data: { codebaseId, sourceId, gitlabProjectId: project as GitLabProjectId, path: null, followed: { branches: ['*'], tags: [] }, command: { id: randomUUID(), digest: '0'.repeat(64) } },
  });
}

function hanging(): { readonly promise: Promise<void>; resolve(): void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => { resolve = done; });
  return { promise, resolve: () => resolve() };
}
