import { BEGINNING, type Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { TopicUnfit, type FactTopic, type PlacedFact, type TopicWriter } from './fact-topic.ts';

export interface MemoryFactTopic extends FactTopic {
  /** What stands in each partition. */
  readonly records: readonly (readonly Recorded[])[];
}

interface Checkpoint { readonly epoch: string; readonly position: Position; readonly lengths: readonly number[]; readonly highest: readonly Position[] }

/** What several writers share, as long as this process lives. */
export function createMemoryFactTopic({ partitions = 4 } = {}): MemoryFactTopic {
  const records = Array.from({ length: partitions }, (): Recorded[] => []);
  let last: Checkpoint | undefined;

  return {
    records,
    open(epoch) {
      if (last !== undefined && last.epoch !== epoch) return Promise.reject(new TopicUnfit(`it holds facts of the log ${last.epoch}`));
      const found = last;
      const highest = records.map((all, partition) => all.slice(found?.lengths[partition] ?? 0).reduce((most, { position }) => (position > most ? position : most), found?.highest[partition] ?? BEGINNING));
      return Promise.resolve(writerOf({ epoch, after: found?.position ?? BEGINNING, highest }));
    },
  };

  function writerOf({ epoch, after, highest }: { epoch: string; after: Position; highest: readonly Position[] }): TopicWriter {
    const reached = { lengths: records.map((all) => all.length), highest: [...highest] };
    return {
      partitions, after, highest,
      place: (fact) => ({ fact, partition: [...fact.key].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % partitions, bytes: JSON.stringify(fact).length }),
      async write(batch: readonly PlacedFact[]) {
        const touched = [...new Set(batch.map(({ partition }) => partition))];
        const isAlone = touched.every((partition) => records[partition]!.length === reached.lengths[partition]);
        for (const { fact, partition } of batch) records[partition]!.push(fact);
        if (!isAlone) throw new Unavailable('memory topic', 'another one has written as well');
        for (const partition of touched) reached.lengths[partition] = records[partition]!.length;
        for (const { fact, partition } of batch) reached.highest[partition] = fact.position;
      },
      async checkpoint(position) { last = { epoch, position, lengths: [...reached.lengths], highest: [...reached.highest] }; },
      async close() { /* Nothing is held. */ },
    };
  }
}
