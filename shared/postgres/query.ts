import type { Pool, QueryResultRow } from 'pg';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { isUnavailable } from './unavailable.ts';

/** A statement that each connection parses once, under this name. For what is asked all the time, and whose best plan does not hang on its values. */
export interface Prepared { readonly name: string; readonly text: string }

export type Query = <Row extends QueryResultRow>(sql: string | Prepared, values?: readonly unknown[]) => Promise<Row[]>;

/** Statements on a pool, where "the database is away" is told from "the statement is wrong". @throws Unavailable */
export function createQuery(pool: Pick<Pool, 'query'>, dependency = 'database'): Query {
  return async <Row extends QueryResultRow>(sql: string | Prepared, values: readonly unknown[] = []) => {
    try {
      return (await (typeof sql === 'string' ? pool.query<Row>(sql, values as unknown[]) : pool.query<Row>({ ...sql, values: values as unknown[] }))).rows;
    } catch (error) {
      throw asUnavailable(error, dependency);
    }
  };
}

/** The error itself, or Unavailable around it when it means that the database is away. */
export function asUnavailable(error: unknown, dependency = 'database'): unknown {
  return isUnavailable(error) ? new Unavailable(dependency, error instanceof Error ? error.message : String(error), { cause: error }) : error;
}
