import type { Admin } from 'kafkajs';
import type { Position } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { withAdmin } from './kafka-admin.ts';
import type { KafkaClient } from './kafka-client.ts';
import { APPLY_TOPICS, partitionsOf } from './kafka-topics.ts';

/** Of one partition: the first offset that is there, and where the next record will stand. */
export interface Bounds { readonly low: number; readonly high: number }

/** What a group has committed for a partition: every fact of it up to `position` stands before `offset`. */
export interface Committed { readonly offset: number; readonly position: Position }

export interface Offsets {
  /** By partition of the topic of facts. */
  readonly bounds: readonly Bounds[];
  readonly committed: readonly (Committed | undefined)[];
  /** Of the relay's checkpoints: the last stands before it. */
  readonly relay: Bounds;
}

/** @throws Unavailable when Kafka is away, or lacks our topics */
export async function lookAtOffsets(client: KafkaClient, groupId: string): Promise<Offsets> {
  const { topics } = client;
  return withAdmin(client, 'look at the topics', async (admin) => {
    await partitionsOfFacts(admin, topics);
    const [bounds, [relay]] = [await boundsOf(admin, topics.facts), await boundsOf(admin, topics.relay)];
    const committed: (Committed | undefined)[] = [];
    for (const { partitions } of await admin.fetchOffsets({ groupId, topics: [topics.facts] })) {
      for (const { partition, offset, metadata } of partitions) {
        if (Number(offset) >= 0 && metadata) committed[partition] = { offset: Number(offset), position: metadata as Position };
      }
    }
    return { bounds, committed, relay: relay ?? { low: 0, high: 0 } };
  });
}

/** How many partitions the topic of facts has. @throws Unavailable */
export async function countPartitions(client: KafkaClient): Promise<number> {
  return withAdmin(client, 'count partitions', (admin) => partitionsOfFacts(admin, client.topics));
}

async function partitionsOfFacts(admin: Admin, topics: KafkaClient['topics']): Promise<number> {
  const counts = await partitionsOf(admin, Object.values(topics));
  const absent = Object.values(topics).filter((topic) => !counts.has(topic));
  if (absent.length > 0) throw new Unavailable('kafka', `there is no topic ${absent.join(', ')}: ${APPLY_TOPICS}`);
  return counts.get(topics.facts) ?? 0;
}

async function boundsOf(admin: Admin, topic: string): Promise<Bounds[]> {
  const bounds: Bounds[] = [];
  for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) bounds[partition] = { low: Number(low), high: Number(high) };
  return bounds;
}
