import { BEGINNING, type Position } from '#schemas/brand.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import type { PositionSignal } from '#shared/runtime/position-signal.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';

/** In one process the signal comes first; over processes this is how late we may be. */
const LOOK_AGAIN_MS = 50;
/** Facts looked at to tell who is concerned; when more were folded at once, everybody is. */
const FACTS_MAX = 1_000;

export interface Watching {
  /** Resolves when facts of the key were folded since it was last asked (or may have been), or when `signal` aborts. */
  next(signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Tells many who wait what was folded into the tables, by two small looks for all of them together. */
export interface TableWatch {
  /** `key` undefined: any fact. Whoever looks at the tables after this misses nothing. */
  open(key: string | undefined): Watching;
  /** Where the tables stood when last looked; undefined before that. */
  readonly position: Position | undefined;
  readonly size: number;
}

interface Entry { readonly key: string | undefined; isTold: boolean; wake: () => void }

export function createTableWatch({ store, projected }: { readonly store: Pick<ReadStore, 'position' | 'facts'>; readonly projected: PositionSignal }): TableWatch {
  const entries = new Set<Entry>();
  const never = new AbortController().signal;
  let isRunning = false;
  let seen: Position | undefined;

  function tell(isConcerned: (entry: Entry) => boolean): void {
    for (const entry of entries) {
      if (!isConcerned(entry)) continue;
      entry.isTold = true;
      entry.wake();
    }
  }

  async function look(): Promise<void> {
    const position = await store.position();
    if (position === seen) return;
    // Folded anew from the beginning, or never looked: then nobody knows what is new.
    const facts = seen === undefined || position < seen ? undefined : await store.facts({ after: seen, limit: FACTS_MAX });
    seen = position;
    const keys = facts === undefined || facts.length === FACTS_MAX ? undefined : new Set(facts.map((fact) => fact.key));
    tell((entry) => entry.key === undefined || keys === undefined || keys.has(entry.key));
  }

  /** Runs only while somebody waits. */
  async function run(): Promise<void> {
    isRunning = true;
    seen = undefined;
    while (entries.size > 0) {
      // Away: who waits goes on waiting. Anything else is for them to meet, and to answer for.
      await look().catch((error: unknown) => { if (!(error instanceof Unavailable)) tell(() => true); });
      await projected.next(LOOK_AGAIN_MS, never);
    }
    isRunning = false;
  }

  return {
    get position() { return isRunning ? seen : undefined; },
    get size() { return entries.size; },
    open(key) {
      const entry: Entry = { key, isTold: false, wake: () => undefined };
      entries.add(entry);
      if (!isRunning) void run();
      return {
        next: (signal) => new Promise((resolve) => {
          const done = () => {
            signal.removeEventListener('abort', done);
            entry.wake = () => undefined;
            entry.isTold = false;
            resolve();
          };
          if (entry.isTold || signal.aborted) { done(); return; }
          entry.wake = done;
          signal.addEventListener('abort', done, { once: true });
        }),
        close: () => void entries.delete(entry),
      };
    },
  };
}

/** Whether tables that stand at `here` hold everything up to `wanted`. */
export const hasReached = (here: Position | undefined, wanted: Position) => (here ?? BEGINNING) >= wanted;
