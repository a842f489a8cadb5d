import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BEGINNING, type CodebaseId, type FactId, type GitLabProjectId, type ObjectId, type Position, type RefName, type SourceId, type StreamName } from '#schemas/brand.ts';
import type { RefHint } from '#schemas/events/push-received.ts';
import type { Fact, FactType, NewFact } from '#schemas/events/facts.ts';
import { codebaseIdOf, codebaseStream, syncIdOf, syncStream } from '#schemas/ids.ts';
import { createMemoryBlobStore } from '#shared/blobs/memory-blob-store.ts';
import type { Bus } from '#shared/bus/bus.ts';
import { createLogBus } from '#shared/bus/log-bus.ts';
import { createMemoryGroupStore } from '#shared/bus/memory-group-store.ts';
import { createLocalProgressChannel } from '#shared/bus/local-progress-channel.ts';
import { MissingObject, type CommitObjects, type GitObject, type OpenCommit, type Opened } from '#shared/gitlab/git-transport.ts';
import type { GitLab, GitLabProject } from '#shared/gitlab/gitlab.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { gitId } from '#shared/objects/git-objects.ts';
import type { ObjectKind } from '#shared/objects/object-index.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { start } from './service.ts';

export const SOURCE = randomUUID() as SourceId;
export const MAIN = 'refs/heads/main' as RefName;
export const FEATURE = 'refs/heads/feature' as RefName;
export const ZEROS = '0'.repeat(40);
const PROJECT = 7 as GitLabProjectId;
export const CODEBASE = codebaseIdOf(SOURCE, PROJECT);
const ENDS = new Set(['codebase.stored', 'sync.skipped', 'ref.deleted', 'ref.unfollowed', 'sync.failed']);
const STATE_MS_MAX = 20_000;
/** The bus's own rhythm: not a wait for anything that a test is about. */
const HOUSEKEEPING_MS = new Set([250, 1_000, 2_500]);

/** A GitLab and its git, as a test wants them to be. */
export interface FakeGitLab {
  project: Partial<GitLabProject>;
  readonly refs: Map<string, ObjectId>;
  /** What GitLab shows instead of its refs, once each, oldest first: a replica that is behind, or a 404 that is none. */
  readonly shownOnce: (ObjectId | 'absent')[];
  /** Commits that REST does not know yet. */
  readonly unknown: Set<ObjectId>;
  is: 'there' | 'away' | 'absent' | 'refused';
  readonly asked: string[];
  readonly objects: Map<ObjectId, GitObject>;
  readonly damaged: Set<ObjectId>;
  /** Called before git answers; may wait, throw, or answer itself. */
  onOpen: (request: OpenCommit) => Promise<Opened | undefined> | Opened | undefined;
  onClose: () => Promise<void>;
  /** A commit of one file; returns its id. */
  commit(content: string): ObjectId;
}

export interface World {
  readonly log: EventLog;
  readonly gitlab: FakeGitLab;
  readonly bus: Bus;
  hasCredentials: boolean;
  /** Whether scanner and storage-writer do their part. */
  isStoring: boolean;
  register(followed?: { branches: string[]; tags: string[] }): Promise<FactId>;
  /** What people decide behind that, at whatever revision. */
  decide(type: 'codebase.registered' | 'codebase.changed' | 'codebase.archived' | 'codebase.restored' | 'codebase.removed' | 'codebase.deleted', data?: object): Promise<FactId>;
  push(ref: string, before: string | null, after: string | null, more?: RefHint[]): Promise<FactId>;
  request(ref: RefName | null): Promise<FactId>;
  /** What became of a cause for a ref, once it has ended. */
  ended(cause: FactId, ref?: RefName): Promise<Fact>;
  syncFacts(): Promise<Fact[]>;
  /** As it stands in the log. */
  facts(id: FactId): Promise<Fact[]>;
  /** Everything that stands in the log was worked on, or set aside. */
  idle(): Promise<void>;
  /** The process ends and another one starts; it may have forgotten its checkpoint. */
  restart(options?: { forgets: boolean }): Promise<void>;
  stop(): Promise<void>;
}

