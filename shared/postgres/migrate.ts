import knexModule, { type Knex } from 'knex';
import type { ClientBase } from 'pg';
import { type AppliedMigration, decidePending, type MigrationFile, MigrationError, type MigrationOwner, readMigrationFiles } from './migration-files.ts';

export type MigrateOptions = {
  url: string;
  /** In this order; an owner's migrations may build upon those of an owner before it. */
  owners: readonly MigrationOwner[];
  /** How long to wait for another starter that is migrating. Default: ten minutes. */
  lockWaitMsMax?: number;
};

/** An arbitrary number, the same in every release: two starters find each other by it. */
const MIGRATION_LOCK = 7_235_811_002;
const LOCK_WAIT_MS_MAX = 600_000;
const CONNECT_MS_MAX = 10_000;

/**
 * Applies every owner's pending .sql files, each in a transaction of its own together with the record that it was applied.
 * Starters at the same time wait for each other on a session advisory lock, which ends with its connection: a killed one leaves
 * nothing behind. (Knex keeps a lock row too, which cannot be turned off; it is set and cleared inside each transaction, so
 * nobody ever sees it set.) CREATE INDEX CONCURRENTLY and whatever else refuses a transaction does not fit in here.
 */
export async function migrate({ url, owners, lockWaitMsMax = LOCK_WAIT_MS_MAX }: MigrateOptions): Promise<{ owner: string; name: string }[]> {
  const files = await Promise.all(owners.map(readMigrationFiles));
  // One connection for the lock and the work: they cannot outlive each other.
  const database = knexModule.knex({
    client: 'pg',
    connection: { connectionString: url, application_name: 'tekai-migrate', connectionTimeoutMillis: CONNECT_MS_MAX, keepAlive: true },
    pool: { min: 1, max: 1 },
    acquireConnectionTimeout: CONNECT_MS_MAX + 1_000,
    log: { warn() {}, error() {}, deprecate() {}, debug() {} },
  });
  try {
    await takeLock(database, lockWaitMsMax);
    await database.raw(`create table if not exists migration_checksums (
      owner text, name text, sha256 text not null, applied_at timestamptz not null default now(), primary key (owner, name))`);
    const applied: { owner: string; name: string }[] = [];
    for (const [index, { name: owner }] of owners.entries()) {
      for (const name of await migrateOwner(database, { owner, files: files[index] ?? [] })) applied.push({ owner, name });
    }
    return applied;
  } finally {
    await database.destroy();
  }
}

async function takeLock(database: Knex, waitMsMax: number): Promise<void> {
  // Without the first, a killed waiter would stay in the queue, and a killed migrator's statement run on, until the server has
  // something to send to it.
  await database.raw(`set client_connection_check_interval = '1s'`);
  await database.raw(`set lock_timeout = ${Math.trunc(waitMsMax)}`);
  try {
    await database.raw(`select pg_advisory_lock(${MIGRATION_LOCK})`);
  } catch (cause) {
    if ((cause as { code?: string }).code !== '55P03') throw cause;
    throw new MigrationError({
      tried: 'begin', why: `another process has been migrating for more than ${waitMsMax} ms.`,
      todo: `see what it does (select * from pg_stat_activity where application_name = 'tekai-migrate'), then start again.`, cause,
    });
  }
  await database.raw('reset lock_timeout');
}

async function migrateOwner(database: Knex, { owner, files }: { owner: string; files: MigrationFile[] }): Promise<string[]> {
  const { rows } = await database.raw<{ rows: AppliedMigration[] }>(`select name, sha256 from migration_checksums where owner = ?`, [owner]);
  const pending = decidePending(owner, files, rows);
  for (const file of pending) {
    try {
      // `up` takes one migration into one transaction; `latest` would put all of them into a single one.
      await database.migrate.up({
        name: file.name,
        tableName: `knex_migrations_${owner.replaceAll('-', '_')}`,
        migrationSource: sourceOf(owner, files),
        // decidePending has looked, and lets an older release live with the tables of a newer one; knex would not.
        disableMigrationsListValidation: true,
      });
    } catch (cause) {
      if (cause instanceof MigrationError) throw cause;
      throw new MigrationError({
        tried: `apply ${file.name} of ${owner}`, why: `${(cause as Error).message}.`,
        todo: 'nothing of this file was applied; mend it (or the database) and start again.', cause,
      });
    }
  }
  return pending.map(({ name }) => name);
}

function sourceOf(owner: string, files: MigrationFile[]): Knex.MigrationSource<MigrationFile> {
  return {
    getMigrations: async () => files,
    getMigrationName: ({ name }) => name,
    getMigration: async (file) => ({
      up: (transaction) => applyFile(transaction, { owner, file }),
      down: async () => { throw new Error('migrations only go forward'); },
    }),
  };
}

async function applyFile(transaction: Knex, { owner, file }: { owner: string; file: MigrationFile }): Promise<void> {
  // Straight through pg: knex would take every ? in the file for a placeholder.
  const connection = await (transaction.client as Knex.Client).acquireConnection() as ClientBase;
  const before = await lockedTransaction(connection);
  if (!before.isLocked) {
    throw new MigrationError({ tried: `apply ${file.name} of ${owner}`, why: 'the connection was lost meanwhile, and the lock with it.', todo: 'start again.' });
  }
  await connection.query(file.sql);
  if ((await lockedTransaction(connection)).id !== before.id) {
    throw new MigrationError({
      tried: `apply ${file.name} of ${owner}`, why: 'it ends the transaction it runs in (commit, rollback); part of it may have been applied.',
      todo: 'take these statements out, and look at what the database has of it.',
    });
  }
  await connection.query('insert into migration_checksums (owner, name, sha256) values ($1, $2, $3)', [owner, file.name, file.sha256]);
}

async function lockedTransaction(connection: ClientBase): Promise<{ id: string; isLocked: boolean }> {
  const { rows: [row] } = await connection.query<{ id: string; isLocked: boolean }>(`
    select pg_current_xact_id()::text as id, exists (
      select from pg_locks where locktype = 'advisory' and granted and pid = pg_backend_pid()
      and ((classid::bigint << 32) | objid::bigint) = ${MIGRATION_LOCK}) as "isLocked"`);
  return row ?? { id: '', isLocked: false };
}
