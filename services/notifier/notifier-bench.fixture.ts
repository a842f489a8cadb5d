import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BEGINNING, type CodebaseId, type Position, type StreamName } from '#schemas/brand.ts';
import type { Appendable, Recorded } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import type { IndexedFact, RightsAsked, RightsFound } from '#shared/read-store/read-store.ts';
import { createTokenAccess, type Principal } from '#shared/runtime/access.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import type { PositionSignal } from '#shared/runtime/position-signal.ts';
import { createFanOut } from './fan-out.ts';
import type { LiveDeps } from './socket.ts';
import { LIMITS, type LiveLimits } from './subscription.ts';
import { followTail } from './tail.ts';
import { createTurns } from './turns.ts';

export const KEY_A = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa';
export const KEY_B = 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb';
export const KEY_C = 'cccccccc-cccc-4ccc-8ccc-cccccccccccc';
export const PROJECT = 'dddddddd-dddd-4ddd-8ddd-dddddddddddd';

/** Who is no system admin, and may hear what `setReads` and `setPerson` say. */
export const ANN: Principal = { actor: { kind: 'user', id: 'ann' }, isSystemAdmin: false, scope: 'read', credential: { kind: 'personal-token', id: 'anns' } };

export interface Membership { readonly position: Position; readonly codebase: string; readonly isMember: boolean }

function annsOf({ user, codebases, projects }: RightsAsked, may: (what: string) => boolean): RightsFound {
  if (user !== ANN.actor.id) return { codebases: new Set(), projects: new Set() };
  return { codebases: new Set([...codebases, ...(projects.includes(PROJECT) ? [KEY_A, KEY_B, KEY_C] : [])].filter(may)), projects: new Set(projects.filter(may)) };
}

