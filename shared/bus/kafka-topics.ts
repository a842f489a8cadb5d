import { setTimeout as sleep } from 'node:timers/promises';
// The enum by the default: Node sees some of kafkajs's names only (those that its lexer of CommonJS finds), Jest sees all.
import kafkajs, { type Admin } from 'kafkajs';
import { withAdmin } from './kafka-admin.ts';
import type { KafkaClient } from './kafka-client.ts';

export const APPLY_TOPICS = 'make the topics with "tekai topics apply"';

/** What may be chosen. What is not is as it stands, or by default where the topic is made. */
export interface TopicWishes {
  readonly partitions?: number | undefined;
  readonly replication?: number | undefined;
  readonly retentionDays?: number | undefined;
}

export interface TopicPlan {
  readonly topic: string;
  /** What it is made with. */
  readonly made: { readonly partitions: number; readonly replication: number; readonly settings: Settings };
  /** What it must have, made or found: the very value, or at least it. */
  readonly must: { readonly partitions?: number | undefined; readonly replication?: number | undefined; readonly settings: Settings; readonly atLeast: Readonly<Record<string, number>> };
}

type Settings = Readonly<Record<string, string>>;

export interface StandingTopic {
  readonly partitions: number;
  readonly replication: number;
  /** All that are in force. */
  readonly settings: Settings;
  /** Those of them that were set on this topic. */
  readonly own: readonly string[];
}

export type TopicStep =
  | { readonly kind: 'make'; readonly topic: string; readonly partitions: number; readonly replication: number }
  | { readonly kind: 'change'; readonly topic: string; readonly changes: readonly { readonly name: string; readonly from: string; readonly to: string }[] }
  | { readonly kind: 'keep'; readonly topic: string }
  | { readonly kind: 'refuse'; readonly topic: string; readonly why: string };

/** So many workers may share the work at most. Twice the largest fleet that was thought of; each costs a broker a few files. */
const PARTITIONS = 24;
const REPLICATION = 3;
/** A consumer that was away longer reads the rest from the log. */
const RETENTION_DAYS = 7;
/** A batch has 512 KiB, or one fact of up to 1 MiB: twice that leaves room for what surrounds it. */
const MESSAGE_BYTES_MAX = 2 * 1_048_576;
/** Of the relay's topic a start reads the last record only. */
const SEGMENT_BYTES = 16 * 1_048_576;
const DAY_MS = 86_400_000;
/** Of a topic that was just made, or deleted: brokers tell each other within a second, busy ones later. */
const HEARD_MS_MAX = 30_000;
const LOOK_EVERY_MS = 100;
/** Of all of them: each may be waited for several times. */
const APPLY_MS_MAX = 300_000;

/** The two topics as they should be, on so many brokers. */
export function planTopics({ facts, relay }: KafkaClient['topics'], { partitions, replication, retentionDays }: TopicWishes, brokers: number): TopicPlan[] {
  const copies = replication ?? Math.min(REPLICATION, brokers);
  // A write that one of three brokers has alone would be lost with it.
  const safe = { 'min.insync.replicas': String(Math.max(1, copies - 1)) };
  const retention = (days: number) => ({ 'retention.ms': String(days * DAY_MS) });
  return [
    {
      topic: facts,
      made: { partitions: partitions ?? PARTITIONS, replication: copies, settings: { ...safe, 'cleanup.policy': 'delete', 'max.message.bytes': String(MESSAGE_BYTES_MAX), ...retention(retentionDays ?? RETENTION_DAYS) } },
      must: { partitions, replication, settings: { 'cleanup.policy': 'delete', ...(retentionDays === undefined ? {} : retention(retentionDays)) }, atLeast: { 'max.message.bytes': MESSAGE_BYTES_MAX } },
    },
    {
      topic: relay,
      made: { partitions: 1, replication: copies, settings: { ...safe, 'cleanup.policy': 'compact', 'segment.bytes': String(SEGMENT_BYTES) } },
      must: { partitions: 1, replication, settings: { 'cleanup.policy': 'compact' }, atLeast: {} },
    },
  ];
}

export function decideTopic({ topic, made, must }: TopicPlan, standing: StandingTopic | undefined): TopicStep {
  if (standing === undefined) return { kind: 'make', topic, partitions: made.partitions, replication: made.replication };
  if (must.partitions !== undefined && must.partitions !== standing.partitions) {
    return { kind: 'refuse', topic, why: `It has ${standing.partitions} partitions. That is never changed in place, for keys would move, and their order be lost. For ${must.partitions} name other topics (TEKAI_KAFKA_URL=…?topics=…), apply these, and start everything with that address: the relay fills them from the log.` };
  }
  if (must.replication !== undefined && must.replication !== standing.replication) {
    return { kind: 'refuse', topic, why: `It has ${standing.replication} copies. Kafka's own kafka-reassign-partitions changes that; then apply again.` };
  }
  const wanted = { ...must.settings, ...Object.fromEntries(Object.entries(must.atLeast).filter(([name, least]) => !(Number(standing.settings[name]) >= least)).map(([name, least]) => [name, String(least)])) };
  const changes = Object.entries(wanted).map(([name, to]) => ({ name, from: standing.settings[name] ?? '', to })).filter(({ from, to }) => from !== to);
  return changes.length === 0 ? { kind: 'keep', topic } : { kind: 'change', topic, changes };
}

