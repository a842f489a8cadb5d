import type { Pool, QueryConfig, QueryResultRow } from 'pg';
import { asUnavailable } from '#shared/postgres/query.ts';

export interface LogStatement {
  /** Prepared once a connection, under this name. */
  readonly name: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** @throws Unavailable('event log') when the database is away, silent or full. */
export type LogQuery = <Row extends QueryResultRow>(statement: LogStatement) => Promise<Row[]>;

/** How long a silent server is believed to be working: as long as EventStoreDB's client gives an append. The largest flush takes 0.1 s. */
const ANSWER_MS_MAX = 10_000;

export function createLogQuery(pool: Pool): LogQuery {
  return async <Row extends QueryResultRow>(statement: LogStatement) => {
    // pg knows query_timeout in a single query, its types do not. The pool then throws the silent connection away.
    const config = { ...statement, values: [...(statement.values ?? [])], query_timeout: ANSWER_MS_MAX } as QueryConfig;
    try {
      return (await pool.query<Row>(config)).rows;
    } catch (error) {
      throw asUnavailable(error, 'event log');
    }
  };
}
