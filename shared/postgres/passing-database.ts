import { randomBytes } from 'node:crypto';
import type { Pool } from 'pg';
import { createPool } from './pool.ts';

/** A database of one process, in the server where another one lies, for as long as the process lives. */
export interface PassingDatabase {
  readonly name: string;
  /** Holds a secret. */
  readonly url: string;
  /** Ends what is still connected to it. */
  drop(): Promise<void>;
}

const REFUSED = '42501';
/** Somebody connected to it meanwhile, or dropped it before us. */
const NOT_TO_BE_DROPPED = new Set(['55006', '3D000', REFUSED]);

/**
 * Makes an empty database beside the one at `url`, and drops those of this kind that killed processes left: nobody is connected to
 * them, and no session bears their name. Ours does, from before the database is made, so that nobody takes it for one of those.
 * @throws when the role may not make databases, saying what to do
 */
export async function createPassingDatabase(url: string, { prefix }: { readonly prefix: string }): Promise<PassingDatabase> {
  const name = `${prefix}_${randomBytes(8).toString('hex')}`;
  const keeper = createPool(url, { connectionsMax: 1, applicationName: name, statementMsMax: 0, isKept: true });
  try {
    await dropLeft(keeper, prefix);
    // Of template0 nobody is a user, so it can always be copied.
    await keeper.query(`create database ${name} template template0`).catch((error: unknown) => { throw explained(error); });
  } catch (error) {
    await keeper.end();
    throw error;
  }
  const own = new URL(url);
  own.pathname = `/${name}`;
  return {
    name, url: own.href,
    async drop() {
      try {
        await keeper.query(`drop database if exists ${name} with (force)`);
      } finally {
        await keeper.end();
      }
    },
  };
}

async function dropLeft(pool: Pool, prefix: string): Promise<void> {
  const { rows } = await pool.query<{ name: string }>(
    `select datname as name from pg_database where datname ~ ('^' || $1 || '_[0-9a-f]{16}$')
     and not exists (select from pg_stat_activity a where a.datname = pg_database.datname or a.application_name = pg_database.datname)`, [prefix]);
  for (const { name } of rows) {
    await pool.query(`drop database if exists ${name}`).catch((error: unknown) => {
      if (!NOT_TO_BE_DROPPED.has((error as { code?: string }).code ?? '')) throw error;
    });
  }
}

function explained(error: unknown): unknown {
  if ((error as { code?: string }).code !== REFUSED) return error;
  return new Error('The past needs a database of its own beside the engine\'s, and this role may not make one. Have an administrator of the server run "alter role … createdb" for the role in TEKAI_DATABASE_URL.', { cause: error });
}
