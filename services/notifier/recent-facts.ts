import type { Position } from '#schemas/brand.ts';
import type { ToldFact } from './pub-frame.ts';

/** Who comes back after a short break is served from these: 5,000 clients that do so together ask the database nothing. */
const RECENT_FACTS_MAX = 5_000;
const RECENT_CHARS_MAX = 16 * 1_048_576;

/** The last facts told, for all channels together. */
export interface RecentFacts {
  push(fact: ToldFact): void;
  /** All that was told after a position; undefined when some of it is no longer kept. */
  after(position: Position): readonly ToldFact[] | undefined;
}

export function createRecentFacts({ from, factsMax = RECENT_FACTS_MAX }: { readonly from: Position; readonly factsMax?: number | undefined }): RecentFacts {
  /** Everything told behind this is kept. */
  let floor = from;
  let facts: ToldFact[] = [];
  let first = 0;
  let chars = 0;

  return {
    push(fact) {
      facts.push(fact);
      chars += fact.rest.length;
      while (facts.length - first > factsMax || chars > RECENT_CHARS_MAX) {
        const gone = facts[first] as ToldFact;
        floor = gone.position;
        chars -= gone.rest.length;
        first += 1;
      }
      // Cut when more is gone than kept: rarely, for each cut copies it, and before large facts that nobody asks for fill the memory.
      if (first > facts.length - first) { facts = facts.slice(first); first = 0; }
    },
    after(position) {
      if (position < floor) return undefined;
      let [low, high] = [first, facts.length];
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((facts[middle] as ToldFact).position > position) high = middle;
        else low = middle + 1;
      }
      return facts.slice(low);
    },
  };
}
