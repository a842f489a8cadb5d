import { BACKWARDS, END, NO_STREAM, START, type EventStoreDBClient, type ResolvedEvent, type StreamingRead } from '@eventstore/db-client';
import { BEGINNING, type Position, type StreamName } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { Recorded } from './event-log.ts';
import type { Credentials } from './eventstoredb-client.ts';
import { asUnavailable, typeOf } from './eventstoredb-errors.ts';
import { factOf } from './eventstoredb-events.ts';

/** How long a read may say nothing. The client has no deadline for reads: on its own it notices a stopped server after 20 s. */
const SILENT_MS_MAX = 10_000;
/** Events of the server's own may stand behind the newest fact: mostly none, some hundred after a quiet day. */
const NEWEST_EVENTS = 16;
const EPOCH_STREAM = 'log-epoch';

export interface EventstoredbReads {
  readStream(stream: StreamName, options: { readonly from?: number; readonly limit: number }): Promise<readonly Recorded[]>;
  /** @throws Unavailable */
  head(): Promise<Position>;
  epoch(): Promise<string>;
}

/** @throws Unavailable from everything in it */
export function createEventstoredbReads(client: EventStoreDBClient, { credentials }: { readonly credentials: Credentials }): EventstoredbReads {
  return { readStream, head, epoch };

  async function readStream(stream: StreamName, { from = 0, limit }: { readonly from?: number; readonly limit: number }): Promise<readonly Recorded[]> {
    // To a count of 0 the server answers with an error.
    if (limit <= 0) return [];
    const facts: Recorded[] = [];
    for await (const event of eventsIn(stream, { from, limit })) {
      const fact = factOf(event.event);
      if (fact) facts.push(fact);
    }
    return facts;
  }

  async function head(): Promise<Position> {
    for (const maxCount of [NEWEST_EVENTS, Number.MAX_SAFE_INTEGER]) {
      for await (const { event } of takeFrom(client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount, requiresLeader: true }) as StreamingRead<ResolvedEvent>)) {
        const fact = factOf(event);
        if (fact) return fact.position;
      }
    }
    return BEGINNING;
  }

  /** A random id in a stream of its own, written by who asks first: another database has another. It is an event, but no fact. */
  async function epoch(): Promise<string> {
    for (;;) {
      for await (const { event } of eventsIn(EPOCH_STREAM, { from: 0, limit: 1 })) return (event?.data as { epoch: string }).epoch;
      await beginEpoch();
    }
  }

  async function beginEpoch(): Promise<void> {
    const begun = { id: crypto.randomUUID(), type: 'log.begun', contentType: 'application/json', data: { epoch: crypto.randomUUID() }, metadata: undefined } as const;
    try {
      await client.appendToStream(EPOCH_STREAM, begun, { expectedRevision: NO_STREAM, credentials, requiresLeader: true });
    } catch (error) {
      // Another process was quicker: its epoch stands.
      if (typeOf(error) !== 'wrong-expected-version') throw asUnavailable(error);
    }
  }

  async function* eventsIn(stream: string, { from, limit }: { readonly from: number; readonly limit: number }): AsyncGenerator<ResolvedEvent> {
    try {
      yield* takeFrom(client.readStream(stream, { fromRevision: from === 0 ? START : BigInt(from), maxCount: limit, requiresLeader: true }) as StreamingRead<ResolvedEvent>);
    } catch (error) {
      if (typeOf(error) !== 'stream-not-found') throw error;
    }
  }
}

/** What a read gives, as long as it gives anything. Lets go of the call at the end, whatever the end is. */
async function* takeFrom(read: StreamingRead<ResolvedEvent>): AsyncGenerator<ResolvedEvent> {
  // Errors may come when nobody listens any more: thrown by an event handler they would end the process.
  read.on('error', () => undefined);
  const silence = setTimeout(() => read.destroy(new Unavailable('event log', `EventStoreDB said nothing for ${SILENT_MS_MAX} ms to a read`)), SILENT_MS_MAX);
  try {
    for await (const event of read) {
      silence.refresh();
      yield event;
    }
  } catch (error) {
    throw asUnavailable(error);
  } finally {
    clearTimeout(silence);
    // Not waited for: while no node of a cluster is found, it does not end either.
    read.cancel().catch(() => undefined);
  }
}
