import { randomUUID } from 'node:crypto';
import type { Pool } from 'pg';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { StartRefused } from '#shared/runtime/start-waits.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { freshDatabase, type FreshDatabase } from '../../tests/harness/postgres.ts';
import { newFacts, newFamily } from './event-log-facts.contract.ts';
import { followedLog, mustFollow } from './followed-log.ts';
import { createPostgresEventLog, eventLogMigrations } from './postgres-event-log.ts';

let database: FreshDatabase;
let pool: Pool;
beforeEach(async () => {
  database = await freshDatabase();
  await migrate({ url: database.url, owners: [eventLogMigrations] });
  pool = createPool(database.url, { connectionsMax: 4, applicationName: 'followed-log-test' });
});
afterEach(async () => {
  await pool.end();
  await database.drop();
});

const eventstoredb = () => ({ kind: 'eventstoredb', epoch: randomUUID() }) as const;
const own = async () => ({ kind: 'postgres', epoch: await createPostgresEventLog({ pool }).epoch() }) as const;
const write = () => createPostgresEventLog({ pool }).append(newFamily().of('a'), 'noStream', newFacts(1));

test('the log that was found first is followed, of several who begin at once by all the same, and no other after it', async () => {
  const found = Array.from({ length: 8 }, eventstoredb);
  const outcomes = await Promise.allSettled(found.map((one) => mustFollow(pool, one)));
  const followed = await followedLog(pool);
  expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual(found.map(({ epoch }) => epoch === followed?.epoch));
  await mustFollow(pool, followed!);
  await expect(mustFollow(pool, eventstoredb())).rejects.toThrow(StartRefused);
  await expect(mustFollow(pool, await own())).rejects.toThrow('no TEKAI_EVENTSTORE_URL is set');
});

test('a log that holds facts is not left by a setting: what to do is said', async () => {
  await mustFollow(pool, await own());
  await write();
  await expect(mustFollow(pool, eventstoredb())).rejects.toThrow('Run "tekai migrate-log"');
  await mustFollow(pool, await own());
});

test('a log that nothing was ever written to can be left; then it takes nothing any more, as if it were away', async () => {
  await mustFollow(pool, await own());
  const chosen = eventstoredb();
  await mustFollow(pool, chosen);
  expect(await followedLog(pool)).toEqual(chosen);
  await expect(write()).rejects.toThrow(Unavailable);
  await expect(mustFollow(pool, await own())).rejects.toThrow(StartRefused);
});

test('an engine of before this was remembered follows the log that holds its facts', async () => {
  await pool.query('drop trigger log_left_refused on log_facts; drop function log_refuse_left; drop table log_followed');
  expect(await followedLog(pool)).toBeUndefined();
  await pool.query(`delete from migration_checksums where name like '0003%'; delete from knex_migrations_log where name like '0003%'`);
  await write();
  await migrate({ url: database.url, owners: [eventLogMigrations] });
  expect(await followedLog(pool)).toEqual(await own());
});
