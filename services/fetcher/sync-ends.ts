import { syncStream } from '#schemas/ids.ts';
import type { Position, SyncId } from '#schemas/brand.ts';
import type { Fact, FactType } from '#schemas/events/facts.ts';
import type { Bus } from '#shared/bus/bus.ts';
import type { EventLog } from '#shared/log/event-log.ts';

const ENDS = new Set<FactType>(['codebase.stored', 'sync.skipped', 'ref.deleted', 'ref.unfollowed', 'sync.failed']);

/** A missed wake-up costs this much; also how soon a parked scanner is noticed. */
const LOOK_AGAIN_MS = 1_000;

export type SyncState =
  | { readonly kind: 'none' }
  | { readonly kind: 'underWay'; readonly facts: readonly Fact[] }
  | { readonly kind: 'ended'; readonly end: Fact; readonly facts: readonly Fact[] };

/** What a sync's stream says of it. The stream is the truth: no step goes on from its own result. */
export function stateOf(facts: readonly Fact[]): SyncState {
  const last = facts.at(-1);
  if (last === undefined) return { kind: 'none' };
  return ENDS.has(last.type) ? { kind: 'ended', end: last, facts } : { kind: 'underWay', facts };
}

export interface SyncEndsDeps {
  readonly log: Pick<EventLog, 'subscribe' | 'readStream'>;
  readonly bus: Pick<Bus, 'parked'>;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Follows the syncs on the log, so that the fetcher knows when the others are through with one. */
export function createSyncEnds({ log, bus, sleep }: SyncEndsDeps) {
  const waiters = new Map<SyncId, Set<() => void>>();

  return { follow, stateOfSync, untilEnded, isParkedBehind };

  async function stateOfSync(sync: SyncId): Promise<SyncState> {
    return stateOf((await log.readStream(syncStream(sync), { limit: 10 })) as Fact[]);
  }

  /** Runs until told to stop. From now on is enough: whoever waits looks at the stream first. */
  async function follow(after: Position, signal: AbortSignal): Promise<void> {
    for await (const { facts } of log.subscribe({ after, prefixes: ['sync-'], signal })) {
      for (const fact of facts) {
        if (ENDS.has(fact.type as FactType)) for (const wake of waiters.get((fact as Fact<'codebase.stored'>).data.syncId) ?? []) wake();
      }
    }
  }

  /** Resolves when the sync has ended, or its key was parked further down the road, or `signal` aborts. */
  async function untilEnded(sync: SyncId, key: string, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const wake = () => woken.abort();
    const waiting = waiters.get(sync) ?? new Set();
    waiters.set(sync, waiting.add(wake));
    try {
      while (!signal.aborted && (await stateOfSync(sync)).kind === 'underWay' && !(await isParkedBehind(key))) {
        await sleep(LOOK_AGAIN_MS, AbortSignal.any([signal, woken.signal]));
      }
    } finally {
      waiting.delete(wake);
      if (waiting.size === 0) waiters.delete(sync);
    }
  }

  async function isParkedBehind(key: string): Promise<boolean> {
    return (await bus.parked({ key })).some((parked) => parked.group === 'scanner' || parked.group === 'storage-writer');
  }
}

export type SyncEnds = ReturnType<typeof createSyncEnds>;
