import { setTimeout as delay } from 'node:timers/promises';
import type { EventStoreDBClient } from '@eventstore/db-client';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { encodeAppend } from './encode-append.ts';
import type { Batch, EventLog, SubscribeOptions } from './event-log.ts';
import { createEventstoredbAppends } from './eventstoredb-appends.ts';
import { credentialsOf, openEventstoredbClient } from './eventstoredb-client.ts';
import { asUnavailable } from './eventstoredb-errors.ts';
import { openEventstoredbFeed } from './eventstoredb-feed.ts';
import { createEventstoredbReads } from './eventstoredb-reads.ts';

/** The first is about a server's restart; the last is how late a consumer may learn that the log is back. */
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 2_000;
/** A subscription begun anew costs the server a page of 256 events at most. */
const SILENT_MS_MAX = 60_000;

export interface EventstoredbEventLogOptions {
  readonly connectionString: string;
  readonly silentMsMax?: number;
}

export interface EventstoredbEventLog extends EventLog {
  /** Ends the subscriptions and reads that are under way. */
  close(): void;
}

/**
 * The log on EventStoreDB. Opens one client, which everything shares: make one log a process, because clients of one process
 * share more than they should. Every append names its revision; "any" stored events twice over restarts (18 of 65,632).
 */
export function createEventstoredbEventLog({ connectionString, silentMsMax = SILENT_MS_MAX }: EventstoredbEventLogOptions): EventstoredbEventLog {
  const client = openEventstoredbClient(connectionString);
  const closing = new AbortController();
  const credentials = credentialsOf(connectionString);
  const reads = createEventstoredbReads(client, { credentials });
  const appends = createEventstoredbAppends(client, {
    credentials,
    positionOf: async (stream, revision) => (await reads.readStream(stream, { from: revision, limit: 1 }))[0]?.position,
  });

  return {
    append: async (stream, expected, facts) => appends.add(encodeAppend(stream, expected, facts)),
    readStream: reads.readStream,
    subscribe: (options) => follow(client, { ...options, silentMsMax, signal: AbortSignal.any([options.signal, closing.signal]) }),
    head: reads.head,
    epoch: reads.epoch,
    close() {
      closing.abort();
      // Not waited for: it may never end, though every call did.
      void client.dispose();
    },
  };
}

/** The server ends a subscription with one error, and never takes it up again: we do, after the last fact that was taken. */
async function* follow(client: EventStoreDBClient, { after, prefixes, signal, silentMsMax }: SubscribeOptions & { silentMsMax: number }): AsyncGenerator<Batch, void, void> {
  let position = after;
  let wasCaughtUp: boolean | undefined;

  for (let waitMs = RETRY_MS_MIN; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
    const feed = openEventstoredbFeed(client, { after: position, prefixes, silentMsMax });
    try {
      for (let batch = await feed.next(signal); batch !== undefined && !signal.aborted; batch = await feed.next(signal)) {
        if (batch.facts.length > 0 || batch.position !== position || batch.isCaughtUp !== wasCaughtUp) yield batch;
        // Only now: whoever took the batch has asked for the next one.
        position = batch.position;
        wasCaughtUp = batch.isCaughtUp;
        waitMs = RETRY_MS_MIN;
      }
    } catch (error) {
      if (!(asUnavailable(error) instanceof Unavailable)) throw error;
    } finally {
      feed.close();
    }
    // An abort ends the wait; the loop sees it.
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
  }
}
