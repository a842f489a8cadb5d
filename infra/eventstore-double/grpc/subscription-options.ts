import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js';
import type { EventStore } from '../store/event-store.ts';
import type { StoredEvent } from '../store/event.ts';
import { nameOf } from './messages.ts';

/** A place in the log as the server thinks of it; `commit` and `prepare` differ only in checkpoints between two events. */
export interface Place { readonly commit: number; readonly prepare: number }

export interface Subscription {
  /** Given already; (-1, -1) before everything. */
  readonly after: Place;
  /** Index of the first event to look at. */
  readonly index: number;
  /** Nothing to catch up with. */
  readonly isLive: boolean;
  matches(event: StoredEvent): boolean;
  /** Of a filtered one: events looked at in one page, and so many between two checkpoints. */
  readonly pages: { readonly window: number; readonly interval: number } | undefined;
}

export const START: Place = { commit: -1, prepare: -1 };
/** Events of one page, and the window of a filter that names none. */
export const PAGE_EVENTS = 32;

export const isAfter = (one: Place, other: Place) => one.commit > other.commit || (one.commit === other.commit && one.prepare > other.prepare);
export const placeOf = ({ position }: StoredEvent): Place => ({ commit: position, prepare: position });

/** 'invalid': no record begins at the position, though there is more behind it. */
export function subscriptionOf(store: EventStore, options: ReadReq.Options): Subscription | 'invalid' {
  return options.hasStream() ? ofStream(store, options) : ofAll(store, options);
}

function ofStream(store: EventStore, options: ReadReq.Options): Subscription {
  const asked = options.getStream();
  const name = nameOf(asked?.getStreamIdentifier());
  const last = (store.stream(name)?.events.length ?? 0) - 1;
  const from = asked?.hasRevision() ? Number(asked.getRevision()) : asked?.hasEnd() ? last : -1;
  return { after: START, index: 0, isLive: false, pages: undefined, matches: ({ stream, revision }) => stream === name && revision > from };
}

function ofAll(store: EventStore, options: ReadReq.Options): Subscription | 'invalid' {
  const asked = options.getAll();
  const filter = options.getFilter();
  const window = filter?.hasMax() ? filter.getMax() : PAGE_EVENTS;
  const common = { matches: matcherOf(filter), pages: filter && { window, interval: window * filter.getCheckpointintervalmultiplier() } };

  const newest = store.all.at(-1);
  const position = asked?.getPosition();
  if (asked?.hasEnd() && newest) return { ...common, after: placeOf(newest), index: store.all.length, isLive: true };
  if (!asked?.hasPosition() || position === undefined) return { ...common, after: START, index: 0, isLive: false };

  const after = { commit: Number(position.getCommitPosition()), prepare: Number(position.getPreparePosition()) };
  // What is not there yet is believed: whoever asks is not interested in anything before it.
  if (newest && !isAfter(placeOf(newest), after)) return { ...common, after, index: store.all.length, isLive: true };
  const index = store.indexAt(after.commit);
  return index === undefined ? 'invalid' : { ...common, after, index, isLive: false };
}

function matcherOf(filter: ReadReq.Options.FilterOptions | undefined): (event: StoredEvent) => boolean {
  const expression = filter?.getStreamIdentifier() ?? filter?.getEventType();
  if (filter === undefined || expression === undefined) return () => true;
  const textOf = ({ stream, type }: StoredEvent) => (filter.hasStreamIdentifier() ? stream : type);
  const prefixes = expression.getPrefixList();
  if (expression.getRegex() === '') return (event) => prefixes.some((prefix) => textOf(event).startsWith(prefix));
  const pattern = new RegExp(expression.getRegex());
  return (event) => pattern.test(textOf(event));
}
