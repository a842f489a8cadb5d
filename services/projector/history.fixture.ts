import { createHash, randomUUID } from 'node:crypto';
import type { CodebaseId, FactId, ObjectId, Position, RefName, SourceId, StreamName, SyncId, UserId } from '#schemas/brand.ts';
import type { Fact, FactType, NewFact } from '#schemas/events/facts.ts';
import { codebaseIdOf, codebaseStream, commandStream, deliveryStream, peopleStream, readersStream, sourceStream, syncIdOf, syncStream } from '#schemas/ids.ts';
import { newFact } from '#shared/runtime/new-fact.ts';

export interface Sync { readonly id: SyncId; readonly codebase: CodebaseId; readonly ref: RefName; readonly cause: Fact }

type Data<Type extends FactType> = Partial<NewFact<Type>['data']>;

const BODY = { bytes: 2, sha256: '0'.repeat(64) };
const COMMAND = { id: 'c', digest: '0'.repeat(64) };

/** An id that looks like git's. */
export const idOf = (text: string) => createHash('sha1').update(text).digest('hex') as ObjectId;

/** A log as the services would write it: facts in their streams, a second apart, each with a place. What a test does not say is filled in. */
export class History {
  readonly facts: Fact[] = [];
  readonly #revisions = new Map<StreamName, number>();

  /** The time of the nth second. */
  static at(second: number): string {
    return new Date(Date.UTC(2026, 0, 1, 12, 0, second)).toISOString();
  }

  get now(): string { return History.at(this.facts.length); }

  record<Type extends FactType>(stream: StreamName, type: Type, parts: { key: string; data: NewFact<Type>['data']; cause?: Fact; time?: string }): Fact<Type> {
    const revision = (this.#revisions.get(stream) ?? -1) + 1;
    this.#revisions.set(stream, revision);
    const fact = newFact<Type>({
      type, key: parts.key, data: parts.data, actor: { kind: 'worker', id: 'history' }, time: new Date(parts.time ?? this.now),
      correlationId: parts.cause?.correlationId ?? randomUUID(), causationId: parts.cause?.id ?? null,
    });
    const recorded = { ...fact, stream, revision, position: String(this.facts.length + 1).padStart(20, '0') as Position } as Fact<Type>;
    this.facts.push(recorded as unknown as Fact);
    return recorded;
  }

  sourceRegistered(sourceId = randomUUID() as SourceId, data: Data<'source.registered'> = {}) {
    return this.record(sourceStream(sourceId), 'source.registered', { key: sourceId, data: { sourceId, name: 'gitlab.example.com', baseUrl: 'https://gitlab.example.com', command: COMMAND, ...data } });
  }

  codebaseRegistered(sourceId = randomUUID() as SourceId, gitlabProjectId = 15 as never, data: Data<'codebase.registered'> = {}) {
    const codebaseId = codebaseIdOf(sourceId, gitlabProjectId);
    return this.record(codebaseStream(codebaseId), 'codebase.registered', {
      key: codebaseId, data: { codebaseId, sourceId, gitlabProjectId, path: 'group/app', followed: { branches: ['*'], tags: [] }, command: COMMAND, ...data },
    });
  }

  hookInstalled({ data: { codebaseId, sourceId } }: Fact<'codebase.registered'>, isSigned = true) {
    return this.record(codebaseStream(codebaseId), 'hook.installed', { key: codebaseId, data: { codebaseId, sourceId, gitlabHookId: 7, how: 'created', isSigned } });
  }

  hookRefused({ data: { codebaseId, sourceId } }: Fact<'codebase.registered'>, reason = '403') {
    return this.record(codebaseStream(codebaseId), 'hook.refused', { key: codebaseId, data: { codebaseId, sourceId, reason } });
  }