/** A log, and the read tables behind it, which show what the projector has folded: up to `visible`. */
export function createNotifierBench({ limits = LIMITS, recentMax }: { limits?: LiveLimits; recentMax?: number } = {}) {
  const log = createMemoryEventLog();
  const all: Recorded[] = [];
  const memberships: Membership[] = [];
  // Time is turns here: who waits for the tables looks again at the next.
  const projected: PositionSignal = { tell: () => {}, next: async () => { await nextTurn(); } };
  const rights: { readonly position: Position; readonly what: string; readonly may: boolean }[] = [];
  const revisions = new Map<StreamName, number>();
  let visible: Position = BEGINNING;
  const record = async (stream: StreamName, expected: 'noStream' | number, fact: Appendable) => {
    const outcome = await log.append(stream, expected, [fact]);
    if (outcome.kind !== 'appended') throw new Error('the bench lost count');
    const [recorded] = await log.readStream(stream, { from: outcome.revision, limit: 1 });
    all.push(recorded as Recorded);
    return recorded as Recorded;
  };
  const recordNext = async (stream: StreamName, type: string, key: string, data: object) => {
    const revision = revisions.get(stream);
    revisions.set(stream, (revision ?? -1) + 1);
    return record(stream, revision ?? 'noStream', { id: randomUUID(), type, schemaVersion: 1, key, ...envelope, time: new Date(0).toISOString(), data } as unknown as Appendable);
  };
  const setRight = (what: string, may: boolean, recording: Promise<Recorded>) => recording.then((recorded) => { rights.push({ position: recorded.position, what, may }); return recorded; });
  const envelope = { actor: { kind: 'worker', id: 'w' }, correlationId: 'x', causationId: null, time: new Date(0) } as const;
  const readable = (after: Position, limit: number, isWanted: (key: string) => boolean): IndexedFact[] => all.filter((fact) => fact.position > after && fact.position <= visible && isWanted(fact.key)).slice(0, limit);

  const bench = {
    log, all, projected, memberships, rights, epoch: 'an epoch',
    /** How many pages of the index were read. */
    pagesRead: 0,
    /** Awaited by every look at the tables: what a test lets happen there. */
    pause: async (): Promise<void> => { await nextTurn(); },
    append: (key: string) => record(`codebase-${randomUUID()}` as StreamName, 'noStream', newFact({ type: 'hook.refused', key, ...envelope, data: { codebaseId: key as never, sourceId: KEY_A as never, reason: 'r' } })),
    /** A fact of the project that says who is in it. */
    async setMember(codebase: string, isMember: boolean): Promise<Recorded> {
      const recorded = await recordNext(`project-${PROJECT}` as StreamName, 'project.changed-here', PROJECT, { codebaseId: codebase, isMember });
      memberships.push({ position: recorded.position, codebase, isMember });
      return recorded;
    },
    /** That GitLab lets Ann read a codebase, or no longer. */
    setReads: (codebase: string, may: boolean) => setRight(codebase, may, recordNext(`readers-${codebase}` as StreamName, 'codebase.readers-observed', codebase, { may })),
    /** That Ann is in the project, or no longer. */
    setPerson: (may: boolean) => setRight(PROJECT, may, recordNext(`project-${PROJECT}` as StreamName, 'project.member-changed-here', PROJECT, { userId: ANN.actor.id })),
    mayAt: (what: string, position: Position) => rights.filter((one) => one.what === what && one.position <= position).at(-1)?.may ?? false,
    /** How often rights were looked up, however many were asked about at once. */
    rightsLooks: 0,
    async rightsOf(asked: readonly RightsAsked[]) {
      bench.rightsLooks += 1;
      await bench.pause();
      const found = new Map(asked.map((one) => [one.user, annsOf(one, (what) => bench.mayAt(what, visible))]));
      await bench.pause();
      return found;
    },
    /** Folds so many facts more; all when not said. */
    project(count = Infinity) {
      const next = all.filter(({ position }) => position > visible).slice(0, count).at(-1);
      if (next !== undefined) visible = next.position;
    },
    get visible() { return visible; },
    ofKey: (key: string | undefined) => all.filter((fact) => key === undefined || fact.key === key),
    isMemberAt(codebase: string, position: Position): boolean {
      return memberships.filter((one) => one.codebase === codebase && one.position <= position).at(-1)?.isMember ?? false;
    },
    store: {
      async position() { await bench.pause(); return visible; },
      async facts({ key, after, limit }: { key?: string; after: Position; limit: number }): Promise<IndexedFact[]> {
        bench.pagesRead += 1;
        await bench.pause();
        const found = readable(after, limit, (one) => key === undefined || one === key);
        await bench.pause();
        return found;
      },
      async factsOf({ keys, after, limit }: { keys: readonly string[]; after: Position; limit: number }): Promise<IndexedFact[]> {
        bench.pagesRead += 1;
        await bench.pause();
        const found = readable(after, limit, (one) => keys.includes(one));
        await bench.pause();
        return found;
      },
      async members(project: string) {
        await bench.pause();
        const found = { codebases: project === PROJECT ? [KEY_A, KEY_B, KEY_C].filter((one) => bench.isMemberAt(one, visible)) as CodebaseId[] : [], position: visible };
        await bench.pause();
        return found;
      },
    },

    /** A notifier on it, without its doors. */
    startNotifier() {
      const { epoch } = bench;
      const stopping = new AbortController();
      const fanOut = createFanOut({ store: bench.store, rightsOf: (asked) => bench.rightsOf(asked), projected, epoch, yieldTurn: async () => { await nextTurn(); } }, { from: visible, ...(recentMax === undefined ? {} : { recentMax }) });
      const live: LiveDeps = { log, store: bench.store, projected, fanOut, epoch, turns: createTurns(2), limits, access: { ...createTokenAccess('secret'), recheck: async (shown) => (shown.credential.kind === 'engine-token' ? createTokenAccess('secret').recheck(shown) : ANN) }, logger: createLogger('silent') };
      let told = visible;
      const following = followTail({ log, store: bench.store, projected }, {
        after: visible, signal: stopping.signal,
        tell: async (facts) => { await fanOut.tell(facts, stopping.signal); told = facts.at(-1)?.position ?? told; },
      });
      return {
        live, fanOut,
        /** Up to where the tail has told. */
        told: () => told,
        async untilTold() { while (told < visible) await nextTurn(); },
        async stop() { stopping.abort(); await following; },
      };
    },
  };
  return bench;
}
export type NotifierBench = ReturnType<typeof createNotifierBench>;
export type BenchNotifier = ReturnType<NotifierBench['startNotifier']>;