/** Makes the topics, or brings them up to what they must be; a second time it finds nothing to do. @throws Unavailable */
export async function applyTopics(client: KafkaClient, wishes: TopicWishes): Promise<TopicStep[]> {
  return withAdmin(client, 'apply the topics', async (admin) => {
    const { brokers } = await admin.describeCluster();
    const steps: TopicStep[] = [];
    for (const plan of planTopics(client.topics, wishes, brokers.length)) {
      const standing = await untilHeard(() => standingTopic(admin, plan.topic));
      const step = decideTopic(plan, standing);
      if (step.kind === 'make') await untilHeard(() => make(admin, plan));
      if (step.kind === 'change') await untilHeard(() => change(admin, step, standing!));
      steps.push(step);
    }
    return steps;
  }, APPLY_MS_MAX);
}

/** How many partitions each has; those that do not exist are left out. */
export async function partitionsOf(admin: Admin, names: readonly string[]): Promise<Map<string, number>> {
  const there = await admin.listTopics();
  const { topics } = await admin.fetchTopicMetadata({ topics: names.filter((name) => there.includes(name)) });
  return new Map(topics.filter(({ name }) => names.includes(name)).map(({ name, partitions }) => [name, partitions.length]));
}

/**
 * Asks again while the broker that is asked has not heard of a topic: it then says that it "does not host this topic-partition",
 * also to who asks for all topics while somebody else's is made or deleted.
 */
export async function untilHeard<T>(ask: () => Promise<T>, { msMax = HEARD_MS_MAX } = {}): Promise<T> {
  for (const end = performance.now() + msMax; ; await sleep(LOOK_EVERY_MS)) {
    try {
      return await ask();
    } catch (error) {
      if ((error as { type?: string }).type !== 'UNKNOWN_TOPIC_OR_PARTITION' || performance.now() > end) throw error;
    }
  }
}

async function make(admin: Admin, { topic, made: { partitions, replication, settings } }: TopicPlan): Promise<void> {
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
  // Not by kafkajs's own wait for leaders: it throws when the broker that it asks has not heard of the topic yet.
  await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions: partitions, replicationFactor: replication, configEntries }] });
  for (const end = performance.now() + HEARD_MS_MAX; ; await sleep(LOOK_EVERY_MS)) {
    if (await isLed(admin, topic).catch(() => false)) return;
    if (performance.now() > end) throw new Error(`${topic} was made, and has no leaders after ${HEARD_MS_MAX / 1_000} s`);
  }
}

async function isLed(admin: Admin, topic: string): Promise<boolean> {
  const { topics: [found] } = await admin.fetchTopicMetadata({ topics: [topic] });
  return found !== undefined && found.partitions.length > 0 && found.partitions.every(({ leader }) => leader >= 0);
}

/** The whole of what is set on the topic is written: this request of Kafka's drops whatever is not named in it. */
async function change(admin: Admin, { topic, changes }: Extract<TopicStep, { kind: 'change' }>, { settings, own }: StandingTopic): Promise<void> {
  const all = { ...Object.fromEntries(own.map((name) => [name, settings[name] ?? ''])), ...Object.fromEntries(changes.map(({ name, to }) => [name, to])) };
  await admin.alterConfigs({ validateOnly: false, resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries: Object.entries(all).map(([name, value]) => ({ name, value })) }] });
}

async function standingTopic(admin: Admin, topic: string): Promise<StandingTopic | undefined> {
  if (!(await admin.listTopics()).includes(topic)) return undefined;
  const { topics: [found] } = await admin.fetchTopicMetadata({ topics: [topic] });
  const { resources: [described] } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }] });
  const entries = described?.configEntries ?? [];
  return {
    partitions: found?.partitions.length ?? 0, replication: found?.partitions[0]?.replicas.length ?? 0,
    settings: Object.fromEntries(entries.map(({ configName, configValue }) => [configName, configValue])),
    own: entries.filter(({ isDefault, configSource }) => !isDefault && configSource === SET_ON_THE_TOPIC).map(({ configName }) => configName),
  };
}

/** kafkajs has no export for it: ConfigSource.TOPIC_CONFIG. */
const SET_ON_THE_TOPIC = 1;
