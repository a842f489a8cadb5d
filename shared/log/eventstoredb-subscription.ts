import { START, streamNameFilter, type AllStreamResolvedEvent, type EventStoreDBClient } from '@eventstore/db-client';
import type { Position } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { checkpointAt, serverPosition, type ServerPosition } from './eventstoredb-positions.ts';

/** Events that are read ahead of who takes them, 1 MiB each at most. */
const READ_AHEAD = 64;
/** So many events without a match, then the position moves on. */
const CHECKPOINT_EVENTS = 256;

/** What a server says to a subscriber, in its order. */
export type Said =
  | { readonly kind: 'event'; readonly event: AllStreamResolvedEvent['event'] }
  | { readonly kind: 'checkpoint'; readonly position: Position }
  | { readonly kind: 'caughtUp' };

/** A subscription of the server's: it ends with a failure sooner or later, and does not come back. */
export interface EventstoredbSubscription {
  /** The next that was said; undefined when there is nothing yet. */
  take(): Said | undefined;
  /** Whether there is more to take. */
  hasMore(): boolean;
  isConfirmed(): boolean;
  /** What it ended with; what was said before can still be taken. */
  failure(): unknown;
  /** False when nothing happened in time. */
  changed(ms: number, signal: AbortSignal): Promise<boolean>;
  close(): void;
}

export interface SubscriptionOptions { readonly after: Position; readonly prefixes: readonly string[] }

export function openEventstoredbSubscription(client: EventStoreDBClient, { after, prefixes }: SubscriptionOptions): EventstoredbSubscription {
  const checkpointReached = (_: unknown, at: ServerPosition) => {
    const position = checkpointAt(at);
    if (position !== undefined) note({ kind: 'checkpoint', position });
  };
  const window = { maxSearchWindow: CHECKPOINT_EVENTS, checkpointInterval: 1, checkpointReached };
  // Streams that begin with $ are the server's own.
  const filter = prefixes.length > 0 ? streamNameFilter({ prefixes: [...prefixes], ...window }) : streamNameFilter({ regex: '^[^$]', ...window });
  const subscription = client.subscribeToAll({ fromPosition: serverPosition(after) ?? START, filter }, { highWaterMark: READ_AHEAD });
  /** Said between two events: the client tells them while the events before them still wait to be taken. */
  const notes: { readonly eventsBefore: number; readonly said: Said }[] = [];
  let eventsTaken = 0;
  let isConfirmed = false;
  let failure: unknown;
  let wake = () => undefined as void;

  subscription.on('readable', () => wake());
  subscription.on('confirmation', () => {
    isConfirmed = true;
    wake();
  });
  subscription.on('caughtUp', () => note({ kind: 'caughtUp' }));
  // Listened to until the end of time: an error that nobody hears ends the process.
  subscription.on('error', (error: unknown) => fail(error));
  subscription.on('end', () => fail(new Unavailable('event log', 'the subscription was ended by the server')));

  return {
    hasMore, changed,
    isConfirmed: () => isConfirmed,
    failure: () => failure,
    take() {
      if (isNoteDue()) return notes.shift()?.said;
      const resolved = subscription.read() as AllStreamResolvedEvent | null;
      if (resolved === null) return undefined;
      eventsTaken += 1;
      return { kind: 'event', event: resolved.event };
    },
    close() {
      subscription.unsubscribe().catch(() => undefined);
      subscription.destroy();
    },
  };

  function note(said: Said): void {
    notes.push({ eventsBefore: eventsTaken + subscription.readableLength, said });
    wake();
  }

  function fail(error: unknown): void {
    failure ??= error;
    wake();
  }

  function isNoteDue(): boolean {
    return notes[0] !== undefined && notes[0].eventsBefore <= eventsTaken;
  }

  function hasMore(): boolean {
    return subscription.readableLength > 0 || isNoteDue();
  }

  function changed(ms: number, signal: AbortSignal): Promise<boolean> {
    if (hasMore()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = (happened: boolean) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        wake = () => undefined;
        resolve(happened);
      };
      const abort = () => end(true);
      const timer = setTimeout(() => end(false), ms);
      signal.addEventListener('abort', abort, { once: true });
      wake = () => end(true);
    });
  }
}
