import path from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Bus } from '#shared/bus/bus.ts';
import { append } from '#shared/bus/bus-bench.contract.ts';
import { fillTopics } from '#shared/bus/kafka-bench.fixture.ts';
import { createKafkaBus } from '#shared/bus/kafka-bus.ts';
import { groupIdOf } from '#shared/bus/kafka-group.ts';
import { lookAtOffsets } from '#shared/bus/kafka-offsets.ts';
import { createLocalProgressChannel } from '#shared/bus/local-progress-channel.ts';
import { createPostgresGroupStore } from '#shared/bus/postgres-group-store.ts';
import { createPostgresEventLog, eventLogMigrations } from '#shared/log/postgres-event-log.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { freshDatabase } from '../harness/postgres.ts';
import { spawnProgram, type Program } from '../harness/spawn-program.ts';
import type { WorkerScript } from './worker-program.ts';

const SAID_MAX = 30;
const PROGRAM = path.join(process.cwd(), 'tests/stack/worker-program.ts');
const OWNERS = [eventLogMigrations, { name: 'bus', directory: path.join(process.cwd(), 'shared/bus/migrations') }];

export interface WorkerProcess {
  readonly program: Program;
  /** Labels, in order. */
  readonly began: string[];
  readonly did: string[];
  /** What it logged last. */
  readonly said: string[];
}

/** Workers of one group as processes, over Kafka, which is filled from a log of the world's own. */
export interface WorkerWorld {
  readonly bus: Bus;
  add(...labels: string[]): Promise<void>;
  start(script?: WorkerScript): Promise<WorkerProcess>;
  /** Every fact of the log is worked on, or set aside. */
  isAtHead(): Promise<boolean>;
  /** How everything stands, for whoever waits in vain. */
  standing(): Promise<string>;
  /** How many processes Kafka counts. */
  members(): Promise<number>;
  close(): Promise<void>;
}

export async function openWorkerWorld(broker: string, { replication = 1 } = {}): Promise<WorkerWorld> {
  const database = await freshDatabase();
  await migrate({ url: database.url, owners: OWNERS });
  const pool = createPool(database.url, { connectionsMax: 4, applicationName: 'worker-world' });
  const log = createPostgresEventLog({ pool });
  const filled = await fillTopics(broker, { log, replication });
  const bus = createKafkaBus({
    log, store: createPostgresGroupStore({ pool, holder: pool }), progress: createLocalProgressChannel(), client: filled.client, logger: createLogger('silent'),
    now: () => new Date(), sleep: (ms, signal) => sleepFor(ms, undefined, { signal }).catch(() => undefined),
  });
  const workers: WorkerProcess[] = [];
  async function describeGroup() {
    const admin = filled.client.kafka.admin();
    await admin.connect();
    const { groups: [group] } = await admin.describeGroups([groupIdOf(filled.client, 'workers')]).finally(() => admin.disconnect());
    return group;
  }

  return {
    bus,
    async add(...labels) { for (const label of labels) await append(log, label); },
    async start(script = {}) {
      const worker: WorkerProcess = { program: spawnProgram(PROGRAM, { arguments: [database.url, filled.url, JSON.stringify(script)] }), began: [], did: [], said: [] };
      workers.push(worker);
      await worker.program.line();
      void listen(worker);
      return worker;
    },
    isAtHead: async () => (await bus.workedUpTo('workers').catch(() => undefined)) === (await log.head()),
    async standing() {
      const orWhy = (asked: Promise<unknown>) => asked.catch(String);
      const groupId = groupIdOf(filled.client, 'workers');
      return JSON.stringify({
        head: await orWhy(log.head()), workedUpTo: await orWhy(bus.workedUpTo('workers')), relay: await orWhy(filled.check()), offsets: await orWhy(lookAtOffsets(filled.client, groupId)),
        group: await orWhy(describeGroup().then((group) => ({ state: group?.state, members: group?.members.map(({ memberId }) => memberId) }))),
        leases: await orWhy(pool.query(`select * from bus_leases`).then(({ rows }) => rows as unknown)), said: workers.map(({ said }) => said),
      }, undefined, 1);
    },
    members: async () => (await describeGroup())?.members.length ?? 0,
    async close() {
      const left = workers.map(({ program }) => program).filter(({ child }) => child.exitCode === null && child.signalCode === null);
      await Promise.all(left.map((program) => program.kill()));
      await filled.close();
      await pool.end();
      await database.drop();
    },
  };
}

async function listen({ program, began, did, said }: WorkerProcess): Promise<void> {
  try {
    for (;;) {
      const line = await program.line<{ began?: string; did?: string; msg?: string }>();
      if (line.began !== undefined) began.push(line.began);
      if (line.did !== undefined) did.push(line.did);
      if (line.msg !== undefined) said.push(JSON.stringify(line));
      if (said.length > SAID_MAX) said.shift();
    }
  } catch {
    // It has ended: what it was to do is asked of the others.
  }
}
