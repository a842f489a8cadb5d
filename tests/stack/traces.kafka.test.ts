import { randomUUID } from 'node:crypto';
import { openKafkaClient } from '#shared/bus/kafka-client.ts';
import { readMarks } from '#shared/bus/kafka-topic-reads.fixture.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { startEventstoreDouble, type EventstoreDouble } from '../harness/eventstore-double.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../harness/otlp-receiver.ts';
import { startSystem, type System } from '../harness/system.ts';
import { tekai } from '../harness/tekai.ts';
import { expectGivenTraceContinued, expectPushTraced, followOne } from '../harness/traced-push.ts';
import { describeWith } from './stack-test.ts';

const DOORS = ['ingress', 'scheduler', 'relay', 'projector', 'notifier', 'query-api'];
const WORKERS = ['fetcher', 'scanner', 'storage-writer'];
const webhookToken = 'canary-of-a-webhook-token';
const signingToken = `whsec_${Buffer.alloc(32, 'canary').toString('base64')}`;

describeWith('TEKAI_TEST_KAFKA', 'over EventStoreDB and Kafka, each worker a process', (broker) => {
  const topics = `test-${randomUUID()}`;
  const kafkaUrl = `kafka://${broker}?topics=${topics}`;
  let receiver: OtlpReceiver;
  let double: EventstoreDouble;
  let system: System;
  beforeAll(async () => {
    receiver = await startOtlpReceiver();
    double = await startEventstoreDouble();
    system = await startSystem({ services: DOORS, webhookToken, signingToken, settings: {
      TEKAI_KAFKA_URL: kafkaUrl, TEKAI_EVENTSTORE_URL: double.url, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '100',
    } });
    const applied = await tekai({ stores: { ...system.stores, TEKAI_KAFKA_URL: kafkaUrl } }, 'topics', 'apply', '--partitions', '3');
    if (applied.code !== 0) throw new Error(applied.stderr);
    for (const name of WORKERS) await system.startEngine([name]);
  }, 240_000);
  afterAll(async () => {
    await system.stop();
    await double.program.kill();
    await receiver.stop();
  }, 60_000);

  test('a push is one trace to the live frame, and Kafka\'s records name it in their headers', async () => {
    const followed = await followOne(system, 'traced');
    const traceId = await expectPushTraced({ system, receiver, followed, signingToken });
    await expectGivenTraceContinued({ system, receiver, followed, signingToken });
    expect(new Set(receiver.spans.filter((span) => span.traceId === traceId).map(({ resource }) => resource['process.pid'])).size).toBe(4);
    expect(await typesInHeaders(traceId)).toEqual(['codebase.fetched', 'codebase.scanned', 'codebase.stored', 'push.received']);
    for (const secret of [webhookToken, signingToken]) expect(receiver.bytes().includes(secret)).toBe(false);
  }, 240_000);

  /** Types of the records whose header names this trace. */
  async function typesInHeaders(traceId: string): Promise<string[]> {
    const client = openKafkaClient({ url: kafkaUrl, clientId: 'test', logger: createLogger('silent') });
    const marks = await readMarks(client);
    return marks.filter(({ traceparent }) => traceparent?.includes(traceId)).map(({ type }) => type).sort();
  }
});