  /** What people decide, whatever it is: the command's mark is filled in. */
  decided(stream: string, type: 'source.changed' | 'source.removed' | 'codebase.changed' | 'codebase.archived' | 'codebase.restored' | 'codebase.removed' | 'codebase.deleted' | `project.${'created' | 'renamed' | 'archived' | 'restored' | 'removed' | 'codebase-added' | 'codebase-removed' | 'member-added' | 'member-changed' | 'member-removed' | 'reading-given' | 'reading-taken'}`, data: object) {
    return this.record(stream as StreamName, type, { key: stream.slice(stream.indexOf('-') + 1), data: { ...data, ...(type === 'codebase.deleted' ? {} : { command: COMMAND }) } as never });
  }

  readersObserved({ data: { codebaseId, sourceId, gitlabProjectId } }: Fact<'codebase.registered'>, data: Data<'codebase.readers-observed'>) {
    return this.record(readersStream(codebaseId), 'codebase.readers-observed', { key: codebaseId, data: { codebaseId, sourceId, gitlabProjectId, granted: [], revoked: [], beyondMembers: 'nobody', observedAt: this.now, ...data } });
  }

  bound(sourceId: SourceId, userId: string, gitlabUserId: number) {
    return this.record(peopleStream(sourceId), 'user.gitlab-bound', { key: userId, data: { userId: userId as UserId, sourceId, gitlabUserId } });
  }

  unbound(sourceId: SourceId, userId: string, gitlabUserId: number) {
    return this.record(peopleStream(sourceId), 'user.gitlab-unbound', { key: userId, data: { userId: userId as UserId, sourceId, gitlabUserId } });
  }

  unfollowed(sync: Sync) {
    return this.#step(sync, 'ref.unfollowed', { lastCommit: null });
  }

  pushReceived(codebaseId: CodebaseId, refs: readonly string[], time?: string) {
    const [sourceId, deliveryId] = [randomUUID() as SourceId, randomUUID()];
    return this.record(deliveryStream(sourceId, deliveryId), 'push.received', {
      key: codebaseId, ...(time === undefined ? {} : { time }),
      data: { deliveryId, sourceId, codebaseId, gitlabProjectId: 15 as never, refs: refs.map((ref) => ({ ref: ref as RefName, before: null, after: null })), body: BODY },
    });
  }

  syncRequested(codebaseId: CodebaseId, ref: string | null) {
    return this.record(commandStream('a', randomUUID()), 'sync.requested', { key: codebaseId, data: { codebaseId, ref: ref as RefName | null, command: COMMAND } });
  }

  deliveryIgnored(sourceId = randomUUID() as SourceId) {
    const deliveryId = randomUUID();
    return this.record(deliveryStream(sourceId, deliveryId), 'delivery.ignored', { key: sourceId, data: { deliveryId, sourceId, reason: 'no work', body: BODY } });
  }

  gitlabHinted(sourceId = randomUUID() as SourceId) {
    const deliveryId = randomUUID();
    return this.record(deliveryStream(sourceId, deliveryId), 'gitlab.hinted', { key: sourceId, data: { deliveryId, sourceId, about: 'members', event: 'x', gitlabProjectId: null, body: BODY } });
  }

  /** The sync that a cause leads to for a ref. Nothing is recorded yet. */
  sync(cause: Fact, ref = 'refs/heads/main'): Sync {
    const codebase = (cause.data as { codebaseId: CodebaseId }).codebaseId;
    return { id: syncIdOf(cause.id as FactId, codebase, ref as RefName), codebase, ref: ref as RefName, cause };
  }

  fetched(sync: Sync, content: string | null, data: Data<'codebase.fetched'> = {}) {
    return this.#step(sync, 'codebase.fetched', { ...this.#state(content), packs: [], counts: { commits: 1, trees: 2, blobs: 3 }, bytes: 6_000_000_000, attempt: 1, ...data });
  }

