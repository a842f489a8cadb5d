import type { CodebaseId, SourceId } from '#schemas/brand.ts';
import type { Query } from '#shared/postgres/query.ts';

/** What is remembered of a codebase's readers: when GitLab was asked, not who they are. Times are ISO. */
export interface ReaderLookRow {
  /** Null: GitLab never answered. */
  readonly askedAt: string | null;
  readonly requests: number;
  readonly failures: number;
  readonly nextAt: string | null;
  readonly trouble: string | null;
}

export const NEVER_ASKED: ReaderLookRow = { askedAt: null, requests: 2, failures: 0, nextAt: null, trouble: null };

/** @throws Unavailable */
export interface ReaderLooks {
  all(): Promise<ReadonlyMap<CodebaseId, ReaderLookRow>>;
  keep(codebase: CodebaseId, row: ReaderLookRow): Promise<void>;
  paced(source: SourceId, boundSeconds: number): Promise<void>;
}

export function createReaderLooks(query: Query): ReaderLooks {
  return {
    async all() {
      const rows = await query<ReaderLookRow & { codebaseId: CodebaseId }>('select codebase_id as "codebaseId", asked_at as "askedAt", requests, failures, next_at as "nextAt", trouble from reader_looks');
      return new Map(rows.map(({ codebaseId, ...row }) => [codebaseId, row]));
    },
    async keep(codebase, { askedAt, requests, failures, nextAt, trouble }) {
      await query(
        `insert into reader_looks (codebase_id, asked_at, requests, failures, next_at, trouble) values ($1, $2, $3, $4, $5, $6)
         on conflict (codebase_id) do update set asked_at = excluded.asked_at, requests = excluded.requests, failures = excluded.failures, next_at = excluded.next_at, trouble = excluded.trouble`,
        [codebase, askedAt, requests, failures, nextAt, trouble]);
    },
    async paced(source, boundSeconds) {
      await query('insert into source_reader_looks (source_id, bound_seconds) values ($1, $2) on conflict (source_id) do update set bound_seconds = excluded.bound_seconds', [source, boundSeconds]);
    },
  };
}
