import type { FactId, SourceId } from '#schemas/brand.ts';
import { createKeyedSlots, type Release } from './slots.ts';

/** So many codebases of one source at a time, whoever waits in the order of coming: a GitLab that is silent fills its own places, not those of the others (I12). */
export interface SourcePlaces {
  /** The place of a cause; undefined when all are taken: then `reserve` waits for one. */
  take(source: SourceId, cause: FactId): Release | undefined;
  /** Resolves when a place is kept for this cause, or `signal` aborts. */
  reserve(source: SourceId, cause: FactId, signal: AbortSignal): Promise<void>;
}

export function createSourcePlaces(placesMax: number): SourcePlaces {
  const slots = createKeyedSlots(placesMax);
  const reserved = new Map<FactId, Release>();
  return {
    take(source, cause) {
      const kept = reserved.get(cause);
      reserved.delete(cause);
      return kept ?? slots.tryTake(source);
    },
    async reserve(source, cause, signal) {
      const release = await slots.take(source, signal).catch(() => undefined);
      if (release !== undefined) reserved.set(cause, release);
    },
  };
}
