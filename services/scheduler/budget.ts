/** Requests that may be sent to one source: so many a minute, and a pause when it asks for one. */
export interface Budget {
  /** False when nothing may be sent now. A look that costs more than is left goes into debt, which time pays back. */
  take(requests: number, now: number): boolean;
  /** What a look took beyond what was taken for it. */
  owe(requests: number): void;
  left(now: number): number;
  /** Nothing is sent for `ms` from `now` on. */
  hold(now: number, ms: number, reason: string): void;
  readonly held: { readonly until: number; readonly reason: string } | undefined;
}

/** What may come at once after a silence: ten seconds' worth, so that no minute sees more than 7/6 of the budget. */
const BURST_SHARE = 1 / 6;

export function createBudget(requestsPerMinute: number, startedAt: number): Budget {
  const most = Math.max(1, requestsPerMinute * BURST_SHARE);
  let tokens = most;
  let at = startedAt;
  let held: { readonly from: number; readonly until: number; readonly reason: string } | undefined;
  const refill = (now: number) => {
    tokens = Math.min(most, tokens + (Math.max(0, now - at) * requestsPerMinute) / 60_000);
    // Also when the clock was set back: else nothing would come in until it is where it was.
    at = now;
    if (held !== undefined && (held.until <= now || now < held.from)) held = undefined;
  };

  return {
    take(requests, now) {
      refill(now);
      if (held !== undefined || tokens < Math.min(requests, 1)) return false;
      tokens -= requests;
      return true;
    },
    owe: (requests) => { tokens -= requests; },
    left(now) {
      refill(now);
      return Math.max(0, tokens);
    },
    hold(now, ms, reason) {
      if (held === undefined || held.until < now + ms) held = { from: now, until: now + ms, reason };
    },
    get held() { return held; },
  };
}
