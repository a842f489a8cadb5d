/** When codebases are looked at: the whole rule, without a clock. */

/** How long a lost webhook may stay unfound, in milliseconds. */
export interface Pace {
  /** Of a codebase with a hint within the last hour. */
  readonly activeMs: number;
  /** Of one that has been quiet for long. */
  readonly idleMs: number;
}

export interface Looked {
  readonly id: string;
  /** The newest hint of any kind; its registration at first. */
  readonly activeAt: number;
  /** The last look that GitLab answered; its registration at first. */
  readonly lookedAt: number;
  /** After failures: not before. */
  readonly nextAt: number | null;
  /** Something differed: a second look is due then. */
  readonly confirmAt: number | null;
  /** What a look costs, in requests: one for each hundred branches, and tags. */
  readonly requests: number;
}

/** A look comes at four fifths of the time that is allowed, so that the second look and the queue fit into the rest. */
const CADENCE = 0.8;
/** The second look, and its place in the queue. */
const CONFIRMED_MS = 5_000;
/** A codebase that was quiet for an hour is active at the edge; the interval grows with the silence from there. */
const ACTIVE_FOR_MS = 3_600_000;

/** Between two looks: the active pace within an hour of a hint, growing in step with the silence, up to the idle pace. */
export function intervalMs(activeAt: number, now: number, pace: Pace): number {
  const silence = Math.max(0, now - activeAt) / ACTIVE_FOR_MS;
  return Math.min(Math.max(pace.idleMs, pace.activeMs), pace.activeMs * Math.max(1, silence)) * CADENCE;
}

/**
 * Since `then`. What lies ahead of the clock was written before the clock was set back: by how much is as good a guess as any,
 * and an hour's step makes all due at once instead of nothing for an hour.
 */
export const elapsedMs = (then: number, now: number): number => Math.abs(now - then);

/** Whether a time that was set at most `msMax` ahead is still to come; one that lies further ahead was set by another clock. */
const isAhead = (at: number, { now, msMax }: { now: number; msMax: number }) => at > now && at - now <= msMax;

/**
 * Who is due, first come first: second looks, then by how late each is in its own measure, so that a short budget stretches
 * all alike and starves nobody; the newest active goes first among equals.
 */
export function dueLooks<T extends Looked>(watched: readonly T[], { now, pace }: { now: number; pace: Pace }): T[] {
  const due: { one: T; lateness: number }[] = [];
  for (const one of watched) {
    if (one.nextAt !== null && isAhead(one.nextAt, { now, msMax: Math.max(pace.idleMs, pace.activeMs) })) continue;
    if (one.confirmAt !== null) {
      if (!isAhead(one.confirmAt, { now, msMax: CONFIRMED_MS })) due.push({ one, lateness: Infinity });
      continue;
    }
    const lateness = elapsedMs(one.lookedAt, now) / intervalMs(one.activeAt, now, pace);
    if (lateness >= 1 || one.nextAt !== null) due.push({ one, lateness });
  }
  const byLateness = (a: number, b: number) => (a === b ? 0 : b - a);
  return due.sort((a, b) => byLateness(a.lateness, b.lateness) || b.one.activeAt - a.one.activeAt || (a.one.id < b.one.id ? -1 : 1)).map(({ one }) => one);
}

export interface Bound {
  /** Until a lost webhook of an active codebase is found; of an idle one. Never below the pace. */
  readonly activeMs: number;
  readonly idleMs: number;
  /** What the pace would take; above the budget the bounds are stretched. */
  readonly wantedPerMinute: number;
}

/** How soon a lost webhook is found within the budget: because lateness is shared, all stretch by the same factor. */
export function boundOf(watched: readonly Looked[], { now, pace, requestsPerMinute }: { now: number; pace: Pace; requestsPerMinute: number }): Bound {
  const wantedPerMinute = watched.reduce((sum, one) => sum + (one.requests * 60_000) / intervalMs(one.activeAt, now, pace), 0);
  const stretch = Math.max(1, wantedPerMinute / requestsPerMinute);
  const reached = (ms: number) => Math.ceil(Math.max(ms, ms * CADENCE * stretch + CONFIRMED_MS));
  // Below the budget the fifth to spare holds the second look; a pace of a few seconds has too little of it.
  return { activeMs: reached(pace.activeMs), idleMs: reached(Math.max(pace.idleMs, pace.activeMs)), wantedPerMinute };
}
