import { isDeleted, lastRevisionOf, type Expected, type Stream } from './event.ts';

/** Where an event with an id that the server still remembers was stored last. */
export interface RecentId { readonly stream: string; readonly revision: number }

export type Decision =
  | { readonly kind: 'store' }
  /** Stands there already; `last` is the revision of the append's last event. */
  | { readonly kind: 'already'; readonly last: number }
  /** `actual` -1: no stream. */
  | { readonly kind: 'wrongRevision'; readonly actual: number }
  | { readonly kind: 'tombstoned' };

export interface AppendAsked { readonly expected: Expected; readonly ids: readonly string[]; recent(id: string): RecentId | undefined }

/**
 * What becomes of an append: the rule of the server's IndexWriter.CheckCommit. With an exact revision the stream itself tells
 * a retry; with `any` only the table of recent ids does, which a restart empties.
 */
export function decideAppend(stream: Stream, { expected, ids, recent }: AppendAsked): Decision {
  if (stream.isTombstoned) return { kind: 'tombstoned' };
  const last = lastRevisionOf(stream);
  const refused: Decision = { kind: 'wrongRevision', actual: last };

  if (expected === 'stream_exists' && last < 0) return refused;
  if (expected === 'any' || expected === 'stream_exists') return decideByRecentIds(stream, ids.map(recent)) ?? refused;

  const at = expected === 'no_stream' ? -1 : expected;
  if (at === last) return { kind: 'store' };
  if (at > last) return refused;
  const stands = ids.map((id, index) => stream.events[at + 1 + index]?.id === id);
  if (stands.every(Boolean)) return { kind: 'already', last: at + ids.length };
  return !stands[0] && expected === 'no_stream' && isDeleted(stream) ? { kind: 'store' } : refused;
}

/** Undefined: the first stands there already, another does not. */
function decideByRecentIds(stream: Stream, found: readonly (RecentId | undefined)[]): Decision | undefined {
  const own = found.map((one) => (one?.stream === stream.name ? one.revision : undefined));
  if (own[0] === undefined) return { kind: 'store' };
  return own.includes(undefined) ? undefined : { kind: 'already', last: own.at(-1) ?? 0 };
}
