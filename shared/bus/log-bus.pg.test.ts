import { busContract } from './bus.contract.ts';
import { createLogBusBench } from './bus-bench.contract.ts';
import { leaseContract } from './bus-leases.contract.ts';
import { busProperties } from './bus-properties.contract.ts';
import { createPostgresGroupStore } from './postgres-group-store.ts';
import { postgresGroups } from './postgres-groups.fixture.ts';
import { createPostgresProgressChannel } from './postgres-progress-channel.ts';
import { progressChannelContract } from './progress-channel.contract.ts';

const groups = postgresGroups(createPostgresGroupStore);

async function openBench(options?: { sleepMsMax: number }) {
  await groups.empty();
  return createLogBusBench(groups, options);
}

leaseContract('groups in Postgres', () => groups);
progressChannelContract('Postgres', () => createPostgresProgressChannel(groups.pool));
busContract('the log bus with its groups in Postgres', () => openBench());
busProperties('the log bus with its groups in Postgres', () => openBench({ sleepMsMax: 3 }), { runs: 12 });