export async function createWorld(): Promise<World> {
  const log = createMemoryEventLog();
  const gitlab = createFakeGitLab();
  const known = new Set<ObjectId>();
  const workDirectory = await mkdtemp(path.join(tmpdir(), 'tekai-fetcher-'));
  let store = createMemoryGroupStore();
  let time = Date.parse('2026-01-01T00:00:00Z');
  const now = () => new Date(time);
  // Time passes by waiting only: 60 s of GitLab's lag take as many looks as they would, and no longer.
  const busSleep = async (ms: number, signal: AbortSignal) => {
    // One more, so that a wait that grows with the time passed is never taken for housekeeping.
    if (!HOUSEKEEPING_MS.has(ms)) time += ms + 1;
    await delay(2, undefined, { signal }).catch(() => undefined);
  };
  const createBus = () => createLogBus({ log, store, progress: createLocalProgressChannel(), logger: createLogger('silent'), now, sleep: busSleep });
  const query = createHeadsTable();
  let bus = createBus();
  let running: RunningService;
  const others = new AbortController();

  const world: World = {
    log, gitlab, hasCredentials: true, isStoring: true,
    get bus() { return bus; },
    register: (followed = { branches: ['*'], tags: [] }) => add(codebaseStream(CODEBASE), {
      type: 'codebase.registered',
      data: { codebaseId: CODEBASE, sourceId: SOURCE, gitlabProjectId: PROJECT, path: 'a/b', followed, command: { id: 'x', digest: '0'.repeat(64) } },
    }),
    async decide(type, data = {}) {
      const stream = codebaseStream(CODEBASE);
      const made = { codebaseId: CODEBASE, ...(type === 'codebase.deleted' ? {} : { command: { id: randomUUID(), digest: '0'.repeat(64) } }), ...data };
      const fact = newFact({ type, data: made as never, key: CODEBASE, actor: { kind: 'token', id: 't' }, correlationId: 'x', causationId: null, time: now() });
      await log.append(stream, (await log.readStream(stream, { limit: 500 })).length - 1, [fact]);
      return fact.id;
    },
    push: (ref, before, after, more = []) => add(`delivery-${randomUUID()}-${randomUUID()}` as StreamName, {
      type: 'push.received',
      data: { deliveryId: randomUUID(), sourceId: SOURCE, codebaseId: CODEBASE, gitlabProjectId: PROJECT, refs: [{ ref: ref as RefName, before, after }, ...more], body: { bytes: 1, sha256: '0'.repeat(64) } },
    }),
    request: (ref) => add(`command-${randomUUID()}` as StreamName, { type: 'sync.requested', data: { codebaseId: CODEBASE, ref, command: { id: randomUUID(), digest: '0'.repeat(64) } } }),
    async ended(cause, ref = MAIN) {
      let last: Fact | undefined;
      await until(`the sync of ${ref} by ${cause} has ended`, async () => {
        last = (await log.readStream(syncStream(syncIdOf(cause, CODEBASE, ref)), { limit: 10 })).at(-1) as Fact | undefined;
        return last !== undefined && ENDS.has(last.type);
      });
      return last as Fact;
    },
    syncFacts: async () => (await allOf(log)).filter((fact) => fact.stream.startsWith('sync-')),
    facts: async (id) => (await allOf(log)).filter((fact) => fact.id === id),
    idle: () => until('all is worked on', async () => (await store.loadCheckpoint('fetcher')) === (await log.head())),
    async restart({ forgets } = { forgets: false }) {
      await running.stop();
      if (forgets) store = createMemoryGroupStore();
      bus = createBus();
      running = await startFetcher();
    },
    async stop() {
      others.abort();
      await running.stop();
      await rm(workDirectory, { recursive: true, force: true });
    },
  };

  async function add<Type extends FactType>(stream: StreamName, parts: Pick<NewFact<Type>, 'data'> & { type: Type }): Promise<FactId> {
    const fact = newFact<Type>({ ...parts, key: CODEBASE, actor: { kind: 'token', id: 't' }, correlationId: 'x', causationId: null, time: now() });
    await log.append(stream, 'noStream', [fact]);
    return fact.id;
  }

  const startFetcher = () => start({
    log, bus, query, now, workDirectory, logger: createLogger('silent'), blobs: createMemoryBlobStore(),
    sources: { access: async () => (world.hasCredentials ? { baseUrl: 'http://gitlab', token: 't', caPem: undefined, proxyUrl: undefined } : undefined) },
    openGitLab: () => gitlabOf(gitlab),
    transport: { open: async (request) => (await gitlab.onOpen(request)) ?? openCommit(gitlab, request.commit) },
    index: { known: async (ids) => new Set(ids.filter((id) => known.has(id))), places: async () => new Map(), findings: async () => new Map(), entries: async () => new Map() },
    reader: { read: async (id) => { const object = gitlab.objects.get(id); return object as never; } },
    sleep: (ms, signal) => delay(Math.min(ms, 5), undefined, { signal }).catch(() => undefined),
  }, { concurrency: 4, concurrencyOfSource: 2 });

  running = await startFetcher();
  void storeWhatIsFetched({ log, gitlab, known, signal: others.signal, isStoring: () => world.isStoring });
  return world;
}

