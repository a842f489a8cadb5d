import type { CodebaseId, FactId, ObjectId, Position, RefName, SyncId } from '#schemas/brand.ts';
import type { Query } from '#shared/postgres/query.ts';

/** Where a ref points by its last sync that ended without failing. */
export interface Head {
  readonly ref: RefName;
  /** Null for the empty repository. */
  readonly commit: ObjectId | null;
  readonly isDeleted: boolean;
  readonly sync: SyncId;
}

export interface Heads {
  /** What was remembered after a position: before it, the codebase had another life. */
  of(codebase: CodebaseId, since: Position): Promise<ReadonlyMap<RefName, Head>>;
  /** Remembers; an older position never overwrites a newer one. */
  remember(codebase: CodebaseId, head: Head, position: Position): Promise<void>;
  /** Before anything of this codebase is planned in this term: from here on no fetcher of an earlier one begins anything of it. */
  enter(codebase: CodebaseId, term: number): Promise<void>;
  /**
   * Notes that a cause's sync of this ref begins: before its first fact, so that nobody begins what a restart forgets. False, and
   * nothing is noted, when a fetcher of a later term is at work: what it has planned without this ref must not be begun behind it.
   */
  begin(codebase: CodebaseId, ref: RefName, of: { readonly cause: FactId; readonly term: number }): Promise<boolean>;
  /** Whose sync of this ref was begun last, of whatever cause, and that of the head which is remembered: another one where its end was not looked at yet, or was none that moves a head. */
  lastBegun(codebase: CodebaseId, ref: RefName): Promise<{ readonly cause: FactId; readonly headSync: SyncId | null } | undefined>;
  /** The refs of which this cause's sync was begun, and none of a later cause. */
  begunFor(codebase: CodebaseId, cause: FactId): Promise<readonly RefName[]>;
}

interface Row { ref: RefName; commit_id: ObjectId | null; is_deleted: boolean; sync_id: SyncId }

/** 10 MB. What is forgotten is entered once more. */
const ENTERED_MAX = 100_000;

/** The fetcher's own table. @throws Unavailable */
export function createHeads(query: Query): Heads {
  const entered = new Map<CodebaseId, number>();

  return {
    async of(codebase, since) {
      const rows = await query<Row>('select ref, commit_id, is_deleted, sync_id from fetcher_heads where codebase_id = $1 and position > $2', [codebase, since]);
      return new Map(rows.map((row) => [row.ref, { ref: row.ref, commit: row.commit_id, isDeleted: row.is_deleted, sync: row.sync_id }]));
    },

    async remember(codebase, head, position) {
      await query(
        `insert into fetcher_heads (codebase_id, ref, commit_id, is_deleted, sync_id, position) values ($1, $2, $3, $4, $5, $6)
         on conflict (codebase_id, ref) do update
           set commit_id = excluded.commit_id, is_deleted = excluded.is_deleted, sync_id = excluded.sync_id, position = excluded.position
           where fetcher_heads.position < excluded.position`,
        [codebase, head.ref, head.commit, head.isDeleted, head.sync, position]);
    },

    async enter(codebase, term) {
      if (entered.get(codebase) === term) return;
      await query(
        `insert into fetcher_terms (codebase_id, term) values ($1, $2)
         on conflict (codebase_id) do update set term = excluded.term where fetcher_terms.term < excluded.term`, [codebase, term]);
      if (entered.size >= ENTERED_MAX) entered.clear();
      entered.set(codebase, term);
    },

    async begin(codebase, ref, { cause, term }) {
      const rows = await query(
        `with entered as (select from fetcher_terms where codebase_id = $1 and term = $4 for share)
         insert into fetcher_begun (codebase_id, ref, cause_id) select $1, $2, $3 from entered
         on conflict (codebase_id, ref) do update set cause_id = excluded.cause_id returning 1`, [codebase, ref, cause, term]);
      return rows.length > 0;
    },

    async lastBegun(codebase, ref) {
      const [row] = await query<{ cause_id: FactId; sync_id: SyncId | null }>(
        'select cause_id, sync_id from fetcher_begun left join fetcher_heads using (codebase_id, ref) where codebase_id = $1 and ref = $2', [codebase, ref]);
      return row && { cause: row.cause_id, headSync: row.sync_id };
    },

    async begunFor(codebase, cause) {
      const rows = await query<{ ref: RefName }>('select ref from fetcher_begun where codebase_id = $1 and cause_id = $2 order by ref', [codebase, cause]);
      return rows.map((row) => row.ref);
    },
  };
}
