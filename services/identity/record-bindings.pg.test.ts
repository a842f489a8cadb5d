import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Pool } from 'pg';
import type { SourceId } from '#schemas/brand.ts';
import { PEOPLE_RECORDED, peopleStream } from '#schemas/ids.ts';
import { readPeople } from '#shared/lifecycles/people-state.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createQuery } from '#shared/postgres/query.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { freshDatabase, type FreshDatabase } from '#tests/harness/postgres.ts';
import { unbindGitLabUser } from './gitlab-users.ts';
import { recordBindings } from './record-bindings.ts';

// A database of an engine that kept its bindings as rows is brought up to date, and the engine started, killed and started again.

const MIGRATIONS = new URL('./migrations/', import.meta.url).pathname;
const SOURCES = [randomUUID(), randomUUID()].sort() as SourceId[];
const USERS = [1, 2, 3].map(() => randomUUID()).sort();
const NOW = new Date('2026-11-30T12:00:00Z');
let database: FreshDatabase;
let pool: Pool;
let before: string;

beforeEach(async () => {
  database = await freshDatabase();
  before = await mkdtemp(path.join(tmpdir(), 'tekai-migrations-'));
  for (const file of ['0001-identity.sql', '0002-gitlab-users.sql']) await cp(path.join(MIGRATIONS, file), path.join(before, file));
  pool = createPool(database.url, { connectionsMax: 2, applicationName: 'test' });
});
afterEach(async () => {
  await pool.end();
  await database.drop();
  await rm(before, { recursive: true });
});

async function upgraded(): Promise<void> {
  await migrate({ url: database.url, owners: [{ name: 'identity', directory: before }] });
  for (const id of USERS) await pool.query(`insert into identity_users (user_id, name, password_hash, is_one_time, is_system_admin, created_at) values ($1, $1, 'none', false, false, now())`, [id]);
  for (const [source, gitlabUser, user] of [[0, 7, 0], [0, 8, 1], [1, 7, 2]] as const) await pool.query('insert into identity_gitlab_users values ($1, $2, $3, $4)', [SOURCES[source], gitlabUser, USERS[user], NOW]);
  await migrate({ url: database.url, owners: [{ name: 'identity', directory: MIGRATIONS }] });
}

/** Goes away behind so many appends that it took; what it took is there. */
const dyingAfter = (log: EventLog, appends: number): EventLog => {
  let left = appends;
  return { ...log, append: async (...given) => {
    if (left === 0) throw new Unavailable('event log', 'killed');
    left -= 1;
    return log.append(...given);
  } };
};

test.each([0, 1, 2, 3])('what an engine from before had bound is told once, though it dies behind %i appends, and what was taken back since is not told again', async (appends) => {
  await upgraded();
  const [log, query] = [createMemoryEventLog(), createQuery(pool)];
  const deps = { query, now: () => NOW };
  await recordBindings({ ...deps, log: dyingAfter(log, appends) }).catch((error: unknown) => expect(error).toBeInstanceOf(Unavailable));
  const told = new Set((await readPeople(log, SOURCES[0]!)).gitlabUserOf.keys());
  // Another process has told all of it meanwhile, and somebody is bound no longer.
  if (appends > 0) await unbindGitLabUser({ ...deps, log, store: { sources: async () => [] }, recorded: async () => undefined }, USERS[0]!, { sourceId: SOURCES[0]!, actor: { kind: 'user', id: 'a' } });
  for (const start of [1, 2]) {
    await recordBindings({ ...deps, log });
    const facts = (await Promise.all(SOURCES.map((source) => log.readStream(peopleStream(source), { limit: 100 })))).flat();
    expect([start, facts.map(({ type, key }) => [type, key])]).toEqual([start, [
      ['user.gitlab-bound', USERS[0]], ['user.gitlab-bound', USERS[1]], ...(appends > 0 ? [['user.gitlab-unbound', USERS[0]]] : []), ['user.gitlab-bound', USERS[2]],
    ]]);
    expect((await log.readStream(PEOPLE_RECORDED, { limit: 9 })).map(({ type, data }) => [type, data])).toEqual([['bindings.recorded', { bindings: 3 }]]);
  }
  expect(told.size).toBe(appends > 0 ? 2 : 0);
  expect(await query('select user_id from identity_gitlab_users')).toEqual([]);
});

test('a new engine has nothing to tell: its record says all from the beginning', async () => {
  await migrate({ url: database.url, owners: [{ name: 'identity', directory: MIGRATIONS }] });
  const log = createMemoryEventLog();
  await recordBindings({ query: createQuery(pool), log, now: () => NOW });
  expect(await log.readStream(PEOPLE_RECORDED, { limit: 1 })).toEqual([]);
});
