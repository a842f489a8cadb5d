import type { RequestCounts } from './request-counts.ts';

interface Counted { count: number; readonly endsAt: number }

/** Of this process. `now` in ms. */
export function createMemoryRequestCounts(now: () => number = Date.now): RequestCounts {
  let [recent, older] = [new Map<string, Counted>(), new Map<string, Counted>()];
  let turnsAt = 0;
  return {
    count: async (key, windowMs) => {
      const at = now();
      // Two generations, each a window long: what was counted before both has ended, and is forgotten all at once.
      if (at >= turnsAt) [recent, older, turnsAt] = [new Map(), recent, at + windowMs];
      let counted = recent.get(key) ?? older.get(key);
      if (counted === undefined || counted.endsAt <= at) counted = { count: 0, endsAt: at + windowMs };
      recent.set(key, counted);
      counted.count += 1;
      return { count: counted.count, endsAt: new Date(counted.endsAt) };
    },
  };
}
