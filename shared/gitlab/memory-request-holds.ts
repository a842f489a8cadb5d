import type { RequestHolds } from './request-holds.ts';

/** Of this process. `now` in ms. */
export function createMemoryRequestHolds(now: () => number = () => performance.now()): RequestHolds {
  const until = new Map<string, number>();

  return {
    async leftMs(whom) {
      // In whole ms: a timer may end a little early, and who has waited must not be told to wait again.
      const left = Math.floor((until.get(whom) ?? 0) - now());
      if (left > 0) return left;
      until.delete(whom);
      return 0;
    },
    hold(whom, ms) { until.set(whom, Math.max(until.get(whom) ?? 0, now() + ms)); },
  };
}
