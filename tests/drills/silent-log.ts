import pg from 'pg';
import type { System } from '../harness/system.ts';

/** What does not answer: every append to the log, or ingress's table of bodies. Reads go on. */
export type Silent = 'log' | 'deliveries';

const HOLD: Record<Silent, string> = { log: 'select from log_head for update', deliveries: 'lock table deliveries in exclusive mode' };

/** Holds a lock that writers wait for, as a database does that hangs. Returns how to let go. */
export async function keepSilent({ databaseUrl }: System, what: Silent): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('begin');
  await client.query(HOLD[what]);
  return async () => { await client.query('rollback'); await client.end(); };
}
