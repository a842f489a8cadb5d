import { createHash } from 'node:crypto';
import type { Query } from '#shared/postgres/query.ts';
import type { AuditEntries, AuditEntry, CountedEntry } from './audit-entries.ts';

interface Row extends Omit<AuditEntry, 'id' | 'at' | 'lastAt' | 'count' | 'actor'> {
  readonly entry_id: string; readonly at: Date; readonly last_at: Date; readonly count: string;
  readonly actor_kind: AuditEntry['actor']['kind']; readonly actor_id: string | null;
}

const MINUTE_MS = 60_000;

export function createPostgresAuditEntries({ query }: { readonly query: Query }): AuditEntries {
  return {
    async list({ actor, acts, target, since, until, after, limit }) {
      return (await query<Row>(`select * from identity_audit
        where ($1::text is null or actor_id = $1) and ($2::text[] is null or act = any($2)) and ($3::text is null or target = $3)
          and ($4::timestamptz is null or at >= $4) and ($5::timestamptz is null or at < $5) and ($6::timestamptz is null or (at, entry_id) < ($6, $7::bigint))
        order by at desc, entry_id desc limit $8`, [actor ?? null, acts ?? null, target ?? null, since ?? null, until ?? null, after?.at ?? null, after?.id ?? null, limit])).map(entryOf);
    },
    async count(entries) {
      await query(`insert into identity_audit as a (at, last_at, count, actor_kind, actor_id, act, target, route, code, address, counted_by)
        select * from unnest($1::timestamptz[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::bytea[])
        on conflict (counted_by) do update set count = a.count + excluded.count, last_at = greatest(a.last_at, excluded.last_at)`, [
        entries.map(({ at }) => at), entries.map(({ lastAt }) => lastAt), entries.map(({ count }) => count), entries.map(({ actor }) => actor.kind), entries.map(({ actor }) => actor.id),
        ...(['act', 'target', 'route', 'code', 'address'] as const).map((name) => entries.map((entry) => entry[name])), entries.map(sameWithinAMinute)]);
    },
  };
}

/** The same digest of the same within one minute, in every process. */
function sameWithinAMinute({ at, actor, act, target, route, code, address }: CountedEntry): Buffer {
  return createHash('sha256').update(JSON.stringify([Math.floor(at.getTime() / MINUTE_MS), actor.kind, actor.id, act, target, route, code, address])).digest();
}

function entryOf({ entry_id, at, last_at, count, actor_kind, actor_id, act, target, route, code, address }: Row): AuditEntry {
  return { id: entry_id, at: at.toISOString(), lastAt: last_at.toISOString(), count: Number(count), actor: { kind: actor_kind, id: actor_id }, act, target, route, code, address };
}
