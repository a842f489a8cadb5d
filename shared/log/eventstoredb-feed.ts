import type { EventStoreDBClient } from '@eventstore/db-client';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { Batch, Recorded } from './event-log.ts';
import { factOf } from './eventstoredb-events.ts';
import { positionAt } from './eventstoredb-positions.ts';
import { openEventstoredbSubscription, type SubscriptionOptions } from './eventstoredb-subscription.ts';

/** As the embedded log's: bigger pages give little, and hold the event loop longer. */
const PAGE_FACTS_MAX = 1_000;
/** A batch ends with the fact that passes this; counted are the bytes of its data. */
const PAGE_BYTES_MAX = 4 * 1_048_576;
/** While it catches up, a batch waits so long for more: facts come a few at a time, and a transaction for each few is slow. */
const GATHER_MS = 10;
/** A subscription that is not confirmed by then has met a silent server. */
const CONFIRM_MS_MAX = 10_000;
/** Who subscribes is given a first batch by then, also when the server has not said yet whether there is more. */
const FIRST_MS = 500;

export interface FeedOptions extends SubscriptionOptions {
  /** After so long a silence it is begun anew: a server may forget a subscription without ending it. */
  readonly silentMsMax: number;
}

/** Batches of one subscription of the server's, until it fails. */
export interface EventstoredbFeed {
  /** Undefined when the signal aborts. @throws what the subscription failed with, once everything that came before was taken */
  next(signal: AbortSignal): Promise<Batch | undefined>;
  close(): void;
}

export function openEventstoredbFeed(client: EventStoreDBClient, { after, prefixes, silentMsMax }: FeedOptions): EventstoredbFeed {
  const subscription = openEventstoredbSubscription(client, { after, prefixes });
  let position = after;
  let isLive = false;
  let hasGiven = false;
  return { next, close: subscription.close };

  async function next(signal: AbortSignal): Promise<Batch | undefined> {
    const page: Recorded[] = [];
    const before = position;
    const wasLive = isLive;
    let bytes = 0;
    while (!signal.aborted) {
      const reached = position;
      bytes += take(page, bytes);
      const isGathering = !isLive && position !== reached && !isFull(page.length, bytes);
      if (isLive !== wasLive || (position !== before && !isGathering)) return give(page);
      const failure = subscription.failure();
      if (failure !== undefined && position === before) throw failure as Error;
      if (await subscription.changed(position !== before ? GATHER_MS : patience(), signal)) continue;
      if (position !== before || (!hasGiven && subscription.isConfirmed())) return give(page);
      throw new Unavailable('event log', 'EventStoreDB is silent');
    }
    return undefined;
  }

  function patience(): number {
    if (!subscription.isConfirmed()) return CONFIRM_MS_MAX;
    return hasGiven ? silentMsMax : FIRST_MS;
  }

  function give(facts: readonly Recorded[]): Batch {
    hasGiven = true;
    return { facts, position, isCaughtUp: isLive && !subscription.hasMore() };
  }

  /** Takes what is there, up to a page; gives the bytes of it. */
  function take(page: Recorded[], bytesBefore: number): number {
    let bytes = 0;
    while (!isFull(page.length, bytesBefore + bytes)) {
      const said = subscription.take();
      if (said === undefined) break;
      if (said.kind === 'caughtUp') isLive = true;
      const reached = said.kind === 'checkpoint' ? said.position : said.kind === 'event' && said.event?.position ? positionAt(said.event.position) : position;
      // Given already: a server may repeat itself.
      if (reached <= position) continue;
      position = reached;
      const fact = said.kind === 'event' ? factOf(said.event) : undefined;
      if (fact === undefined) continue;
      page.push(fact);
      bytes += JSON.stringify(fact.data)?.length ?? 0;
    }
    return bytes;
  }
}

const isFull = (facts: number, bytes: number) => facts >= PAGE_FACTS_MAX || bytes >= PAGE_BYTES_MAX;
