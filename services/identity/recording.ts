import type { QueryResultRow } from 'pg';
import type { Actor } from '#schemas/events/fact.ts';
import type { Query } from '#shared/postgres/query.ts';

/** Who does something, and from where. `owner`: whose row it is. */
export interface By { readonly actor: Actor | 'owner' | 'engine' | 'nobody'; readonly address: string | null }

export interface Entry {
  readonly by: By;
  /** Of each changed row, one entry an act. */
  readonly acts: readonly string[];
  /** The column of what was changed that says whom or what it is about. */
  readonly about: 'user_id' | 'token_id' | 'session_id' | 'source_id';
  readonly at: Date;
}

export interface Change {
  /** Parts of the statement that go before, each with a comma behind it. */
  readonly before?: string;
  /** Gives back the rows that it changed. */
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** A change and its audit entry in one statement: both, or neither. What changes nothing leaves none. @throws Unavailable */
export function recorded<Row extends QueryResultRow>(query: Query, { before = '', sql, values }: Change, { by: { actor, address }, acts, about, at }: Entry): Promise<Row[]> {
  const place = (offset: number) => `$${values.length + offset}`;
  const [kind, id] = actor === 'owner' ? ['user', undefined] : typeof actor === 'string' ? [actor, null] : [actor.kind, actor.id];
  return query<Row>(`with ${before} changed as (${sql}), entered as (
      insert into identity_audit (at, last_at, actor_kind, actor_id, act, target, address)
      select ${place(1)}::timestamptz, ${place(1)}, ${place(2)}::text, ${id === undefined ? 'changed.user_id' : `${place(5)}::text`}, act, changed.${about}, ${place(3)}::text
      from changed cross join unnest(${place(4)}::text[]) as act)
    select * from changed`, [...values, at, kind, address, acts, ...(id === undefined ? [] : [id])]);
}

/** Of sign-ins and of what was done, for a year and a day; what is counted (refusals, mostly) for ninety days. */
const KEPT_DAYS = 366;
const COUNTED_KEPT_DAYS = 90;
const DAY_MS = 86_400_000;

/** What is older than it is kept for. */
export async function sweepAudit({ query, now }: { readonly query: Query; now(): Date }): Promise<void> {
  const before = (days: number) => new Date(now().getTime() - days * DAY_MS);
  await query('delete from identity_audit where at < $1 or (counted_by is not null and at < $2)', [before(KEPT_DAYS), before(COUNTED_KEPT_DAYS)]);
}
