import type { CodebaseId, Position, RefName, SyncId } from '#schemas/brand.ts';
import type { Fact, FactType } from '#schemas/events/facts.ts';

/** What became of handling a fact. Throwing is for bugs and for Unavailable. */
export type Outcome =
  | { readonly kind: 'done' }
  /** Something is away. The key waits (holding no worker slot) and the fact is handled again, for ever if need be. */
  | { readonly kind: 'retry'; readonly afterMs: number; readonly reason: string }
  /** The key waits (holding no slot) until `until` resolves; then the fact is handled again. */
  | { readonly kind: 'hold'; readonly until: (signal: AbortSignal) => Promise<void>; readonly reason: string }
  /** Only this fact waits: later facts of its key may pass. */
  | { readonly kind: 'aside'; readonly afterMs: number; readonly reason: string }
  /** A fault that follows the fact: its key is set aside, visibly, with everything behind it, until somebody redrives it. */
  | { readonly kind: 'park'; readonly reason: string };

export interface Handling {
  /** Later facts of the same key that are here already, oldest first. */
  readonly waiting: readonly Fact[];
  /** How long ago this fact was handled first, by this process. */
  readonly sinceFirstMs: number;
  /** It was parked, and somebody wants it tried again. */
  readonly isRedriven: boolean;
  /** Grows each time that another process takes the work on this fact's key over: whoever writes where the log is not asked, compares it. */
  readonly term: number;
  /** Aborts when the consumer is to stop, or another process has taken over, or is to. The same for all that is handed out in one term. */
  readonly signal: AbortSignal;
}

export interface Consumer {
  /** Names the checkpoint: two groups each get everything. Over Kafka consumers of one group share the work; over the embedded bus one of them does it, and the others stand by. */
  readonly group: string;
  readonly types: readonly FactType[];
  /** How many keys are worked on at once. */
  readonly concurrency: number;
  handle(fact: Fact, handling: Handling): Promise<Outcome>;
}

export interface ParkedKey {
  readonly group: string;
  readonly key: string;
  readonly reason: string;
  readonly since: string;
  /** The fact that could not be worked on. */
  readonly position: Position;
  readonly type: string;
  /** Facts of the key that wait, that one included. */
  readonly facts: number;
}

/** How far a sync's step is. Not a fact: lost when nobody listens. */
export interface Progress {
  readonly syncId: SyncId;
  readonly codebaseId: CodebaseId;
  readonly ref: RefName;
  readonly step: 'fetch' | 'scan' | 'store';
  readonly objectsDone: number;
  /** Null while nobody knows. */
  readonly objectsTotal: number | null;
  readonly bytesDone: number;
}

/**
 * Carries work from the log to workers. Facts of one key come in order, one at a time; keys go side by side.
 * A fact may come again after a crash: handlers look at the log before they act. What every adapter must do is bus.contract.ts.
 */
export interface Bus {
  /**
   * Runs until `signal` aborts; resolves once what was begun has ended and the checkpoint is saved. Of all processes that consume
   * for a group one at a time is given the facts of a key. One that was stopped and goes on may handle what it had in hand while another does:
   * nothing of it is remembered for the group.
   */
  consume(consumer: Consumer, signal: AbortSignal): Promise<void>;

  /** Runs `work` while no other process does under this name, and stands by while one does, until `signal` aborts. Its signal aborts, too, when another has taken over. */
  lead(name: string, work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void>;

  /** Every fact up to here is worked on by that group, or set aside; undefined when it never began. Trails by a moment. */
  workedUpTo(group: string): Promise<Position | undefined>;

  /** What is set aside, of all groups; or of one key. */
  parked(filter?: { readonly key?: string }): Promise<readonly ParkedKey[]>;

  /** Works on a parked key again, from its first fact. Returns how many facts that are. */
  redrive(group: string, key: string): Promise<number>;

  tellProgress(progress: Progress): void;
  /** Returns how to stop listening. */
  onProgress(listener: (progress: Progress) => void): () => void;
}