  scanned(sync: Sync, content: string | null, data: Data<'codebase.scanned'> = {}) {
    return this.#step(sync, 'codebase.scanned', { ...this.#state(content), packs: [], counts: { commits: 1, trees: 2, blobs: 3 }, findings: null, attempt: 1, ...data });
  }

  stored(sync: Sync, content: string | null, data: Data<'codebase.stored'> = {}) {
    return this.#step(sync, 'codebase.stored', { ...this.#state(content), counts: { commits: 1, trees: 2, blobs: 3 }, objectsAdded: 6, ...data });
  }

  skipped(sync: Sync, content: string | null, data: Data<'sync.skipped'> = {}) {
    return this.#step(sync, 'sync.skipped', { reason: 'up-to-date', coveredBy: null, commit: content === null ? null : idOf(content), defaultRef: 'refs/heads/main' as RefName, observedAt: this.now, hintReached: null, ...data });
  }

  deleted(sync: Sync, data: Data<'ref.deleted'> = {}) {
    return this.#step(sync, 'ref.deleted', { lastCommit: null, defaultRef: 'refs/heads/main' as RefName, observedAt: this.now, ...data });
  }

  failed(sync: Sync, data: Data<'sync.failed'> = {}) {
    return this.#step(sync, 'sync.failed', { step: 'store', reason: 'pack-damaged', detail: 'it does not hash to its name', attempt: 1, ...data });
  }

  #state(content: string | null) {
    return {
      commit: content === null ? null : idOf(content), commitTime: content === null ? null : History.at(0), tree: idOf(`tree of ${content}`),
      objectFormat: 'sha1' as const, defaultRef: 'refs/heads/main' as RefName, observedAt: this.now, hintReached: null,
    };
  }

  #step<Type extends FactType>({ id, codebase, ref, cause }: Sync, type: Type, data: object): Fact<Type> {
    const before = this.facts.findLast((fact) => fact.stream === syncStream(id)) ?? cause;
    return this.record(syncStream(id), type, { key: codebase, cause: before, data: { syncId: id, codebaseId: codebase, ref, ...data } as unknown as NewFact<Type>['data'] });
  }
}

/**
 * Any history that the services could write, from any row of numbers: several sources, codebases and refs, syncs that pass each
 * other, fail and are tried again, refs that come and go, pushes to what nobody registered.
 */
export function anyHistory(choices: readonly number[]): History {
  const history = new History();
  const registered: Fact<'codebase.registered'>[] = [];
  const causes: Sync[] = [];
  const under: { sync: Sync; steps: number; content: string }[] = [];
  const refs = ['refs/heads/main', 'refs/heads/side', 'refs/tags/v1', 'refs/heads/ünï-\u{1f600}'];
  const strangers = randomUUID() as CodebaseId;
  for (const choice of choices) {
    const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(choice / 16) % Math.max(1, items.length)];
    const codebase = pick(registered);
    const target = codebase?.data.codebaseId ?? strangers;
    const ref = refs[choice % refs.length] ?? '';
    switch (choice % 16) {
      case 0: history.sourceRegistered(); break;
      case 1: {
        const fact = history.codebaseRegistered();
        registered.push(fact);
        causes.push(history.sync(fact as unknown as Fact), history.sync(fact as unknown as Fact, 'refs/heads/side'));
        break;
      }
      case 2: if (codebase !== undefined) { if (choice % 3 === 0) history.hookRefused(codebase); else history.hookInstalled(codebase, choice % 2 === 0); } break;
      case 3: decideSomething(history, registered, choice); break;
      case 4: case 5: case 6: {
        const named = choice % 5 === 0 ? [] : [ref, 'refs/heads/main', ref];
        const fact = history.pushReceived(target, named, choice % 7 === 0 ? History.at(0) : undefined) as unknown as Fact;
        causes.push(...[...new Set(named)].map((one) => history.sync(fact, one)));
        break;
      }
      case 7: {
        const fact = history.syncRequested(target, choice % 3 === 0 ? null : ref) as unknown as Fact;
        causes.push(history.sync(fact, ref));
        break;
      }
      default: stepOf(history, { causes, under, choice });
    }
  }
  // Behind the rest, which stays as it was.
  for (const [nth, { data: { sourceId, codebaseId: user } }] of registered.entries()) {
    history.bound(sourceId, user, nth + 1);
    if (nth % 3 === 1) history.bound(sourceId, user, nth + 100);
    if (nth % 3 === 2) history.unbound(sourceId, user, nth + 1);
  }
  return history;
}

