import type { KafkaMessage } from 'kafkajs';
import type { Position } from '#schemas/brand.ts';
import type { FactType } from '#schemas/events/facts.ts';
import type { Batch, EventLog, Recorded } from '#shared/log/event-log.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import type { Bounds, Committed } from './kafka-offsets.ts';
import { createInbox, type Fetched } from './kafka-inbox.ts';
import { createPlaces } from './kafka-places.ts';
import { decodeFactRecord, markOf, NotAFactRecord, partitionOf, type RecordMark } from './kafka-records.ts';
import { readSpan } from './log-span.ts';

/** Of the relay: every fact up to here stands in the topic, and those of this partition before `end`. */
export interface Relayed { readonly position: Position; readonly end: number }

export interface PartitionFeedOptions {
  readonly log: Pick<EventLog, 'subscribe'>;
  readonly logger: Logger;
  readonly partition: number;
  readonly partitions: number;
  readonly types: readonly FactType[];
  /** How the partition stands in Kafka. Resolves once that is known; rejects only when `signal` aborts. */
  look(signal: AbortSignal): Promise<{ readonly bounds: Bounds; readonly committed: Committed | undefined }>;
  /** Records are wanted from this offset on. */
  read(offset: number): void;
  pause(): void;
  resume(): void;
}

export interface PartitionFeed {
  /** Where it goes on reading. Undefined while nothing is wanted. */
  nextOffset(): number | undefined;
  /** No more is wanted for now, until `resume`. */
  isPaused(): boolean;
  take(fetched: Fetched): void;
  tellRelayed(relayed: Relayed): void;
  /** The relay has written something that was not read yet. */
  isBehind(): boolean;
  /** Records that were to be read are gone, and nothing stands behind them. */
  isStuckAt(bounds: Bounds): boolean;
  skipTo(bounds: Bounds): void;
  follow(after: Position, signal: AbortSignal): AsyncGenerator<Batch>;
  /** Where to begin for whoever has everything up to this position. */
  placeOf(position: Position): Committed | undefined;
}

/** `fact`: where its type is wanted. */
interface Read { readonly offset: number; readonly mark: RecordMark; readonly fact: Recorded | undefined }

/**
 * One partition's facts, each once and in order, whatever Kafka does: what comes twice is passed over by its position, and what is
 * not there any more is read from the log. Whether something is missing is known by the offsets, which have no holes: where the
 * offset before is known, the next record follows on what was read; else the log is asked for all that is between.
 */
