import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';

/** A fact as it is about to be written: where, and how big. */
export interface PlacedFact {
  readonly fact: Recorded;
  readonly partition: number;
  /** About what it takes in a batch. */
  readonly bytes: number;
}

/**
 * The topic that is filled from the log. In each partition facts stand in the order of the log, none missing; but what was written
 * by who died, or was stopped and went on, may stand there again behind newer ones. Whoever reads passes over what is not above the
 * highest position of the partition so far.
 */
export interface FactTopic {
  /** Finds out what stands there. @throws Unavailable when it is away or not there; TopicUnfit when it is another log's, or was changed */
  open(epoch: string, signal: AbortSignal): Promise<TopicWriter>;
}

/** Of one process, one after the other: a call only when the one before has resolved. */
export interface TopicWriter {
  readonly partitions: number;
  /** Every fact up to here stood there when it was opened. */
  readonly after: Position;
  /** Of each partition the highest position in it then; BEGINNING when it is empty. What is above `after` and not above this stands there too. */
  readonly highest: readonly Position[];

  place(fact: Recorded): PlacedFact;
  /**
   * Resolves once all copies have all of it, and nobody else has written since it was opened.
   * @throws Unavailable; how much was written is then unknown: close it, and open anew
   */
  write(batch: readonly PlacedFact[]): Promise<void>;
  /** Remembers that every fact up to here stands there. May be left out: then the next one to open has more to look through. */
  checkpoint(position: Position): Promise<void>;
  close(): Promise<void>;
}

/** What is there cannot be filled from this log, and waiting does not change that. */
export class TopicUnfit extends Error {
  override readonly name = 'TopicUnfit';
}