/** Lifecycles of codebases, and a project that has some of them. */
function decideSomething(history: History, registered: readonly Fact<'codebase.registered'>[], choice: number): void {
  history.deliveryIgnored();
  history.gitlabHinted();
  const one = registered[Math.floor(choice / 128) % Math.max(1, registered.length)];
  if (one === undefined) return;
  history.readersObserved(one, { granted: [1 + (choice % 7)], revoked: choice % 3 === 0 ? [1 + (choice % 5)] : [], beyondMembers: choice % 2 === 0 ? 'nobody' : 'everybody' });
  const { codebaseId, sourceId } = one.data;
  const projectId = '5b6f0a8e-55cd-4a8e-9c39-0a3f5d8d1f10';
  const isFirst = !history.facts.some(({ type }) => type === 'project.created');
  if (isFirst) history.decided(`project-${projectId}`, 'project.created', { projectId, name: 'all' });
  const kinds = ['codebase.changed', 'codebase.archived', 'codebase.restored', 'codebase.removed', 'project.codebase-added', 'project.codebase-removed', 'project.renamed', 'source.changed', 'project.member-added', 'project.member-changed', 'project.member-removed', 'project.reading-given', 'project.reading-taken'] as const;
  const kind = kinds[Math.floor(choice / 16) % kinds.length] ?? 'codebase.changed';
  if (kind.startsWith('project')) history.decided(`project-${projectId}`, kind, { projectId, codebaseId, userId: codebaseId, role: choice % 2 === 0 ? 'admin' : 'member', name: `name ${choice}` });
  else if (kind === 'source.changed') history.decided(`source-${sourceId}`, kind, { sourceId, name: `name ${choice}`, changed: ['name'] });
  else history.decided(`codebase-${codebaseId}`, kind, { codebaseId, followed: { branches: ['main'], tags: [] } });
}

function stepOf(history: History, { causes, under, choice }: { causes: Sync[]; under: { sync: Sync; steps: number; content: string }[]; choice: number }): void {
  const begun = under[Math.floor(choice / 16) % Math.max(1, under.length)];
  if (begun !== undefined && choice % 3 !== 0) {
    if (begun.steps === 1) history.scanned(begun.sync, begun.content);
    else if (choice % 7 === 0) causes.push(history.sync(history.failed(begun.sync) as unknown as Fact, begun.sync.ref));
    else history.stored(begun.sync, begun.content);
    begun.steps += 1;
    if (begun.steps === 3) under.splice(under.indexOf(begun), 1);
    return;
  }
  const sync = causes.splice(Math.floor(choice / 16) % Math.max(1, causes.length), 1)[0];
  if (sync === undefined) return;
  const content = `content ${choice % 5}`;
  switch (choice % 8) {
    case 0: history.deleted(sync); break;
    case 1: history.skipped(sync, content); break;
    case 4: if (choice % 3 === 0) { history.unfollowed(sync); break; } history.skipped(sync, null, { reason: 'codebase-archived', observedAt: null }); break;
    case 2: history.skipped(sync, null, { reason: 'newer-hint', observedAt: null }); break;
    case 3: causes.push(history.sync(history.failed(sync, { step: 'fetch', reason: 'repository-unreadable' }) as unknown as Fact, sync.ref)); break;
    default: history.fetched(sync, content); under.push({ sync, steps: 1, content });
  }
}
