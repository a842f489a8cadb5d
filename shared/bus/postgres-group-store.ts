import type { Pool } from 'pg';
import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { createQuery, type Query } from '#shared/postgres/query.ts';
import type { ParkedKey } from './bus.ts';
import type { GroupStore, Lease } from './group-store.ts';
import { createPostgresLeases } from './postgres-leases.ts';

export interface PostgresGroupStoreOptions {
  readonly pool: Pool;
  /** One connection, which lives as long as the process (`keptMax` of createPool): while it stands, the leases taken over it are its holder's. */
  readonly holder: Pool;
}

/** Group memory in three Postgres tables (migrations/). Also what the Kafka bus keeps its parked keys in. */
export function createPostgresGroupStore({ pool, holder }: PostgresGroupStoreOptions): GroupStore {
  const query = createQuery(pool, 'database');

  return {
    ...createPostgresLeases(holder),

    async loadCheckpoint(group) {
      const rows = await query<{ position: Position }>('select position from bus_checkpoints where group_name = $1', [group]);
      return rows[0]?.position;
    },

    async loadCheckpoints(names) {
      const rows = await query<{ group_name: string; position: Position }>('select group_name, position from bus_checkpoints where group_name = any($1)', [names]);
      return new Map(rows.map((row) => [row.group_name, row.position]));
    },

    saveCheckpoint: (lease, position) => writeWhileHeld(query, lease, {
      text: `insert into bus_checkpoints (group_name, position) select $1, $3 from held
        on conflict (group_name) do update set position = excluded.position, saved_at = now()`,
      values: [position],
    }),

    // A redriven fact that fails again is a parked one again, and so is what waited behind it.
    park: ({ lease, group }, key, facts, since) => writeWhileHeld(query, lease, {
      text: `insert into bus_parked (group_name, key, position, fact, reason, since)
        select $8, $3, f.position, f.fact, f.reason, $7 from held, unnest($4::text[], $5::text[], $6::text[]) as f(position, fact, reason)
        on conflict (group_name, position) do update set is_redriven = false, reason = coalesce(excluded.reason, bus_parked.reason)`,
      values: [key, facts.map((f) => f.fact.position), facts.map((f) => JSON.stringify(f.fact)), facts.map((f) => f.reason), since, group],
    }),

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

    redriveBehind: ({ lease, group }, key) => writeWhileHeld(query, lease, {
      text: 'update bus_parked set is_redriven = true, reason = null where group_name = $4 and key = $3 and not is_redriven and exists (select from held)',
      values: [key, group],
    }),

    async redriven(group) {
      const rows = await query<{ fact: string }>('select fact from bus_parked where group_name = $1 and is_redriven order by position', [group]);
      return rows.map((row) => JSON.parse(row.fact) as Recorded);
    },

    forget: ({ lease, group }, position) => writeWhileHeld(query, lease, {
      text: 'delete from bus_parked where group_name = $4 and position = $3 and exists (select from held)',
      values: [position, group],
    }),
  };
}

/**
 * Writes only while nobody else has taken the lease, in one statement that locks its row: who takes over waits until this is
 * written, and then sees it; who was quicker has made the term another, and this writes nothing. False then.
 */
async function writeWhileHeld(query: Query, { name, term }: Lease, { text, values }: { readonly text: string; readonly values: readonly unknown[] }): Promise<boolean> {
  const rows = await query(`with held as (select from bus_leases where name = $1 and term = $2 for share), written as (${text}) select 1 as held from held`, [name, term, ...values]);
  return rows.length > 0;
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
