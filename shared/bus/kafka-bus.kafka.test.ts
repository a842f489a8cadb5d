import { describeWith } from '#tests/stack/stack-test.ts';
import { busContract } from './bus.contract.ts';
import { busProperties } from './bus-properties.contract.ts';
import { createKafkaBench } from './kafka-bench.fixture.ts';
import { createPostgresGroupStore } from './postgres-group-store.ts';
import { postgresGroups } from './postgres-groups.fixture.ts';

describeWith('TEKAI_TEST_KAFKA', 'the bus on Kafka', (broker) => {
  const groups = postgresGroups(createPostgresGroupStore);

  async function openBench() {
    await groups.empty();
    return createKafkaBench(groups, { broker });
  }

  busContract('Kafka with its groups in Postgres', openBench);
  busProperties('Kafka with its groups in Postgres', openBench, { runs: Number(process.env['RUNS'] ?? 4), msMax: Number(process.env['RUNS'] ?? 4) * 30_000 });
});
