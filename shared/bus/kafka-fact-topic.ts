import { Partitioners, type Admin, type Producer, type RecordMetadata } from 'kafkajs';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { TopicUnfit, type FactTopic, type PlacedFact, type TopicWriter } from './fact-topic.ts';
import { withAdmin } from './kafka-admin.ts';
import { inTime, kafkaAway, leave, type KafkaClient } from './kafka-client.ts';
import { encodeFactRecord, markOf, partitionOf, type FactRecord } from './kafka-records.ts';
import { decodeCheckpoint, encodeCheckpoint, type RelayCheckpoint } from './kafka-relay-checkpoint.ts';
import { openTailReader, type TailReader } from './kafka-tail-reader.ts';
import { APPLY_TOPICS, partitionsOf } from './kafka-topics.ts';

/** 4 tries in about 2 s: then it is opened anew, and looked at what was written. */
const RETRY = { initialRetryTime: 150, multiplier: 2, maxRetryTime: 1_500, retries: 4 };

interface PlacedRecord extends PlacedFact { readonly record: FactRecord }

/** `offset`: where the next record will stand. `highest`: of the records before it. */
interface PartitionEnd { offset: number; highest: Position }

interface Found { readonly after: Position; readonly ends: PartitionEnd[] }

/** The topic `<topics>.facts`, and what is remembered about it in the compacted `<topics>.relay`. */
export function createKafkaFactTopic({ client, logger }: { client: KafkaClient; logger: Logger }): FactTopic {
  return {
    async open(epoch, signal) {
      // Idempotent: a batch that is sent again because its answer was lost stands there once. Who swallowed a failure of this
      // connect would go on with a producer that is none.
      const producer = client.kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false, createPartitioner: Partitioners.DefaultPartitioner, retry: RETRY });
      try {
        await inTime('connect', producer.connect());
        const found = await findEnds({ client, logger, epoch });
        if (signal.aborted) throw new Unavailable('kafka', 'told to stop');
        return writerOf({ client, producer, epoch, found });
      } catch (error) {
        await leave(producer);
        throw error instanceof TopicUnfit ? error : kafkaAway('open the topic of facts', error);
      }
    },
  };
}

function writerOf({ client: { topics }, producer, epoch, found: { after, ends } }: { client: KafkaClient; producer: Producer; epoch: string; found: Found }): TopicWriter {
  return {
    partitions: ends.length, after, highest: ends.map(({ highest }) => highest),

    place(fact: Recorded): PlacedRecord {
      const record = encodeFactRecord(fact);
      return { fact, record, partition: partitionOf(fact.key, ends.length), bytes: record.bytes };
    },

    async write(batch) {
      const messages = (batch as readonly PlacedRecord[]).map(({ partition, record: { key, value, headers } }) => ({ partition, key, value, headers }));
      const answers = await inTime('write facts', producer.sendBatch({ acks: -1, topicMessages: [{ topic: topics.facts, messages }] })).catch((error: unknown) => { throw kafkaAway('write facts', error); });
      const missing = partitionsMissing(messages.map(({ partition }) => partition), answers);
      if (missing.length > 0) throw new Unavailable('kafka', `wrote facts, and was told nothing of the partitions ${missing.join(', ')}`);
      const strange = answers.filter(({ partition, baseOffset }) => Number(baseOffset) !== ends[partition]!.offset);
      // Somebody else wrote there: what stands before our own is not known any more, and no checkpoint may say that it is.
      if (strange.length > 0) throw new Unavailable('kafka', `another process has written to the partitions ${strange.map(({ partition }) => partition).join(', ')} as well`);
      for (const { partition, fact } of batch) Object.assign(ends[partition]!, { offset: ends[partition]!.offset + 1, highest: fact.position });
    },

    async checkpoint(position) {
      const value = encodeCheckpoint({ epoch, position, ends });
      await inTime('write a checkpoint', producer.send({ topic: topics.relay, acks: -1, messages: [{ partition: 0, key: topics.facts, value }] })).catch((error: unknown) => { throw kafkaAway('write a checkpoint', error); });
    },

    close: () => leave(producer),
  };
}

