import type { JSONEventData, RecordedEvent } from '@eventstore/db-client';
import type { StreamName } from '#schemas/brand.ts';
import { AppendRefused, type Appendable, type Recorded } from './event-log.ts';
import type { EncodedAppend, EncodedFact } from './encode-append.ts';
import { positionAt } from './eventstoredb-positions.ts';

/** Under EventStoreDB's own names for these two, so that its tools can follow what belongs together. */
interface FactMetadata extends Omit<Appendable, 'id' | 'type' | 'data' | 'correlationId' | 'causationId'> {
  /** Only when it is not spelled as EventStoreDB gives ids back. */
  readonly id?: string;
  readonly $correlationId: string;
  readonly $causationId?: string;
}

/** 1 MiB for all events of an append together: 24.2 counts their data, later versions also what is counted here beside it. */
const SERVER_BYTES_MAX = 1_048_576;

/** The data as the event's, the envelope as its metadata. Made from the text that was checked: whoever changes the fact later changes nothing here. */
export function eventsOf({ stream, facts }: EncodedAppend): JSONEventData[] {
  const events = facts.map(eventOf);
  const bytes = events.reduce((sum, { type, data, metadata }) => sum + 2 * type.length + bytesOf(data) + bytesOf(metadata), 0);
  if (bytes > SERVER_BYTES_MAX) throw new AppendRefused(`cannot append to ${stream}: EventStoreDB would count ${bytes} bytes, ${SERVER_BYTES_MAX} is the most`);
  if (events.some(({ data }) => data === undefined)) throw new AppendRefused(`cannot append to ${stream}: a fact in it has no data`);
  return events;
}

const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value) ?? '');

function eventOf({ id, json }: EncodedFact): JSONEventData {
  const { id: spelled, type, data, correlationId, causationId, ...envelope } = JSON.parse(json) as Appendable;
  const metadata: FactMetadata = {
    ...envelope, ...(spelled === id ? {} : { id: spelled }), $correlationId: correlationId, ...(causationId === null ? {} : { $causationId: causationId }),
  };
  return { id, type, contentType: 'application/json', data: data as JSONEventData['data'], metadata: metadata as unknown as JSONEventData['metadata'] };
}

/** Undefined: an event that no log of ours wrote. The server's own are among ours, and others may use it too. */
export function factOf(event: RecordedEvent | undefined): Recorded | undefined {
  const metadata = event?.metadata as Partial<FactMetadata> | undefined;
  if (event?.position === undefined || typeof metadata?.schemaVersion !== 'number' || event.streamId.startsWith('$')) return undefined;
  const { $correlationId, $causationId, ...envelope } = metadata;
  return {
    id: event.id, type: event.type, ...envelope, correlationId: $correlationId ?? '', causationId: $causationId ?? null, data: event.data,
    stream: event.streamId as StreamName, revision: Number(event.revision), position: positionAt(event.position),
  } as Recorded;
}
