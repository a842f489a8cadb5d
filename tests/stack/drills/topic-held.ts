import assert from 'node:assert/strict';
import { openKafkaClient } from '#shared/bus/kafka-client.ts';
import { readAll } from '#shared/bus/kafka-topic-reads.fixture.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { withLog } from '../../harness/own-stores.ts';
import { eventsOf, until, type System } from '../../harness/system.ts';
import { compareTopic, factsOf } from '../relay-world.ts';

/** What workers get from Kafka is the log: nothing missing, nothing twice once repetitions are passed over, each key in order. Returns how many facts. */
export async function expectTopicIsLog(system: System): Promise<number> {
  const client = openKafkaClient({ url: system.stores['TEKAI_KAFKA_URL'] ?? '', clientId: 'drill', logger: createLogger('silent') });
  const { length: count } = await eventsOf(system, '');
  const compare = async () => {
    const { repeated: _passedOver, ...found } = compareTopic(await withLog(system, (log) => factsOf(log, count)), await readAll(client));
    return found;
  };
  const isSame = ({ missing, doubled, inversions }: Awaited<ReturnType<typeof compare>>) => missing === 0 && doubled === 0 && inversions === 0;
  await until('what stands in Kafka is the log', async () => isSame(await compare())).catch(() => undefined);
  const { facts, ...differences } = await compare();
  assert.deepEqual(differences, { missing: 0, doubled: 0, inversions: 0 }, 'what stands in Kafka is not the log');
  return facts;
}
