import type { Position } from '#schemas/brand.ts';
import type { Committed } from './kafka-offsets.ts';

/** By batches. Beyond that every second one is forgotten: who begins there reads a little more again. */
const PLACES_MAX = 512;

/** Which offset belongs to which position of one partition, as far back as somebody may have to begin anew. */
export function createPlaces() {
  let places: Committed[] = [];

  return {
    remember(place: Committed): void {
      if (places.length >= PLACES_MAX) places = places.filter((_, index) => index % 2 === 0);
      if (places.at(-1)?.position === place.position) places.pop();
      places.push(place);
    },

    /** Where to begin for whoever has everything up to this position: nothing older will be asked for. */
    of(position: Position): Committed | undefined {
      const index = places.findLastIndex((place) => place.position <= position);
      if (index > 0) places = places.slice(index);
      return index < 0 ? undefined : places[0];
    },
  };
}
