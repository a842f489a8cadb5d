import type { Pool } from 'pg';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { freshDatabase, type FreshDatabase } from '../../tests/harness/postgres.ts';
import type { Shared } from './bus-bench.contract.ts';
import type { createPostgresGroupStore } from './postgres-group-store.ts';

export interface PostgresGroups extends Shared {
  /** From the first test on. */
  readonly pool: Pool;
  /** Each test has its own log, whose positions begin anew: nothing of the one before may stand here. */
  empty(): Promise<void>;
}

/** Groups in a database of their own, for all tests of the block that asks: it is made before the first, and dropped after the last. Whoever asks names the adapter that is tried. */
export function postgresGroups(createStore: typeof createPostgresGroupStore): PostgresGroups {
  let database: FreshDatabase;
  let pool: Pool;
  const holders: Pool[] = [];
  const end = async (holder: Pool) => { if (!holder.ended && !holder.ending) await holder.end(); };

  beforeAll(async () => {
    database = await freshDatabase();
    await migrate({ url: database.url, owners: [{ name: 'bus', directory: new URL('./migrations', import.meta.url).pathname }] });
    pool = createPool(database.url, { connectionsMax: 8, applicationName: 'test' });
  });
  afterEach(async () => { await Promise.all(holders.splice(0).map(end)); });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });

  return {
    get pool() { return pool; },
    /** A process, for the leases, is a connection. */
    open(life) {
      const holder = createPool(database.url, { connectionsMax: 1, applicationName: 'test', isKept: true });
      holders.push(holder);
      life.addEventListener('abort', () => { void end(holder); });
      return createStore({ pool, holder });
    },
    runOut: async () => void (await pool.query(`update bus_leases set expires_at = clock_timestamp() - interval '1 ms'`)),
    async empty() {
      // One after the other: what a dead process had asked may still be on its way, and holds them in another order.
      for (const table of ['bus_leases', 'bus_checkpoints', 'bus_parked']) await pool.query(`truncate ${table}`);
    },
  };
}
