import pg from 'pg';
import { type Cluster, SUPERVISOR_ROLE } from './embedded-cluster.ts';
import { EmbeddedPostgresError, OWN_DATABASE_HINT } from './embedded-error.ts';
import { isUnavailable } from './unavailable.ts';

/** The role and the database of the engine: not a superuser, so nothing of ours comes to need one on a Postgres that is not ours. */
export const ENGINE_ROLE = 'tekai';

/** A session that holds the engine lock. It ends when the server does, and the lock with it when we do. */
export type Hold = { ended: Promise<void>; release(): Promise<void> };

/** `notYet`: nobody listens, or the server is starting up, recovering or shutting down (`isAlive` tells that it said so). */
export type HoldAttempt = { kind: 'held'; hold: Hold } | { kind: 'notYet'; isAlive: boolean; detail: string };

/** An arbitrary number, the same in every release: two engines find each other by it. */
const ENGINE_LOCK = 7_235_811_001;
const CONNECT_MS_MAX = 5_000;
/** A killed engine's lock goes when its server process notices the closed socket: milliseconds, if the machine is not starved. */
const LOCK_WAIT_MS = 3_000;

/**
 * Tries to become the one engine of this server: connects as the supervisor and takes a session advisory lock. The first engine
 * alive: its session holds the lock, and we are refused. The first engine killed: the kernel closed its session, and we adopt
 * the server. No lock file of our own could tell the two apart as surely.
 */
export async function tryHold(cluster: Cluster, port: number): Promise<HoldAttempt> {
  const client = new pg.Client({
    host: '127.0.0.1', port, user: SUPERVISOR_ROLE, password: cluster.supervisorPassword, database: 'postgres',
    application_name: `tekai-engine of process ${process.pid}`, connectionTimeoutMillis: CONNECT_MS_MAX, keepAlive: true,
  });
  const ended = new Promise<void>((resolve) => {
    client.on('error', () => resolve());
    client.on('end', () => resolve());
  });
  try {
    await client.connect();
    await refuseIfOtherData(client, cluster);
    await takeLock(client, cluster);
    await ensureEngineDatabase(client, cluster);
    return { kind: 'held', hold: { ended, release: () => client.end().catch(() => {}) } };
  } catch (error) {
    await client.end().catch(() => {});
    return notYetOrThrow(error, cluster);
  }
}

function notYetOrThrow(error: unknown, cluster: Cluster): HoldAttempt {
  if (error instanceof EmbeddedPostgresError) throw error;
  const { code = '', message } = error as Error & { code?: string };
  if (code === '28P01' || code === '28000') {
    throw new EmbeddedPostgresError('wrong-password', {
      tried: `log in to the running server of ${cluster.data}`,
      why: `it refuses the password in ${cluster.portFile.replace(/port$/, 'password')}.`,
      todo: `bring the password file back that belongs to these data, ${OWN_DATABASE_HINT}.`,
      cause: error,
    });
  }
  // What is wrong for good would be waited for in vain; only a server that comes or goes is.
  if (!isUnavailable(error)) throw error;
  const isAlive = code === '57P03' || code.startsWith('53');
  return { kind: 'notYet', isAlive, detail: message || code };
}

async function refuseIfOtherData(client: pg.Client, cluster: Cluster): Promise<void> {
  const { rows: [row] } = await client.query<{ data: string }>(`select current_setting('data_directory') as data`);
  if (row?.data === cluster.data) return;
  throw new EmbeddedPostgresError('in-use', {
    tried: `use the server of ${cluster.data}`,
    why: `the one that answers serves ${row?.data}: the state folder looks like a copy of another engine's.`,
    todo: 'stop that engine before starting one on the copy.',
  });
}

async function takeLock(client: pg.Client, cluster: Cluster): Promise<void> {
  await client.query(`set lock_timeout = ${LOCK_WAIT_MS}`);
  try {
    await client.query('select pg_advisory_lock($1)', [ENGINE_LOCK]);
    await client.query('reset lock_timeout');
  } catch (error) {
    if ((error as { code?: string }).code !== '55P03') throw error;
    throw new EmbeddedPostgresError('in-use', {
      tried: `start on the database in ${cluster.data}`,
      why: `another engine runs on it (${await holderOf(client)}).`,
      todo: 'stop that engine first, or give this one a state folder of its own.',
      cause: error,
    });
  }
}

async function holderOf(client: pg.Client): Promise<string> {
  const { rows: [row] } = await client.query<{ name: string }>(`
    select application_name as name from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and granted and ((classid::bigint << 32) | objid::bigint) = $1`, [ENGINE_LOCK]);
  return row?.name ?? 'it has just ended: try again';
}

async function ensureEngineDatabase(client: pg.Client, cluster: Cluster): Promise<void> {
  const { rows: roles } = await client.query('select 1 from pg_roles where rolname = $1', [ENGINE_ROLE]);
  if (roles.length === 0) {
    await client.query(`create role ${ENGINE_ROLE} login createdb createrole password ${client.escapeLiteral(cluster.enginePassword)}`);
  }
  const { rows: databases } = await client.query('select 1 from pg_database where datname = $1', [ENGINE_ROLE]);
  if (databases.length === 0) await client.query(`create database ${ENGINE_ROLE} owner ${ENGINE_ROLE}`);
}

/** TCP, because one plain URL then serves pg, knex and every tool, whatever the length of the state folder's path and whoever may pass it. */
export function engineUrl(cluster: Cluster, port: number): string {
  return `postgres://${ENGINE_ROLE}:${cluster.enginePassword}@127.0.0.1:${port}/${ENGINE_ROLE}`;
}
