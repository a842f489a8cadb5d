// A worker of the group `workers` over Kafka as a process: node … worker-program.ts <database url> <Kafka's connection string> [script as JSON]
// Prints {began} and {did} with the label of the fact that it has in hand; and what it logs.
import { setTimeout as sleepFor } from 'node:timers/promises';
import { QUICK } from '#shared/bus/kafka-bench.fixture.ts';
import { createKafkaBus } from '#shared/bus/kafka-bus.ts';
import { openKafkaClient } from '#shared/bus/kafka-client.ts';
import { KAFKA_TIMING } from '#shared/bus/kafka-membership.ts';
import { createLocalProgressChannel } from '#shared/bus/local-progress-channel.ts';
import { createPostgresGroupStore } from '#shared/bus/postgres-group-store.ts';
import { createPostgresEventLog } from '#shared/log/postgres-event-log.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createLogger } from '#shared/runtime/logger.ts';

export interface WorkerScript {
  /** So long a fact of the key `slow` takes, whatever happens meanwhile. */
  readonly slowMs?: number;
  /** With this fact in hand it stops itself; when it is continued it wants the fact's key parked. */
  readonly stopsAt?: string;
  /** With the timing of production, so that who leaves without a word is missed for half a minute. */
  readonly isPatient?: boolean;
}

const [databaseUrl = '', kafkaUrl = '', script = '{}'] = process.argv.slice(2);
const { slowMs = 0, stopsAt, isPatient = false } = JSON.parse(script) as WorkerScript;
const print = (value: unknown) => void process.stdout.write(`${JSON.stringify(value)}\n`);
const logger = createLogger('info');
const pool = createPool(databaseUrl, { connectionsMax: 4, applicationName: 'worker-program' });
const holder = createPool(databaseUrl, { connectionsMax: 1, applicationName: 'worker-program-lease', isKept: true });
const bus = createKafkaBus({
  log: createPostgresEventLog({ pool }), store: createPostgresGroupStore({ pool, holder }), progress: createLocalProgressChannel(),
  client: openKafkaClient({ url: kafkaUrl, clientId: 'worker-program', logger }), timing: isPatient ? KAFKA_TIMING : QUICK,
  logger, now: () => new Date(), sleep: (ms, signal) => sleepFor(ms, undefined, { signal }).catch(() => undefined),
});

const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());
print({ up: process.pid });
await bus.consume({
  group: 'workers', types: ['sync.requested'], concurrency: 8,
  async handle({ key, correlationId: label }) {
    print({ began: label });
    if (key === 'slow') await sleepFor(slowMs);
    if (label === stopsAt) {
      // Goes on right here: it knows nothing yet of what others did meanwhile.
      process.kill(process.pid, 'SIGSTOP');
      return { kind: 'park', reason: 'from the past' };
    }
    print({ did: label });
    return { kind: 'done' };
  },
}, stopping.signal);
await Promise.all([pool.end(), holder.end()]);
process.exit(0);
