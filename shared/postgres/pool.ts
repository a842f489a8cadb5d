import pg from 'pg';

export type PoolOptions = {
  /** All pools of all processes together must stay below the server's max_connections (100 in the embedded one). */
  connectionsMax: number;
  /** Shown in pg_stat_activity: who holds a connection. */
  applicationName: string;
  /** The server ends a statement after this; 0 never does (bulk loads, rebuilds). */
  statementMsMax?: number;
  /** Connections last until they break: for what hangs on the session. */
  isKept?: boolean;
};

const CONNECT_MS_MAX = 5_000;
const STATEMENT_MS_MAX = 60_000;
/** Room for the server's own "statement timeout" to arrive before we take the connection for dead. */
const ANSWER_SLACK_MS = 5_000;
/** A transaction that its owner has forgotten holds locks and keeps vacuum from working. */
const IDLE_IN_TRANSACTION_MS_MAX = 60_000;
const IDLE_MS_MAX = 30_000;
/** Moves connections to a server that came back or was added, and bounds what a session's caches grow to. */
const LIFETIME_SECONDS_MAX = 1_800;

/**
 * A pool of connections. An error of a client that nobody waits on never ends the process: the next query gets another client,
 * or an error that `isUnavailable` knows. `bigint` (int8) comes as a string, as is pg's default: a number would lose digits
 * above 2^53. The URL must lead to Postgres itself: a transaction pooler loses session locks and refuses these settings.
 */
export function createPool(url: string, { connectionsMax, applicationName, statementMsMax = STATEMENT_MS_MAX, isKept = false }: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: connectionsMax,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    idleTimeoutMillis: isKept ? 0 : IDLE_MS_MAX,
    maxLifetimeSeconds: isKept ? 0 : LIFETIME_SECONDS_MAX,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS_MAX,
    ...(statementMsMax > 0 ? { statement_timeout: statementMsMax, query_timeout: statementMsMax + ANSWER_SLACK_MS } : {}),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  // Idle clients report to the pool; a client that is checked out and has no query under way reports to nobody but itself.
  pool.on('error', () => {});
  pool.on('connect', (client) => { client.on('error', () => {}); });
  return pool;
}

/** The same database for who must not change it: the server refuses what would. */
export function readOnly(url: string): string {
  const only = new URL(url);
  only.searchParams.set('options', [only.searchParams.get('options'), '-c default_transaction_read_only=on'].filter(Boolean).join(' '));
  return only.href;
}
