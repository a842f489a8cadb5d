import { elapsedMs } from './plan-looks.ts';

/** When GitLab is asked who reads a codebase, or what somebody reads: the whole rule, without a clock. */

export interface ReadersAsked {
  readonly id: string;
  /** Null: GitLab never answered. */
  readonly askedAt: number | null;
  /** After failures: not before. */
  readonly nextAt: number | null;
  /** The newest word that they may have changed: of this very project, or of something that many projects are below. */
  readonly hintedAt: number | null;
  readonly isOwnHint: boolean;
  readonly requests: number;
}

/** Who is out of a project and no webhook told: as long as five minutes they still read, where the budget allows it. */
export const READERS_EVERY_MS = 300_000;
/** A look comes at four fifths of the time, so that its place in the queue fits into the rest. */
const CADENCE = 0.8;
/** Nothing is put off further than this: a time that lies beyond was set by another clock. */
export const PUT_OFF_MS_MAX = 900_000;

/** Who is due: who was never asked about and who was hinted at, their own hints first; then by how long ago it was. */
export function dueReaders<T extends ReadersAsked>(asked: readonly T[], { now, everyMs }: { readonly now: number; readonly everyMs: number }): T[] {
  const due = asked.filter(({ nextAt }) => nextAt === null || nextAt <= now || nextAt > now + PUT_OFF_MS_MAX)
    .map((one) => ({ one, rank: rankOf(one), agoMs: one.askedAt === null ? Infinity : elapsedMs(one.askedAt, now) }))
    .filter(({ rank, agoMs }) => rank < 2 || agoMs >= everyMs * CADENCE);
  return due.sort((a, b) => a.rank - b.rank || (a.agoMs === b.agoMs ? 0 : b.agoMs - a.agoMs) || (a.one.id < b.one.id ? -1 : 1)).map(({ one }) => one);
}

/**
 * Of whom there is more to ask than was asked: due at once, and behind all who are due because it was long ago. With time they come before
 * those who were asked later, so that neither waits for the other for ever.
 * @returns what stands for when they were asked
 */
export const askedInPart = (askedAt: number, { now, everyMs }: { readonly now: number; readonly everyMs: number }): number => Math.min(askedAt, now - Math.ceil(everyMs * CADENCE));

/** What GitLab said at the moment of a hint, or after it, is new enough. */
function rankOf({ askedAt, hintedAt, isOwnHint }: ReadersAsked): number {
  const isHinted = hintedAt !== null && (askedAt === null || hintedAt >= askedAt);
  if (isHinted && isOwnHint) return 0;
  return askedAt === null || isHinted ? 1 : 2;
}

/** How soon a change is learnt that nothing told of, within the budget: all of them asked about, one after the other. */
export function readersBoundMs(asked: readonly Pick<ReadersAsked, 'requests'>[], { requestsPerMinute, everyMs }: { readonly requestsPerMinute: number; readonly everyMs: number }): number {
  const requests = asked.reduce((sum, one) => sum + one.requests, 0);
  return Math.max(everyMs, everyMs * CADENCE + (requests / requestsPerMinute) * 60_000);
}

/**
 * The same of people, whom no webhook puts before others: each is asked in their turn again, so that it takes as long as asking all of
 * them takes, and a fifth for who comes in between.
 */
export function peopleBoundMs(asked: readonly Pick<ReadersAsked, 'requests'>[], { requestsPerMinute, everyMs }: { readonly requestsPerMinute: number; readonly everyMs: number }): number {
  const requests = asked.reduce((sum, one) => sum + one.requests, 0);
  return Math.max(everyMs, ((requests / requestsPerMinute) * 60_000) / CADENCE);
}

/** What asking about all of them takes of a budget. */
export function wantedPerMinute(asked: readonly Pick<ReadersAsked, 'requests'>[], everyMs: number): number {
  return (asked.reduce((sum, one) => sum + one.requests, 0) / (everyMs * CADENCE)) * 60_000;
}
