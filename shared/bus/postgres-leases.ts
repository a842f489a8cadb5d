import type { Pool } from 'pg';
import { createQuery } from '#shared/postgres/query.ts';
import type { LeaseStore } from './group-store.ts';

/** The connection that asks: leases are its own. */
const OWN = `select pid, backend_start from pg_stat_activity where pid = pg_backend_pid()`;

/** Of another role we may not see since when it is there: then it lives. */
const HOLDER_LIVES = `exists (
  select from pg_stat_activity one where one.pid = standing.backend_pid and coalesce(one.backend_start = standing.backend_start, true))`;

/**
 * Leases as rows, by the clock of Postgres. A killed holder is known by its connection, which the kernel closed; a stopped one
 * keeps its connection, and is known by the time. So `holder` must be one connection that lasts. A term is the time, or more: so
 * that they grow also over the loss of this table, and for a key that came to another share, whose lease has another name.
 */
export function createPostgresLeases(holder: Pool): LeaseStore {
  const query = createQuery(holder, 'database');

  return {
    async takeLease(name, forMs) {
      const rows = await query<{ term: string }>(
        `insert into bus_leases as standing (name, term, expires_at, backend_pid, backend_start)
         select $1, (extract(epoch from clock_timestamp()) * 1000)::bigint, clock_timestamp() + make_interval(secs => $2), own.pid, own.backend_start from (${OWN}) own
         on conflict (name) do update
           set term = greatest(standing.term + 1, excluded.term), expires_at = excluded.expires_at, backend_pid = excluded.backend_pid, backend_start = excluded.backend_start
           where standing.expires_at <= clock_timestamp() or not ${HOLDER_LIVES}
         returning term`, [name, forMs / 1_000]);
      const [row] = rows;
      return row === undefined ? undefined : { name, term: Number(row.term) };
    },

    async renewLease({ name, term }, forMs) {
      const rows = await query(
        `update bus_leases set expires_at = clock_timestamp() + make_interval(secs => $3), backend_pid = own.pid, backend_start = own.backend_start
         from (${OWN}) own where name = $1 and term = $2 returning 1`, [name, term, forMs / 1_000]);
      return rows.length > 0;
    },

    async endLease({ name, term }) {
      await query(`update bus_leases set expires_at = '-infinity' where name = $1 and term = $2`, [name, term]);
    },
  };
}
