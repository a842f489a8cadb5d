import type { Pool } from 'pg';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { freshDatabase, type FreshDatabase } from '../../tests/harness/postgres.ts';
import { busContract } from './bus.contract.ts';
import { createLogBusBench } from './bus-bench.contract.ts';
import { busProperties } from './bus-properties.contract.ts';
import { createPostgresGroupStore } from './postgres-group-store.ts';

let database: FreshDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'bus', directory: new URL('./migrations', import.meta.url).pathname }] });
  pool = createPool(database.url, { connectionsMax: 8, applicationName: 'test' });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

async function openBench(options?: { sleepMsMax: number }) {
  // Each test has its own log, whose positions begin anew: nothing of the one before may stand here.
  await pool.query('truncate bus_checkpoints, bus_parked');
  return createLogBusBench(createPostgresGroupStore({ pool }), options);
}

busContract('the log bus with its groups in Postgres', () => openBench());
busProperties('the log bus with its groups in Postgres', () => openBench({ sleepMsMax: 3 }), { runs: 12 });
