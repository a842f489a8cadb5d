import { Partitioners, type IHeaders } from 'kafkajs';
import type { FactId, Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';

/** One topic holds all facts, so that facts of one key keep their order over all types; and one remembers how far the relay is. */
export interface KafkaTopics {
  readonly facts: string;
  readonly relay: string;
}

export const topicsOf = (prefix: string): KafkaTopics => ({ facts: `${prefix}.facts`, relay: `${prefix}.relay` });

/** A fact as a record: the value is all of it with its place in the log; headers hold what is asked of most records, who are passed over. */
export interface FactRecord {
  readonly key: string;
  readonly value: string;
  readonly headers: { readonly position: string; readonly id: string; readonly type: string; readonly traceparent?: string };
  /** About what it takes in a batch. */
  readonly bytes: number;
}

/** Lengths, offsets, the headers' names: 60 to 80 were measured. */
const RECORD_OVERHEAD_BYTES = 100;

export function encodeFactRecord(fact: Recorded): FactRecord {
  const { id, type, schemaVersion, key, time, actor, correlationId, causationId, traceparent, data, stream, revision, position } = fact;
  // Field by field: what a log adapter hangs on a fact beside these stays there.
  const value = JSON.stringify({ id, type, schemaVersion, key, time, actor, correlationId, causationId, traceparent, data, stream, revision, position });
  const headers = { position, id, type, ...(traceparent === undefined ? {} : { traceparent }) };
  const named = Object.values(headers).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  return { key, value, headers, bytes: Buffer.byteLength(value) + Buffer.byteLength(key) + named + RECORD_OVERHEAD_BYTES };
}

/** As kafkajs gives it. */
export interface ReceivedRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: IHeaders | undefined;
}

/** A record that no relay of ours wrote. */
export class NotAFactRecord extends Error {
  override readonly name = 'NotAFactRecord';
}

export interface RecordMark { readonly position: Position; readonly id: FactId; readonly type: string; readonly traceparent: string | undefined }

/** What a record says of itself, without its value being read. @throws NotAFactRecord */
export function markOf({ headers = {} }: ReceivedRecord): RecordMark {
  const text = (name: string) => {
    const value = headers[name];
    return value instanceof Buffer || typeof value === 'string' ? value.toString() : undefined;
  };
  const [position, id, type] = [text('position'), text('id'), text('type')];
  if (!position || !id || !type) throw new NotAFactRecord('a record without the headers position, id and type');
  return { position: position as Position, id: id as FactId, type, traceparent: text('traceparent') };
}

/** The fact as it stands in the log; not yet parsed, as the log gives it. @throws NotAFactRecord */
export function decodeFactRecord(record: ReceivedRecord): Recorded {
  const mark = markOf(record);
  let fact: Partial<Recorded> | null = null;
  try {
    fact = JSON.parse(record.value?.toString() ?? 'null') as Partial<Recorded> | null;
  } catch {
    // It is told below, without the text.
  }
  const { position, id, type } = mark;
  if (typeof fact !== 'object' || fact === null || fact.position !== position || fact.id !== id || fact.type !== type || fact.key !== record.key?.toString()) {
    throw new NotAFactRecord(`the record of fact ${id} at ${position} does not hold that fact`);
  }
  return fact as Recorded;
}

const partitioner = Partitioners.DefaultPartitioner();

/** As every Kafka client does it (murmur2 of the key), so that others who write or look agree with us. */
export function partitionOf(key: string, partitions: number): number {
  return partitioner({ topic: '', partitionMetadata: placeholders(partitions), message: { key, value: null } });
}

/** The partitioner asks for no more than how many there are. */
function placeholders(partitions: number): Parameters<typeof partitioner>[0]['partitionMetadata'] {
  let known = counted.get(partitions);
  if (known === undefined) counted.set(partitions, known = Array.from({ length: partitions }, (_, partitionId) => ({ partitionErrorCode: 0, partitionId, leader: 0, replicas: [], isr: [], offlineReplicas: [] })));
  return known;
}
const counted = new Map<number, Parameters<typeof partitioner>[0]['partitionMetadata']>();
