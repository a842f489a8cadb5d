import { setTimeout as sleep } from 'node:timers/promises';
import type { Recorded } from '#shared/log/event-log.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { KafkaClient } from './kafka-client.ts';
import { decodeFactRecord, markOf, type ReceivedRecord, type RecordMark } from './kafka-records.ts';
import { openTailReader, type TailReader } from './kafka-tail-reader.ts';

const TRIES_MAX = 60;
const RETRY_MS = 500;

/** All that stands in the topic of facts, by partition, as it stands. */
export const readAll = (client: KafkaClient): Promise<readonly (readonly Recorded[])[]> => readEach(client, decodeFactRecord);

/** What all of its records say in their headers. */
export const readMarks = async (client: KafkaClient): Promise<readonly RecordMark[]> => (await readEach(client, markOf)).flat();

async function readEach<T>(client: KafkaClient, read: (record: ReceivedRecord) => T): Promise<T[][]> {
  const admin = client.kafka.admin();
  await admin.connect();
  const offsets = await admin.fetchTopicOffsets(client.topics.facts);
  await admin.disconnect();
  const records: T[][] = offsets.map(() => []);
  const ranges = offsets.map(({ partition, low, high }) => ({ topic: client.topics.facts, partition, from: Number(low), to: Number(high) })).filter(({ from, to }) => from < to);
  const reader = await untilOpen(client);
  await reader.read(ranges, (record) => void records[record.partition]!.push(read(record)));
  await reader.close();
  return records;
}

/** A broker that has just started says that it loads its groups yet; the relay waits, and so do we. */
export async function untilOpen(client: KafkaClient): Promise<TailReader> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await openTailReader(client);
    } catch (error) {
      if (!(error instanceof Unavailable) || tries === TRIES_MAX) throw error;
      await sleep(RETRY_MS);
    }
  }
}

/** What a consumer keeps: of each partition what is above all before it. And how many were there more than once. */
export function withoutRepetitions(records: readonly (readonly Recorded[])[]): { readonly kept: readonly (readonly Recorded[])[]; readonly repeated: number } {
  let repeated = 0;
  const kept = records.map((all) => {
    let highest = '';
    return all.filter(({ position }) => {
      const isNew = position > highest;
      if (isNew) highest = position;
      else repeated += 1;
      return isNew;
    });
  });
  return { kept, repeated };
}
