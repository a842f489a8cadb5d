import type { Position } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import type { Recorded } from '#shared/log/event-log.ts';

/** A fact that is not finished. */
export interface Entry {
  readonly recorded: Recorded;
  /** Undefined when this program cannot read it: then its reason is in `unreadable`. */
  readonly fact: Fact | undefined;
  readonly unreadable: string | undefined;
  /** Everything up to here is finished once all entries before this one are. */
  readonly before: Position;
  /** It comes from the parked facts, not from the log: finishing it is remembered there. */
  readonly isRedriven: boolean;
  isAside: boolean;
  firstHandledAt: number | undefined;
  failures: number;
  /** How often in a row a dependency was away. */
  waits: number;
}

interface Lane {
  readonly key: string;
  readonly entries: Entry[];
  /** In hand, or waiting for something: nothing else of the key may start. */
  isHeld: boolean;
}

/**
 * Facts by key: who may be worked on next. Order within a key, fairness between keys (first come, first served), and the
 * checkpoint: the place before which everything is finished. Pure bookkeeping, no waiting, so that any bus can use it.
 */
export function createLanes() {
  const lanes = new Map<string, Lane>();
  const ready = new Set<Lane>();
  // In the order they came from the log; a Map so that the oldest is found and any is removed at no cost.
  const unfinished = new Set<Entry>();
  let given: Position | undefined;

  const nextOf = (lane: Lane) => lane.entries.find((entry) => !entry.isAside);
  const settle = (lane: Lane) => {
    if (!lane.isHeld && nextOf(lane) !== undefined) ready.add(lane);
    else ready.delete(lane);
    if (lane.entries.length === 0 && !lane.isHeld) lanes.delete(lane.key);
  };
  const laneOf = (key: string): Lane => {
    const lane = lanes.get(key) ?? { key, entries: [], isHeld: false };
    lanes.set(key, lane);
    return lane;
  };

  return {
    get unfinishedCount() { return unfinished.size; },

    add(entry: Entry): void {
      const lane = laneOf(entry.recorded.key);
      lane.entries.push(entry);
      if (!entry.isRedriven) {
        unfinished.add(entry);
        // So that the checkpoint never goes back when all that was added so far is finished in the middle of a batch.
        given = entry.before;
      }
      settle(lane);
    },

    /** Everything up to here has been added. */
    gaveUpTo(position: Position): void { given = position; },

    /** The next entry to work on; its key is held until `release`. */
    take(): Entry | undefined {
      const [lane] = ready;
      if (lane === undefined) return undefined;
      lane.isHeld = true;
      ready.delete(lane);
      return nextOf(lane);
    },

    /** Entries of the key behind this one that are not set aside. */
    behind(entry: Entry): readonly Entry[] {
      const entries = lanes.get(entry.recorded.key)?.entries ?? [];
      return entries.slice(entries.indexOf(entry) + 1).filter((other) => !other.isAside);
    },

    finish(entry: Entry): void {
      const lane = laneOf(entry.recorded.key);
      const index = lane.entries.indexOf(entry);
      if (index >= 0) lane.entries.splice(index, 1);
      unfinished.delete(entry);
    },

    /** Everything of the key, oldest first: what is parked together. */
    all(key: string): readonly Entry[] { return [...(lanes.get(key)?.entries ?? [])]; },

    release(key: string): void {
      const lane = laneOf(key);
      lane.isHeld = false;
      settle(lane);
    },

    setAside(entry: Entry, isAside: boolean): void {
      entry.isAside = isAside;
      settle(laneOf(entry.recorded.key));
    },

    /** Undefined until something was given. */
    checkpoint(): Position | undefined {
      const [oldest] = unfinished;
      return oldest?.before ?? given;
    },
  };
}

export type Lanes = ReturnType<typeof createLanes>;
