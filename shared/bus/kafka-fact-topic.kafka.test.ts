import { randomUUID } from 'node:crypto';
import { createLogger } from '#shared/runtime/logger.ts';
import { describeWith } from '#tests/stack/stack-test.ts';
import { factTopicContract } from './fact-topic.contract.ts';
import { createKafkaFactTopic } from './kafka-fact-topic.ts';
import { openKafkaClient } from './kafka-client.ts';
import { readAll, untilOpen } from './kafka-topic-reads.fixture.ts';
import { applyTopics } from './kafka-topics.ts';

describeWith('TEKAI_TEST_KAFKA', 'the topic of facts on Kafka', (broker) => {
  factTopicContract('kafka', async () => {
    const logger = createLogger('silent');
    const client = openKafkaClient({ url: `kafka://${broker}?topics=test-${randomUUID()}`, clientId: 'test', logger });
    await applyTopics(client, { partitions: 4, replication: 1 });
    await (await untilOpen(client)).close();
    return {
      topic: createKafkaFactTopic({ client, logger }),
      read: async () => (await readAll(client)).map((records) => records.map(({ position }) => position)),
      close: async () => { const admin = client.kafka.admin(); await admin.connect(); await admin.deleteTopics({ topics: Object.values(client.topics) }); await admin.disconnect(); },
    };
  });
});