/**
 * Which partitions nothing was said of. When a leader dies under a batch, and its partitions go to a broker that has answered for
 * its own already, kafkajs 2.2.4 takes that answer for theirs: it says "sent", and never sends them (producer/sendMessages.js).
 */
export function partitionsMissing(sent: readonly number[], answers: readonly RecordMetadata[]): number[] {
  const answered = new Set(answers.filter(({ errorCode }) => errorCode === 0).map(({ partition }) => partition));
  return [...new Set(sent)].filter((partition) => !answered.has(partition));
}

async function findEnds({ client, logger, epoch }: { client: KafkaClient; logger: Logger; epoch: string }): Promise<Found> {
  const { topics } = client;
  const { facts, relay } = await withAdmin(client, 'look at the topics', async (admin) => {
    const counts = await partitionsOf(admin, Object.values(topics));
    const absent = Object.values(topics).filter((topic) => !counts.has(topic));
    if (absent.length > 0) throw new Unavailable('kafka', `there is no topic ${absent.join(', ')}: ${APPLY_TOPICS}`);
    return { facts: await offsetsOf(admin, topics.facts), relay: (await offsetsOf(admin, topics.relay))[0] };
  });
  let reader: TailReader | undefined;
  try {
    const read: TailReader['read'] = async (ranges, onRecord) => (reader ??= await openTailReader(client)).read(ranges, onRecord);
    const last = relay === undefined || relay.low === relay.high ? undefined : await lastCheckpoint({ topic: topics.relay, high: relay.high, read });
    const begin = beginningOf({ last, facts, epoch, topic: topics.facts, logger });
    const ranges = facts.map(({ low, high }, partition) => ({ topic: topics.facts, partition, from: Math.max(low, begin.ends[partition]!.offset), to: high })).filter(({ from, to }) => from < to);
    if (ranges.length > 0) await read(ranges, (record) => raise(begin.ends[record.partition]!, markOf(record).position));
    for (const [partition, { high }] of facts.entries()) begin.ends[partition]!.offset = high;
    return begin;
  } finally {
    await reader?.close();
  }
}

async function lastCheckpoint({ topic, high, read }: { topic: string; high: number; read: TailReader['read'] }): Promise<RelayCheckpoint | undefined> {
  let last: RelayCheckpoint | undefined;
  // The last record of a compacted topic is never taken away.
  await read([{ topic, partition: 0, from: high - 1, to: high }], ({ value }) => { last = decodeCheckpoint(value, topic); });
  return last;
}

interface Beginning { readonly last: RelayCheckpoint | undefined; readonly facts: readonly Offsets[]; readonly epoch: string; readonly topic: string; readonly logger: Logger }

/** Where to look from. @throws TopicUnfit */
function beginningOf({ last, facts, epoch, topic, logger }: Beginning): Found {
  const empty = { after: BEGINNING, ends: facts.map(() => ({ offset: 0, highest: BEGINNING })) };
  if (last === undefined) return empty;
  if (last.epoch !== epoch) throw new TopicUnfit(`${topic} holds facts of another log (${last.epoch}, and this one is ${epoch}): name other topics in TEKAI_KAFKA_URL (…?topics=…), or delete these two and have them made anew`);
  if (last.ends.length !== facts.length) throw new TopicUnfit(`${topic} has ${facts.length} partitions, and had ${last.ends.length} when it was last written: keys have moved, and their order is lost. Name other topics in TEKAI_KAFKA_URL (…?topics=…)`);
  if (last.ends.some(({ offset }, partition) => offset > facts[partition]!.high)) {
    logger.warn({ topic }, 'the topic of facts has lost records, or was made anew: it is filled from the beginning of the log');
    return empty;
  }
  return { after: last.position, ends: last.ends.map((end) => ({ ...end })) };
}

function raise(end: PartitionEnd, position: Position): void {
  if (position > end.highest) end.highest = position;
}

interface Offsets { readonly low: number; readonly high: number }

/** By partition. */
async function offsetsOf(admin: Admin, topic: string): Promise<Offsets[]> {
  const offsets: Offsets[] = [];
  for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) offsets[partition] = { low: Number(low), high: Number(high) };
  return offsets;
}