/** Registered, and its main stored at this commit. */
export async function followMain({ gitlab, ended, register }: World, content = 'first'): Promise<ObjectId> {
  const commit = gitlab.commit(content);
  gitlab.refs.set(MAIN, commit);
  await ended(await register());
  return commit;
}

/** Somewhere between a look and its consequence; resolves when GitLab was asked so often for something. */
export const untilAsked = ({ gitlab }: World, what: string, times: number) =>
  until(`GitLab was asked for ${what} ${times} times`, () => gitlab.asked.filter((one) => one.startsWith(what)).length >= times);

/** Scanner and storage-writer, as far as the fetcher knows them: what was fetched is scanned and stored. */
async function storeWhatIsFetched({ log, gitlab, known, signal, isStoring }: { log: EventLog; gitlab: FakeGitLab; known: Set<ObjectId>; signal: AbortSignal; isStoring(): boolean }): Promise<void> {
  for await (const { facts } of log.subscribe({ after: BEGINNING, prefixes: ['sync-'], signal })) {
    for (const fact of facts as Fact[]) {
      if (fact.type !== 'codebase.fetched') continue;
      await until('there is somebody who stores', () => isStoring() || signal.aborted);
      const { packs: _packs, counts: _counts, bytes: _bytes, ...data } = fact.data;
      for (const id of gitlab.objects.keys()) known.add(id);
      const stored = { ...fact, type: 'codebase.stored', id: randomUUID(), data: { ...data, objectsAdded: 1 }, causationId: fact.id };
      await log.append(fact.stream, fact.revision, [stored as never]);
    }
  }
}

/** The fetcher's table, in memory. */
function createHeadsTable(): never {
  const rows = new Map<string, Record<string, unknown> & { position: Position }>();
  const begun = new Map<string, { ref: string; cause: string }>();
  return (async (sql: string, values: readonly unknown[]) => {
    if (sql.startsWith('insert into fetcher_terms')) return [];
    if (sql.includes('fetcher_begun')) {
      const [of, one, cause] = values as [string, string, string];
      if (sql.startsWith('select cause_id')) return [begun.get(`${of} ${one}`)].flatMap((row) => (row === undefined ? [] : [{ cause_id: row.cause, sync_id: rows.get(`${of} ${one}`)?.['sync_id'] ?? null }]));
      if (sql.startsWith('select')) return [...begun.entries()].filter(([key, row]) => key.startsWith(of) && row.cause === one).map(([, { ref: name }]) => ({ ref: name }));
      begun.set(`${of} ${one}`, { ref: one, cause });
      return [{}];
    }
    const [codebase, ref, commit_id, is_deleted, sync_id, position] = values as [CodebaseId, RefName, ObjectId, boolean, string, Position];
    if (sql.startsWith('select')) return [...rows.values()].filter((row) => row['codebase_id'] === codebase && row.position > (ref as string as Position));
    const before = rows.get(`${codebase} ${ref}`);
    if (before === undefined || before.position < position) rows.set(`${codebase} ${ref}`, { codebase_id: codebase, ref, commit_id, is_deleted, sync_id, position });
    return [];
  }) as never;
}

