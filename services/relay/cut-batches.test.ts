import fc from 'fast-check';
import { BEGINNING } from '#schemas/brand.ts';
import { at, factOf, numbers } from '#shared/bus/fact-topic.contract.ts';
import type { PlacedFact } from '#shared/bus/fact-topic.ts';
import { BATCH_FACTS_MAX, cutBatches, notYetThere, PARTITION_BYTES_MAX } from './cut-batches.ts';

const placed = (number: number, partition: number, bytes = 700): PlacedFact => ({ fact: factOf(number), partition, bytes });
const bytesIn = (batch: readonly PlacedFact[], partition: number) => batch.filter((one) => one.partition === partition).reduce((sum, { bytes }) => sum + bytes, 0);

test('batches are all facts in their order, within both bounds, and no smaller than the bounds ask for', () => {
  fc.assert(fc.property(fc.array(fc.record({ partition: fc.nat(3), bytes: fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 100_000, max: 1_500_000 })) }), { maxLength: 1_800 }), (drawn) => {
    const facts = drawn.map(({ partition, bytes }, index) => ({ ...placed(1, partition, bytes), index }));
    const batches = cutBatches(facts) as (typeof facts)[];
    expect(batches.flat().map(({ index }) => index)).toEqual(facts.map(({ index }) => index));
    for (const [index, batch] of batches.entries()) {
      expect(batch.length).toBeGreaterThan(0);
      expect(batch.length).toBeLessThanOrEqual(BATCH_FACTS_MAX);
      for (const partition of [0, 1, 2, 3]) {
        const mine = batch.filter((one) => one.partition === partition);
        if (mine.length > 1) expect(bytesIn(batch, partition)).toBeLessThanOrEqual(PARTITION_BYTES_MAX);
      }
      const next = batches[index + 1]?.[0];
      if (next !== undefined) expect(batch.length === BATCH_FACTS_MAX || bytesIn(batch, next.partition) + next.bytes > PARTITION_BYTES_MAX).toBe(true);
    }
  }), { numRuns: 60 });
});

test('no facts are no batch', () => {
  expect(cutBatches([])).toEqual([]);
});

test('500 facts of 3 KiB of one key are three batches, each of what the broker takes', () => {
  const batches = cutBatches(numbers(500).map((number) => placed(number, 7, 3_072 + 300)));
  expect(batches.map((batch) => batch.length)).toEqual([155, 155, 155, 35]);
});

test('what is above the highest of its partition is not yet there, whatever other partitions have', () => {
  const facts = [placed(3, 0), placed(4, 1), placed(5, 0), placed(6, 1), placed(7, 2)];
  expect(notYetThere(facts, [at(3), at(6), BEGINNING]).map(({ fact }) => fact.position)).toEqual([at(5), at(7)]);
});
