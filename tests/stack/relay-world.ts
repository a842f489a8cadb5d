import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FactId, StreamName } from '#schemas/brand.ts';
import { openKafkaClient, type KafkaClient } from '#shared/bus/kafka-client.ts';
import { partitionOf } from '#shared/bus/kafka-records.ts';
import { readAll, withoutRepetitions } from '#shared/bus/kafka-topic-reads.fixture.ts';
import { applyTopics } from '#shared/bus/kafka-topics.ts';
import type { EventLog, Recorded } from '#shared/log/event-log.ts';
import { createPostgresEventLog, eventLogMigrations } from '#shared/log/postgres-event-log.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { freshDatabase } from '../harness/postgres.ts';
import { spawnProgram, type Program } from '../harness/spawn-program.ts';

const PROGRAM = path.join(process.cwd(), 'tests/stack/relay-program.ts');
const KEYS = 60;
const FACTS_OF_APPEND = 25;
const LOOK_EVERY_MS = 100;

export interface RelayLine { readonly up?: number; readonly opened?: string; readonly ahead?: number; readonly writing?: number; readonly wrote?: number }

/** What differs between the log and the topic as a consumer keeps it. */
export interface Comparison { readonly facts: number; readonly missing: number; readonly doubled: number; readonly inversions: number; /** Records that a consumer passes over. */ readonly repeated: number }

export interface RelayWorld {
  readonly databaseUrl: string;
  readonly kafkaUrl: string;
  readonly client: KafkaClient;
  readonly log: EventLog;
  /** Appends so many facts, of many keys unless one is named, and knows them from then on. */
  append(count: number, options?: { key?: string; bytes?: number }): Promise<void>;
  startRelay(stopsBefore?: number): Promise<RelayProcess>;
  /** Waits until every fact stands in the topic. */
  relayed(): Promise<void>;
  compare(): Promise<Comparison>;
  close(): Promise<void>;
}

export interface RelayProcess {
  readonly program: Program;
  /** All that it has said and that was listened to. */
  readonly said: RelayLine[];
  /** Resolves with the next line that fits. */
  until(fits: (line: RelayLine) => boolean): Promise<RelayLine>;
}

export async function openRelayWorld(kafkaUrl: string, { partitions = 6 } = {}): Promise<RelayWorld> {
  const database = await freshDatabase();
  await migrate({ url: database.url, owners: [eventLogMigrations, { name: 'bus', directory: path.join(process.cwd(), 'shared/bus/migrations') }] });
  const pool = createPool(database.url, { connectionsMax: 4, applicationName: 'relay-world' });
  const log = createPostgresEventLog({ pool });
  const client = openKafkaClient({ url: kafkaUrl, clientId: 'relay-world', logger: createLogger('silent') });
  await applyTopics(client, { partitions, replication: 1 });
  const programs: Program[] = [];
  let appended = 0;

  return {
    databaseUrl: database.url, kafkaUrl, client, log,
    async append(count, { key, bytes = 300 } = {}) {
      for (let left = count; left > 0;) {
        const size = Math.max(1, Math.min(left, FACTS_OF_APPEND, Math.floor(900_000 / bytes)));
        await log.append(`drill-${randomUUID()}` as StreamName, 'noStream', Array.from({ length: size }, () => ({
          id: randomUUID() as FactId, type: 'drill.written', schemaVersion: 1, key: key ?? `key-${Math.floor(Math.random() * KEYS)}`, time: new Date().toISOString(),
          actor: { kind: 'worker' as const, id: 'drill' }, correlationId: 'drill', causationId: null, data: { padding: 'x'.repeat(bytes) },
        })));
        left -= size;
        appended += size;
      }
    },
    async startRelay(stopsBefore) {
      const program = spawnProgram(PROGRAM, { arguments: [database.url, kafkaUrl, ...(stopsBefore === undefined ? [] : [String(stopsBefore)])] });
      programs.push(program);
      await program.line<RelayLine>();
      const said: RelayLine[] = [];
      return {
        program, said,
        async until(fits) {
          for (;;) {
            const line = await program.line<RelayLine>();
            said.push(line);
            if (fits(line)) return line;
          }
        },
      };
    },
    async relayed() {
      for (; ; await sleep(LOOK_EVERY_MS)) {
        if ((await recordsIn(client)) < appended) continue;
        if (withoutRepetitions(await readAll(client)).kept.flat().length >= appended) return;
      }
    },
    compare: async () => compareTopic(await factsOf(log, appended), await readAll(client)),
    async close() {
      for (const { child } of programs) if (child.exitCode === null && child.signalCode === null) child.kill('SIGCONT');
      await Promise.all(programs.filter(({ child }) => child.exitCode === null && child.signalCode === null).map((program) => program.kill()));
      const admin = client.kafka.admin();
      await admin.connect().then(() => admin.deleteTopics({ topics: Object.values(client.topics) })).catch(() => undefined);
      await admin.disconnect();
      await pool.end();
      await database.drop();
    },
  };
}

/** Repetitions too. */
async function recordsIn({ kafka, topics }: KafkaClient): Promise<number> {
  const admin = kafka.admin();
  await admin.connect();
  const offsets = await admin.fetchTopicOffsets(topics.facts).finally(() => admin.disconnect());
  return offsets.reduce((sum, { high }) => sum + Number(high), 0);
}

/** So many from its beginning, or a few more. */
export async function factsOf(log: EventLog, count: number): Promise<Recorded[]> {
  const facts: Recorded[] = [];
  const enough = new AbortController();
  for await (const batch of log.subscribe({ after: '' as never, prefixes: [], signal: enough.signal })) {
    facts.push(...batch.facts);
    if (facts.length >= count) enough.abort();
  }
  return facts;
}

export function compareTopic(facts: readonly Recorded[], records: readonly (readonly Recorded[])[]): Comparison {
  const { kept, repeated } = withoutRepetitions(records);
  const ids = new Map<string, number>();
  for (const { id } of kept.flat()) ids.set(id, (ids.get(id) ?? 0) + 1);
  let inversions = 0;
  for (const [partition, all] of kept.entries()) {
    const wanted = facts.filter(({ key }) => partitionOf(key, records.length) === partition);
    for (const [index, { id }] of all.entries()) if (wanted[index]?.id !== id) inversions += 1;
  }
  return { facts: facts.length, missing: facts.filter(({ id }) => !ids.has(id)).length, doubled: [...ids.values()].filter((count) => count > 1).length, inversions, repeated };
}
