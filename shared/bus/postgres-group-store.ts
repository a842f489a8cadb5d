import type { Pool } from 'pg';
import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { createQuery } from '#shared/postgres/query.ts';
import type { ParkedKey } from './bus.ts';
import type { GroupStore } from './group-store.ts';

/** Group memory in two Postgres tables (migrations/). Also what the Kafka bus keeps its parked keys in. */
export function createPostgresGroupStore({ pool }: { readonly pool: Pool }): GroupStore {
  const query = createQuery(pool, 'database');

  return {
    async loadCheckpoint(group) {
      const rows = await query<{ position: Position }>('select position from bus_checkpoints where group_name = $1', [group]);
      return rows[0]?.position;
    },

    async saveCheckpoint(group, position) {
      await query(
        `insert into bus_checkpoints (group_name, position) values ($1, $2)
         on conflict (group_name) do update set position = excluded.position, saved_at = now()`, [group, position]);
    },

    async park(group, key, facts, since) {
      // A redriven fact that fails again is a parked one again, and so is what waited behind it.
      await query(
        `insert into bus_parked (group_name, key, position, fact, reason, since)
         select $1, $2, f.position, f.fact, f.reason, $6 from unnest($3::text[], $4::text[], $5::text[]) as f(position, fact, reason)
         on conflict (group_name, position) do update set is_redriven = false, reason = coalesce(excluded.reason, bus_parked.reason)`,
        [group, key, facts.map((f) => f.fact.position), facts.map((f) => JSON.stringify(f.fact)), facts.map((f) => f.reason), since]);
    },

    async parked({ group, key }) {
      const rows = group === undefined && key !== undefined ? await query<ParkedRow>(PARKED_OF_KEY, [key]) : await query<ParkedRow>(
        `select distinct on (group_name, key) group_name, key, position, reason, fact, since, count(*) over (partition by group_name, key) as facts
         from bus_parked where not is_redriven and ($1::text is null or group_name = $1) and ($2::text is null or key = $2)
         order by group_name, key, reason is null, position`, [group ?? null, key ?? null]);
      return rows.map(parkedKeyOf);
    },

    async redrive(group, key) {
      const rows = await query(
        'update bus_parked set is_redriven = true, reason = null where group_name = $1 and key = $2 and not is_redriven returning position', [group, key]);
      return rows.length;
    },

    async redriven(group) {
      const rows = await query<{ fact: string }>('select fact from bus_parked where group_name = $1 and is_redriven order by position', [group]);
      return rows.map((row) => JSON.parse(row.fact) as Recorded);
    },

    async forget(group, position) {
      await query('delete from bus_parked where group_name = $1 and position = $2', [group, position]);
    },
  };
}

/** Prepared: every answer about a codebase says whether it is parked. With "$1 is null or" the plan that fits all values would read the whole table. */
const PARKED_OF_KEY = {
  name: 'parked-of-key-1',
  text: `select distinct on (group_name) group_name, key, position, reason, fact, since, count(*) over (partition by group_name) as facts
    from bus_parked where not is_redriven and key = $1 order by group_name, reason is null, position`,
};

interface ParkedRow { group_name: string; key: string; position: Position; reason: string | null; fact: string; since: Date; facts: string }

function parkedKeyOf(row: ParkedRow): ParkedKey {
  const { type } = JSON.parse(row.fact) as Recorded;
  return { group: row.group_name, key: row.key, position: row.position, reason: row.reason ?? 'unknown', since: row.since.toISOString(), type, facts: Number(row.facts) };
}
