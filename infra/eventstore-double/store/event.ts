/** An event as a client proposes it. */
export interface NewEvent {
  readonly id: string;
  readonly type: string;
  readonly contentType: string;
  readonly data: Buffer;
  readonly metadata: Buffer;
}

/** As it stands in the log. Positions are like byte offsets: they ascend and have holes. */
export interface StoredEvent extends NewEvent {
  readonly position: number;
  /** Where the next record begins. */
  readonly end: number;
  readonly stream: string;
  readonly revision: number;
  readonly createdMs: number;
}

export type Expected = 'any' | 'no_stream' | 'stream_exists' | number;

/** All that one stream knows of itself. */
export interface Stream {
  readonly name: string;
  readonly events: StoredEvent[];
  /** `$maxCount` of its metadata. */
  maxCount: number;
  /** `$tb` of its metadata: what stands before is hidden. Deleting a stream sets it beyond every revision. */
  truncateBefore: number;
  isTombstoned: boolean;
}

/** A deleted stream's `$tb` is 2^63 - 1, which a number only comes near to. */
const NEVER = Number.MAX_SAFE_INTEGER;

export const isDeleted = ({ truncateBefore }: Stream) => truncateBefore >= NEVER;
export const lastRevisionOf = ({ events }: Stream) => events.length - 1;

/** What may be read of it; undefined when there is nothing that a reader may know of. */
export function visibleOf(stream: Stream | undefined): readonly StoredEvent[] | undefined {
  if (stream === undefined || stream.events.length === 0 || isDeleted(stream)) return undefined;
  return stream.events.slice(Math.max(stream.truncateBefore, stream.events.length - stream.maxCount, 0));
}

/** 1 MiB for all events of one append together, before framing. */
export const APPEND_BYTES_MAX = 1_048_576;

export function sizeOf(events: readonly NewEvent[]): number {
  return events.reduce((sum, { type, data, metadata }) => sum + data.length + metadata.length + 2 * type.length, 0);
}
