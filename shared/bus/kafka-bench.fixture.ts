import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import { start as startRelay } from '../../services/relay/service.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import { createLogBusBench, type LogBusBench, type Shared } from './bus-bench.contract.ts';
import { createKafkaBus } from './kafka-bus.ts';
import { openKafkaClient, type KafkaClient } from './kafka-client.ts';
import { createKafkaFactTopic } from './kafka-fact-topic.ts';
import { shareName } from './kafka-group.ts';
import type { KafkaTiming } from './kafka-membership.ts';
import { partitionOf } from './kafka-records.ts';
import { applyTopics } from './kafka-topics.ts';

/** So that a test need not wait half a minute for who died. The servers of infra/servers take it. */
export const QUICK: KafkaTiming = { sessionMs: 1_500, rebalanceMs: 4_000, heartbeatMs: 200, fetchWaitMs: 50 };

const PARTITIONS = 4;

export interface FilledTopics {
  readonly log: EventLog;
  readonly client: KafkaClient;
  readonly url: string;
  /** Of the relay; rejects with why it waits. */
  check(): Promise<string>;
  close(): Promise<void>;
}

/** A log, and topics of its own that the relay fills from it. */
export async function fillTopics(broker: string, { partitions = PARTITIONS, replication = 1, log = createMemoryEventLog() } = {}): Promise<FilledTopics> {
  const logger = createLogger('silent');
  const url = `kafka://${broker}?topics=test-${randomUUID()}`;
  const client = openKafkaClient({ url, clientId: 'relay', logger });
  await applyTopics(client, { partitions, replication });
  const relay = await startRelay({
    log, topic: createKafkaFactTopic({ client, logger }), bus: { lead: (_name, work, signal) => work(signal) }, metrics: createMetrics(), logger,
    now: () => new Date(), sleep: (ms, signal) => sleepFor(ms, undefined, { signal }).catch(() => undefined),
  });
  return { log, client, url, check: () => relay.check(), close: () => relay.stop() };
}

/** Processes on one log and one Kafka, each with connections of its own, which die and stand still with it. */
export async function createKafkaBench(shared: Shared, { broker, sleepMsMax = 20 }: { broker: string; sleepMsMax?: number }): Promise<LogBusBench> {
  const filled = await fillTopics(broker);
  const ending = new AbortController();
  const bench = createLogBusBench(shared, {
    sleepMsMax, log: filled.log,
    createBus: (deps, { life, isPaused }) => createKafkaBus({ ...deps, timing: QUICK, client: mortalClient(filled.client, { broker, isPaused, life: AbortSignal.any([life, ending.signal]) }) }),
  });
  return Object.assign(bench, {
    isShared: true,
    isOf: (lease: string, key: string) => lease === shareName('workers', partitionOf(key, PARTITIONS), PARTITIONS),
    async close() {
      ending.abort();
      await filled.close();
    },
  });
}

interface Life { readonly broker: string; readonly life: AbortSignal; isPaused(): boolean }

function mortalClient({ topics }: KafkaClient, { broker, life, isPaused }: Life): KafkaClient {
  // Each of its connections listens.
  setMaxListeners(0, life);
  const kafka = new Kafka({
    clientId: 'test', brokers: [broker], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 100, multiplier: 2, maxRetryTime: 1_000, retries: 5 },
    socketFactory: ({ host, port, onConnect }) => mortalSocket(connect({ host, port, signal: life } as never, onConnect), { life, isPaused }),
  });
  const createConsumer = kafka.consumer.bind(kafka);
  kafka.consumer = (config) => {
    const consumer = createConsumer(config);
    // Nothing of it reaches the broker any more; it only ends its timers.
    life.addEventListener('abort', () => void consumer.disconnect().catch(() => undefined), { once: true });
    return consumer;
  };
  return { kafka, topics };
}

/** Dies with the process; and while that stands still, says and hears nothing. */
function mortalSocket(socket: Socket, { life, isPaused }: Pick<Life, 'life' | 'isPaused'>): Socket {
  const kept: Parameters<Socket['write']>[] = [];
  const write = socket.write.bind(socket) as (...all: unknown[]) => boolean;
  socket.write = ((...all: Parameters<Socket['write']>) => (isPaused() ? (kept.push(all), true) : write(...all))) as Socket['write'];
  const looking = setInterval(() => {
    if (isPaused()) return void socket.pause();
    for (const all of kept.splice(0)) write(...all);
    if (socket.isPaused()) socket.resume();
  }, 5);
  socket.once('close', () => clearInterval(looking));
  // With an error: kafkajs does not hear a connection that only closes, and asks it for ever.
  const cut = () => void socket.destroy(new Error('the process is dead'));
  life.addEventListener('abort', cut, { once: true });
  if (life.aborted) cut();
  return socket;
}
