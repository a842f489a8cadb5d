// A relay as a process: node … relay-program.ts <database url> <Kafka's connection string> [stop itself before this write]
// Prints {writing} before it hands a batch to Kafka and {wrote} when all of it was acknowledged, {opened} with the last checkpoint when it begins a term, and how many partitions were {ahead} of that.
import { setTimeout as sleepFor } from 'node:timers/promises';
import { start } from '../../services/relay/service.ts';
import type { FactTopic } from '#shared/bus/fact-topic.ts';
import { openKafkaClient } from '#shared/bus/kafka-client.ts';
import { createKafkaFactTopic } from '#shared/bus/kafka-fact-topic.ts';
import { createLogBus } from '#shared/bus/log-bus.ts';
import { createLocalProgressChannel } from '#shared/bus/local-progress-channel.ts';
import { createPostgresGroupStore } from '#shared/bus/postgres-group-store.ts';
import { createPostgresEventLog } from '#shared/log/postgres-event-log.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';

const [databaseUrl = '', kafkaUrl = '', stopsBefore = ''] = process.argv.slice(2);
const print = (value: unknown) => void process.stdout.write(`${JSON.stringify(value)}\n`);
const logger = createLogger('silent');
const pool = createPool(databaseUrl, { connectionsMax: 4, applicationName: 'relay-program' });
const holder = createPool(databaseUrl, { connectionsMax: 1, applicationName: 'relay-program-lease', isKept: true });
const log = createPostgresEventLog({ pool });
const now = () => new Date();
const sleep = (ms: number, signal: AbortSignal) => sleepFor(ms, undefined, { signal }).catch(() => undefined);
const bus = createLogBus({ log, store: createPostgresGroupStore({ pool, holder }), progress: createLocalProgressChannel(), logger, now, sleep });
let writes = 0;

const relay = await start({ log, topic: told(createKafkaFactTopic({ client: openKafkaClient({ url: kafkaUrl, clientId: 'relay-program', logger }), logger })), bus, metrics: createMetrics(), logger, now, sleep });
print({ up: process.pid });
process.once('SIGTERM', () => void relay.stop().then(() => process.exit(0)));

function told(topic: FactTopic): FactTopic {
  return {
    async open(epoch, signal) {
      const writer = await topic.open(epoch, signal);
      print({ opened: writer.after, ahead: writer.highest.filter((position) => position > writer.after).length });
      return {
        ...writer,
        async write(batch) {
          writes += 1;
          print({ writing: batch.length });
          // Goes on right here when it is continued: with a batch in hand that another has long written.
          if (String(writes) === stopsBefore) process.kill(process.pid, 'SIGSTOP');
          await writer.write(batch);
          print({ wrote: batch.length });
        },
      };
    },
  };
}
