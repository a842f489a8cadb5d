import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { BEGINNING, type FactId, type StreamName } from '#schemas/brand.ts';
import type { FactTopic, TopicWriter } from '#shared/bus/fact-topic.ts';
import { openKafkaClient, type KafkaClient } from '#shared/bus/kafka-client.ts';
import { createKafkaFactTopic } from '#shared/bus/kafka-fact-topic.ts';
import { applyTopics } from '#shared/bus/kafka-topics.ts';
import { createLocalProgressChannel } from '#shared/bus/local-progress-channel.ts';
import { createLogBus } from '#shared/bus/log-bus.ts';
import { createMemoryGroupStore } from '#shared/bus/memory-group-store.ts';
import type { EventLog, Recorded } from '#shared/log/event-log.ts';
import { createPostgresEventLog, eventLogMigrations } from '#shared/log/postgres-event-log.ts';
import { startEmbeddedPostgres } from '#shared/postgres/embedded-server.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import { startKafka } from '../infra/servers/kafka.ts';
import { cutBatches } from '../services/relay/cut-batches.ts';
import { start } from '../services/relay/service.ts';
import { shownTimes } from './figures.ts';
import type { Measure } from './main.ts';

const BACKLOG = 100_000;
const CODEBASES = 500;
const FACTS_OF_APPEND = 100;
const WRITERS = 16;
/** With its envelope about 0.7 kB, as facts are. */
const PADDING = 'x'.repeat(350);
const LIVE_FACTS = 1_000;
const LIVE_EVERY_MS = 5;

const logger = createLogger('silent');
const now = () => new Date();
const sleep = (ms: number, signal: AbortSignal) => sleepFor(ms, undefined, { signal }).catch(() => undefined);

/** A backlog from the log to Kafka, against the same facts from memory to Kafka; then facts one by one, from their append until all copies have them. */
export async function benchRelay(): Promise<Measure[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tekai-bench-'));
  const kafka = await startKafka({ directory: path.join(folder, 'kafka') });
  const server = await startEmbeddedPostgres({ stateDir: folder });
  const pool = createPool(server.url, { connectionsMax: 20, applicationName: 'bench', statementMsMax: 0 });
  try {
    await migrate({ url: server.url, owners: [eventLogMigrations] });
    const log = createPostgresEventLog({ pool });
    await fill(log);
    const clientOf = async (topics: string) => {
      const client = openKafkaClient({ url: `kafka://${kafka.url}?topics=${topics}`, clientId: 'bench', logger });
      await applyTopics(client, {});
      return client;
    };
    const reference = await fromMemory(log, await clientOf('memory'));
    const { backlog, live } = await fromLog(log, await clientOf('relay'));
    return [
      { name: `relay of a backlog of ${BACKLOG} facts`, ours: `${Math.round(backlog)}/s`, reference: `from memory ${Math.round(reference)}/s`, ratio: backlog / reference, goal: '≥ 15,000/s' },
      { name: `append → in Kafka, ${1_000 / LIVE_EVERY_MS}/s`, ours: shownTimes(live), reference: '–', ratio: 1, goal: 'lag back to 0' },
    ];
  } finally {
    await pool.end();
    await server.stop();
    await kafka.kill();
    await rm(folder, { recursive: true, force: true });
  }
}

function factOf(number: number) {
  return {
    id: randomUUID() as FactId, type: 'bench.written', schemaVersion: 1, key: `codebase-${number % CODEBASES}`, time: new Date().toISOString(),
    actor: { kind: 'worker' as const, id: 'bench' }, correlationId: randomUUID(), causationId: null, data: { padding: PADDING },
  };
}

async function fill(log: EventLog): Promise<void> {
  await Promise.all(Array.from({ length: WRITERS }, async (_, writer) => {
    for (let from = writer * FACTS_OF_APPEND; from < BACKLOG; from += WRITERS * FACTS_OF_APPEND) {
      await log.append(`bench-${randomUUID()}` as StreamName, 'noStream', Array.from({ length: FACTS_OF_APPEND }, (_fact, index) => factOf(from + index)));
    }
  }));
}

async function fromMemory(log: EventLog, client: KafkaClient): Promise<number> {
  const facts: Recorded[] = [];
  const enough = new AbortController();
  for await (const batch of log.subscribe({ after: BEGINNING, prefixes: [], signal: enough.signal })) {
    facts.push(...batch.facts);
    if (batch.isCaughtUp) enough.abort();
  }
  const writer = await createKafkaFactTopic({ client, logger }).open(await log.epoch(), new AbortController().signal);
  const began = performance.now();
  for (const batch of cutBatches(facts.map((fact) => writer.place(fact)))) await writer.write(batch);
  const seconds = (performance.now() - began) / 1_000;
  await writer.close();
  return facts.length / seconds;
}

async function fromLog(log: EventLog, client: KafkaClient): Promise<{ backlog: number; live: number[] }> {
  const bus = createLogBus({ log, store: createMemoryGroupStore(), progress: createLocalProgressChannel(), logger, now, sleep });
  const heard = new EventTarget();
  const writtenAt = new Map<string, number>();
  let began: number | undefined;
  const relay = await start({
    log, bus, metrics: createMetrics(), logger, now, sleep,
    topic: listened(createKafkaFactTopic({ client, logger }), (facts) => {
      for (const { id } of facts) writtenAt.set(id, performance.now());
      heard.dispatchEvent(new Event('written'));
    }, () => { began ??= performance.now(); }),
  });
  while (writtenAt.size < BACKLOG) await once(heard, 'written');
  const backlog = BACKLOG / ((performance.now() - began!) / 1_000);

  const appended = new Map<string, number>();
  for (let number = 0; number < LIVE_FACTS; number += 1) {
    const fact = factOf(number);
    appended.set(fact.id, performance.now());
    await log.append(`bench-${randomUUID()}` as StreamName, 'noStream', [fact]);
    await sleepFor(LIVE_EVERY_MS);
  }
  while (writtenAt.size < BACKLOG + LIVE_FACTS) await once(heard, 'written');
  await relay.stop();
  return { backlog, live: [...appended].map(([id, at]) => writtenAt.get(id)! - at) };
}

function listened(topic: FactTopic, onWritten: (facts: readonly Recorded[]) => void, onOpened: () => void): FactTopic {
  return {
    async open(epoch, signal): Promise<TopicWriter> {
      const writer = await topic.open(epoch, signal);
      onOpened();
      return { ...writer, async write(batch) { await writer.write(batch); onWritten(batch.map(({ fact }) => fact)); } };
    },
  };
}
