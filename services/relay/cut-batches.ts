import type { Position } from '#schemas/brand.ts';
import type { PlacedFact } from '#shared/bus/fact-topic.ts';

/** What may have to be written again when an answer is lost; and 2 ms of work, so that who waits for one fact does not wait for many. */
export const BATCH_FACTS_MAX = 500;
/** Kafka takes a batch of one partition whole or not at all, and the topic takes 2 MiB: 500 facts of 3 KiB of one key would be refused for ever. */
export const PARTITION_BYTES_MAX = 524_288;

/** In their order, cut where one of the bounds is met. A fact that is bigger than its bound is still written: with none beside it in its partition. */
export function cutBatches(facts: readonly PlacedFact[]): PlacedFact[][] {
  const batches: PlacedFact[][] = [];
  let bytesOf = new Map<number, number>();
  for (const placed of facts) {
    const before = bytesOf.get(placed.partition) ?? 0;
    const batch = batches.at(-1);
    if (batch === undefined || batch.length === BATCH_FACTS_MAX || (before > 0 && before + placed.bytes > PARTITION_BYTES_MAX)) {
      batches.push([placed]);
      bytesOf = new Map([[placed.partition, placed.bytes]]);
    } else {
      batch.push(placed);
      bytesOf.set(placed.partition, before + placed.bytes);
    }
  }
  return batches;
}

/** What does not stand in its partition yet: the relay before us may have written more than it could remember. */
export function notYetThere(facts: readonly PlacedFact[], highest: readonly Position[]): PlacedFact[] {
  return facts.filter(({ fact, partition }) => fact.position > highest[partition]!);
}
