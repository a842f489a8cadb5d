import type { Pool, PoolClient } from 'pg';
import { asUnavailable } from './query.ts';

/** `change` writes; `moment` only looks, at one state of all tables, however much is written meanwhile. */
const BEGIN = { change: 'begin', moment: 'begin isolation level repeatable read read only' } as const;

/** What `work` does happens whole or not at all. @throws Unavailable when the database is away, and what `work` throws */
export async function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>, kind: keyof typeof BEGIN = 'change'): Promise<T> {
  let client: PoolClient | undefined;
  try {
    client = await pool.connect();
    await client.query(BEGIN[kind]);
    const done = await work(client);
    await client.query('commit');
    client.release();
    return done;
  } catch (error) {
    // The connection is in an unknown state, and is not given back: its end rolls back what was begun.
    client?.release(true);
    throw asUnavailable(error);
  }
}