export function createPartitionFeed({ log, logger, partition, partitions, types, look, read, pause, resume }: PartitionFeedOptions): PartitionFeed {
  const wanted = new Set<string>(types);
  const inbox = createInbox({ pause, resume });
  const places = createPlaces();
  let relayed: Relayed | undefined;
  /** Everything of the partition up to here was given. */
  let seen: Position;
  /** The offset behind it; undefined while it is not known whether something is missing between `seen` and the next record. */
  let expected: number | undefined;
  /** Nothing stood in the partition when it was looked at, up to this offset. */
  let emptyUpTo: number | undefined;

  return {
    nextOffset: inbox.nextOffset,
    isPaused: inbox.isPaused,
    take: inbox.put,

    tellRelayed(told) {
      if (relayed !== undefined && told.position <= relayed.position) return;
      relayed = told;
      inbox.tell();
    },

    isBehind: () => inbox.isEmpty() && relayed !== undefined && relayed.end > (inbox.nextOffset() ?? Infinity),
    isStuckAt: ({ low, high }) => inbox.isEmpty() && low === high && (inbox.nextOffset() ?? Infinity) < low,
    skipTo(bounds) {
      begin(bounds.low, bounds);
      inbox.tell();
    },

    placeOf: places.of,

    async *follow(after, signal) {
      seen = after;
      const found = await look(signal).catch((error: unknown) => { if (!signal.aborted) throw error; return undefined; });
      if (found === undefined || signal.aborted) return;
      const { bounds, committed } = found;
      const isKnown = committed !== undefined && committed.position <= after && committed.offset >= bounds.low && committed.offset <= bounds.high;
      if (isKnown) places.remember(committed);
      begin(isKnown ? committed.offset : bounds.low, isKnown ? undefined : bounds);
      try {
        while (!signal.aborted) {
          const next = inbox.take();
          if (next !== undefined) yield* given(next, signal);
          yield* upToRelayed(signal);
          await inbox.untilTold(signal);
        }
      } finally {
        inbox.end();
      }
    },
  };

  function begin(offset: number, unknown: Bounds | undefined): void {
    expected = unknown === undefined ? offset : undefined;
    emptyUpTo = unknown !== undefined && unknown.low === unknown.high ? unknown.high : undefined;
    inbox.begin(offset);
    read(offset);
  }

  async function* given({ messages, end }: Fetched, signal: AbortSignal): AsyncGenerator<Batch> {
    const records = messages.flatMap((message) => readRecord(message, { logger, partition, wanted }));
    if (expected !== undefined && !isKnownBelow(records, { offset: expected, seen })) {
      logger.warn({ partition, after: seen, offset: expected }, 'the topic was made anew: what stands in it is told by its positions, and what is not there is read from the log');
      expected = undefined;
      inbox.beginAnew(end);
    }
    // Has come before, all of it.
    if (expected !== undefined && end <= expected) return;
    const first = records[0];
    if (first !== undefined && first.mark.position > seen && (expected === undefined || first.offset > expected)) {
      logger.info({ partition, after: seen, before: first.mark.position }, 'what Kafka has no more, or perhaps never had, is read from the log');
      yield* fromLog(first.mark.position, signal);
      if (signal.aborted) return;
    }
    emptyUpTo = undefined;
    const facts: Recorded[] = [];
    for (const { mark, fact } of records) {
      if (mark.position <= seen) continue;
      seen = mark.position;
      if (fact !== undefined) facts.push(fact);
    }
    if (first !== undefined || expected !== undefined) expected = end;
    places.remember({ offset: end, position: seen });
    yield { facts, position: seen, isCaughtUp: false };
  }

  /** So that a partition where nothing happens does not say that the group is behind. */
  async function* upToRelayed(signal: AbortSignal): AsyncGenerator<Batch> {
    if (relayed === undefined || relayed.position <= seen) return;
    const { position: reached, end } = relayed;
    if (expected === undefined && emptyUpTo !== undefined) {
      yield* fromLog(reached, signal);
      if (signal.aborted || end < emptyUpTo) return;
      expected = emptyUpTo;
    }
    if (expected === undefined || expected < end) return;
    seen = reached > seen ? reached : seen;
    places.remember({ offset: expected, position: seen });
    yield { facts: [], position: seen, isCaughtUp: false };
  }

  /** What is missing behind `seen`: from the log itself, where `upTo` stands. */
  async function* fromLog(upTo: Position, signal: AbortSignal): AsyncGenerator<Batch> {
    for await (const facts of readSpan(log, { types, after: seen, upTo, has: ({ key }) => partitionOf(key, partitions) === partition }, signal)) {
      seen = facts.at(-1)!.position;
      yield { facts, position: seen, isCaughtUp: false };
    }
  }
}

/** Below the offset that we are at stands what was given. In a topic that was made anew there may stand something else, and offsets say nothing of what is between. */
function isKnownBelow(records: readonly Read[], { offset, seen }: { readonly offset: number; readonly seen: Position }): boolean {
  return records.every((record) => record.offset >= offset || record.mark.position <= seen);
}

function readRecord(message: KafkaMessage, { logger, partition, wanted }: Pick<PartitionFeedOptions, 'logger' | 'partition'> & { wanted: ReadonlySet<string> }): Read[] {
  try {
    const mark = markOf(message);
    return [{ offset: Number(message.offset), mark, fact: wanted.has(mark.type) ? decodeFactRecord(message) : undefined }];
  } catch (error) {
    if (!(error instanceof NotAFactRecord)) throw error;
    // No fact of the log stands there, so none is lost; that somebody else writes into our topic is to be seen.
    logger.error({ partition, offset: message.offset, reason: error.message }, 'a record that the relay did not write is passed over');
    return [];
  }
}
