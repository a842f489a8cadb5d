import { randomUUID } from 'node:crypto';
import type { EachBatchPayload, IHeaders, KafkaMessage } from 'kafkajs';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { withAdmin } from './kafka-admin.ts';
import { inTime, kafkaAway, leave, type KafkaClient } from './kafka-client.ts';

/** The records of one partition from one offset to before another. */
export interface TailRange {
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

export interface TailRecord { readonly partition: number; readonly offset: number; readonly key: Buffer | null; readonly value: Buffer | null; readonly headers: IHeaders | undefined }

export interface TailReader {
  /** Gives each record of the ranges; of one partition in order. @throws Unavailable */
  read(ranges: readonly TailRange[], onRecord: (record: TailRecord) => void): Promise<void>;
  close(): Promise<void>;
}

/** Then the broker is away, or the record that was to be there is not. */
const SILENT_MS_MAX = 30_000;
const FETCH_WAIT_MS_MAX = 200;
/** A topic's batches have 2 MiB at most. */
const PARTITION_BYTES_MAX = 4 * 1_048_576;

interface Reading { readonly open: Map<string, TailRange>; readonly onRecord: (record: TailRecord) => void; done(): void; heard(): void }

/**
 * Reads pieces of topics, once. kafkajs reads in groups only, so this is a group of one, whose name nobody has again; joining one
 * takes the seconds that brokers wait for others (group.initial.rebalance.delay.ms), so it is joined once for all pieces.
 */
export async function openTailReader(client: KafkaClient): Promise<TailReader> {
  const { kafka, topics } = client;
  const groupId = `${topics.relay}-looks-${randomUUID()}`;
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: FETCH_WAIT_MS_MAX, maxBytesPerPartition: PARTITION_BYTES_MAX, allowAutoTopicCreation: false, retry: { restartOnFailure: async () => false } });
  let reading: Reading | undefined;
  let crash: (error: Error) => void = () => undefined;
  const crashed = new Promise<never>((_, reject) => { crash = reject; });
  crashed.catch(() => undefined);
  consumer.on('consumer.crash', ({ payload }) => crash(payload.error));

  async function eachBatch({ batch }: EachBatchPayload): Promise<void> {
    const name = nameOf(batch.topic, batch.partition);
    const range = reading?.open.get(name);
    if (reading === undefined || range === undefined) return;
    reading.heard();
    for (const message of batch.messages) {
      const offset = Number(message.offset);
      if (offset >= range.from && offset < range.to) reading.onRecord(recordOf(batch.partition, message));
    }
    if (Number(batch.lastOffset()) + 1 < range.to) return;
    reading.open.delete(name);
    consumer.pause([{ topic: batch.topic, partitions: [batch.partition] }]);
    if (reading.open.size === 0) reading.done();
  }

  async function join(): Promise<void> {
    await consumer.connect();
    await consumer.subscribe({ topics: [topics.facts, topics.relay], fromBeginning: false });
    await consumer.run({ autoCommit: false, eachBatch });
  }

  async function close(): Promise<void> {
    await leave(consumer);
    // Left behind, the broker forgets it by itself within days.
    await withAdmin(client, 'delete a group', (admin) => admin.deleteGroups([groupId])).catch(() => undefined);
  }

  try {
    await inTime('join a group of one', Promise.race([join(), crashed]));
    consumer.pause([{ topic: topics.facts }, { topic: topics.relay }]);
  } catch (error) {
    await close();
    throw kafkaAway('join a group of one', error);
  }

  return {
    async read(ranges, onRecord) {
      if (ranges.length === 0) return;
      const silence = createSilence();
      try {
        await Promise.race([crashed, silence.passed, new Promise<void>((done) => {
          reading = { open: new Map(ranges.map((range) => [nameOf(range.topic, range.partition), range])), onRecord, done, heard: silence.heard };
          for (const { topic, partition, from } of ranges) {
            consumer.seek({ topic, partition, offset: String(from) });
            consumer.resume([{ topic, partitions: [partition] }]);
          }
        })]);
      } catch (error) {
        throw kafkaAway('read what stands there', error);
      } finally {
        silence.end();
        reading = undefined;
      }
    },
    close,
  };
}

const nameOf = (topic: string, partition: number) => `${topic}/${partition}`;

function recordOf(partition: number, { offset, key, value, headers }: KafkaMessage): TailRecord {
  return { partition, offset: Number(offset), key, value, headers };
}

function createSilence() {
  let timer: NodeJS.Timeout | undefined;
  let pass: () => void = () => undefined;
  const passed = new Promise<never>((_, reject) => { pass = () => reject(new Unavailable('kafka', `a reader heard nothing for ${SILENT_MS_MAX / 1_000} s`)); });
  passed.catch(() => undefined);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(pass, SILENT_MS_MAX);
  };
  heard();
  return { passed, heard, end: () => clearTimeout(timer) };
}
