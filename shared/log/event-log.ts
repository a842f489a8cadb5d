import type { Position, StreamName } from '#schemas/brand.ts';
import type { Envelope, Place } from '#schemas/events/fact.ts';

/** A fact as the log sees it: an envelope with data it does not look into. `NewFact` of #schemas/events/facts.ts fits. */
export type Appendable = Envelope & { readonly data: unknown };
/** As it stands in the log. Not yet parsed: `parseFact` is the consumer's, so that one unreadable fact stops only who needs it. */
export type Recorded = Appendable & Place;

/** The stream must not exist, or its last fact must have exactly this revision (the first fact has 0). There is no "any". */
export type ExpectedRevision = 'noStream' | number;

export type AppendOutcome =
  /** Durable. Revision and position of the last fact of the append. Also the answer to a retry of what stands there already. */
  | { readonly kind: 'appended'; readonly revision: number; readonly position: Position }
  /** Nothing was written. `actual` is what the stream has now. */
  | { readonly kind: 'wrongRevision'; readonly actual: ExpectedRevision };

/** 1 MiB for all facts of one append together: what EventStoreDB takes. Big things travel by reference. */
export const APPEND_BYTES_MAX = 1_048_576 - 1_024;

export interface Batch {
  /** In log order, oldest first. May be empty: then only the position has moved. */
  readonly facts: readonly Recorded[];
  /** Every matching fact up to here has been given: a good checkpoint, also when nothing matched. */
  readonly position: Position;
  /** Nothing matching stood after `position` when this batch was read. */
  readonly isCaughtUp: boolean;
}

export interface SubscribeOptions {
  /** The position of the last fact already processed. */
  readonly after: Position;
  /** Give only facts of streams whose name begins with one of these; empty gives all. */
  readonly prefixes: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * The only road between services: facts in one order, kept for ever. What every adapter must do is
 * event-log.contract.ts, which asks no more than both a Postgres table and a real EventStoreDB can keep.
 */
export interface EventLog {
  /**
   * All or nothing; resolves once durable. A retry is exactly this: the revisions after `expected` of that stream
   * hold exactly these ids in this order; then it succeeds with their positions, however much came after.
   * @throws AppendRefused when the facts can never be appended (none, too big, a bad stream name or id).
   * @throws Unavailable when the log is away; whether it was written is then unknown: retry the same ids at the same revision.
   */
  append(stream: StreamName, expected: ExpectedRevision, facts: readonly Appendable[]): Promise<AppendOutcome>;

  /** Facts of one stream from revision `from` (default 0) on, at most `limit`; empty when there is no such stream. */
  readStream(stream: StreamName, options: { readonly from?: number; readonly limit: number }): Promise<readonly Recorded[]>;

  /**
   * Catches up from `after`, then goes live by the same code; never ends by itself: when the log is away it tries again
   * from the last position it gave. Ends when `signal` aborts. The next batch is read only when the one before was taken.
   * The first batch comes at once, even when it is empty.
   */
  subscribe(options: SubscribeOptions): AsyncIterable<Batch>;

  /** The position of the newest fact; BEGINNING when there is none. */
  head(): Promise<Position>;

  /** Changes when the log is rebuilt or moved elsewhere: positions of another epoch mean nothing here. */
  epoch(): Promise<string>;
}

/** An append that no retry can mend. */
export class AppendRefused extends Error {
  override readonly name = 'AppendRefused';
}