function createFakeGitLab(): FakeGitLab {
  const gitlab: FakeGitLab = {
    project: {}, refs: new Map(), shownOnce: [], unknown: new Set(), is: 'there', asked: [], objects: new Map(), damaged: new Set(),
    onOpen: () => undefined, onClose: async () => undefined,
    commit(content) {
      const put = (kind: ObjectKind, bytes: Buffer) => {
        const id = gitId(kind, bytes, 'sha1');
        gitlab.objects.set(id, { id, kind, bytes: bytes.length, content: bytes });
        return id;
      };
      const blob = put('blob', Buffer.from(content));
      const tree = put('tree', Buffer.concat([Buffer.from('100644 file\0'), Buffer.from(blob, 'hex')]));
      return put('commit', Buffer.from(`tree ${tree}\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\n${content}\n`));
    },
  };
  return gitlab;
}

function openCommit(gitlab: FakeGitLab, commit: ObjectId): Opened {
  if (!gitlab.objects.has(commit)) return { kind: 'commitAbsent', detail: 'not our ref' };
  const objects: CommitObjects = {
    isComplete: true,
    async* read(ids) {
      for (const id of ids) {
        const object = gitlab.objects.get(id);
        if (object === undefined || gitlab.damaged.has(id)) throw new MissingObject(`object ${id}`);
        yield object;
      }
    },
    bringAll: async () => undefined,
    close: () => gitlab.onClose(),
  };
  return { kind: 'ok', objects };
}

function gitlabOf(gitlab: FakeGitLab): GitLab {
  const answer = <T>(what: string, value: () => T | undefined) => {
    gitlab.asked.push(what);
    if (gitlab.is === 'away') throw new Unavailable('gitlab http://gitlab', '502');
    if (gitlab.is === 'absent') return { kind: 'absent', detail: '404 Project Not Found' } as const;
    if (gitlab.is === 'refused') return { kind: 'refused', status: 401, detail: '401 Unauthorized' } as const;
    const found = value();
    return found === undefined ? ({ kind: 'absent', detail: '404 Not Found' } as const) : ({ kind: 'ok', value: found } as const);
  };
  const project = (): GitLabProject => ({
    id: PROJECT, path: 'a/b', defaultBranch: 'main', isEmpty: gitlab.refs.size === 0, isArchived: false, visibility: 'private', beyondMembers: 'nobody', httpUrl: 'http://gitlab/a/b.git', objectFormat: 'sha1', forkedFrom: null, ...gitlab.project,
  });
  const shown = (ref: string) => {
    const once = gitlab.shownOnce.shift();
    const commit = once === 'absent' ? undefined : once ?? gitlab.refs.get(ref);
    return commit && { commit, parents: [] };
  };
  const notAsked = () => { throw new Error('the fetcher does not ask this'); };
  return {
    project: async () => answer('project', project),
    head: async (_project, ref) => answer(`head ${ref}`, () => shown(ref)),
    heads: async () => answer('heads', () => [...gitlab.refs].map(([ref, commit]) => ({ ref: ref as RefName, commit }))),
    hasCommit: async (_project, commit) => answer(`commit ${commit}`, () => gitlab.objects.has(commit) && !gitlab.unknown.has(commit)),
    version: notAsked, tokenSelf: notAsked, currentUser: notAsked, groups: notAsked, projects: notAsked, members: notAsked, member: notAsked, ownProjects: notAsked, hooks: notAsked, createHook: notAsked, updateHook: notAsked, testHook: notAsked, deleteHook: notAsked,
  };
}

async function allOf(log: EventLog): Promise<Fact[]> {
  const all: Fact[] = [];
  const stopping = new AbortController();
  for await (const { facts, isCaughtUp } of log.subscribe({ after: BEGINNING, prefixes: [], signal: stopping.signal })) {
    all.push(...(facts as Fact[]));
    if (isCaughtUp) return all;
  }
  return all;
}

/** Waits for a state, never for a time. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + STATE_MS_MAX;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`waited in vain: ${what}`);
    await delay(2);
  }
}
