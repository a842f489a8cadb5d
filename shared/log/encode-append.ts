import { factId, streamName, type Position, type StreamName } from '#schemas/brand.ts';
import { APPEND_BYTES_MAX, AppendRefused, type Appendable, type ExpectedRevision, type Recorded } from './event-log.ts';

/** A fact as it is stored: the text of its JSON, so that what is read is what was appended. */
export interface EncodedFact {
  readonly id: string;
  readonly json: string;
  readonly bytes: number;
}

export interface EncodedAppend {
  readonly stream: StreamName;
  /** The revision that the stream must have; -1 when there must be no stream. */
  readonly expected: number;
  readonly facts: readonly EncodedFact[];
  readonly bytes: number;
}

const NO_STREAM = -1;

/** What every adapter looks at before it stores or sends anything. @throws AppendRefused */
export function encodeAppend(stream: StreamName, expected: ExpectedRevision, facts: readonly Appendable[]): EncodedAppend {
  const refuse = (why: string, cause?: unknown) => new AppendRefused(`cannot append to ${JSON.stringify(stream)}: ${why}`, { cause });
  if (!streamName.safeParse(stream).success) throw refuse('a stream is named like sync-<id>, in at most 256 characters');
  if (expected !== 'noStream' && !(Number.isSafeInteger(expected) && expected >= 0)) throw refuse(`${String(expected)} is no revision; the first is 0`);
  // A real EventStoreDB says "done, revision 0" to an empty append, even where there is no such stream.
  if (facts.length === 0) throw refuse('there is no fact in it');

  const encoded = facts.map((fact) => {
    if (!factId.safeParse(fact.id).success) throw refuse(`the id ${JSON.stringify(fact.id)} is no UUID`);
    if (fact.type === '' || fact.type.startsWith('$')) throw refuse(`the type ${JSON.stringify(fact.type)} is the store's own`);
    try {
      return encodeFact(fact);
    } catch (cause) {
      throw refuse(`fact ${fact.id} cannot be written as JSON`, cause);
    }
  });
  if (new Set(encoded.map(({ id }) => id)).size < encoded.length) throw refuse('two of its facts have one id');
  const bytes = encoded.reduce((sum, fact) => sum + fact.bytes, 0);
  if (bytes > APPEND_BYTES_MAX) throw refuse(`its facts take ${bytes} bytes of JSON, ${APPEND_BYTES_MAX} is the most; what is big travels by reference`);

  return { stream, expected: expected === 'noStream' ? NO_STREAM : expected, facts: encoded, bytes };
}

/** The envelope and the data, and nothing else: a fact that was read and is appended elsewhere leaves its old place behind. */
function encodeFact({ id, type, schemaVersion, key, time, actor, correlationId, causationId, traceparent, data }: Appendable): EncodedFact {
  // JSON leaves it out in silence; EventStoreDB's client throws at it where nobody can catch that.
  if (data === undefined) throw new TypeError('it has no data');
  const json = JSON.stringify({ id, type, schemaVersion, key, time, actor, correlationId, causationId, traceparent, data });
  // Two spellings of one UUID are one id, as in every store.
  return { id: id.toLowerCase(), json, bytes: Buffer.byteLength(json) };
}

export function decodeFact(json: string, { stream, revision, position }: { stream: string; revision: number; position: Position }): Recorded {
  // Field by field: Object.assign took twice the time of parsing.
  const fact = JSON.parse(json) as { -readonly [Field in keyof Recorded]: Recorded[Field] };
  fact.stream = stream as StreamName;
  fact.revision = revision;
  fact.position = position;
  return fact;
}

export function expectedOf(revision: number): ExpectedRevision {
  return revision === NO_STREAM ? 'noStream' : revision;
}

/** 20 digits: what a bigint needs at most. Padded, so that positions compare as strings. */
const POSITION_DIGITS = 20;

export function positionOf(sequence: number | string): Position {
  return String(sequence).padStart(POSITION_DIGITS, '0') as Position;
}

/** BEGINNING is before 1, the first. A position that no log of ours made is a mistake of the caller. */
export function sequenceOf(position: Position): number {
  if (position !== '' && !/^\d{20}$/.test(position)) throw new TypeError(`${JSON.stringify(position)} is no position of this log`);
  return Number(position);
}
