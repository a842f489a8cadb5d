import type { CodebaseId, Position, RefName, SourceId } from '#schemas/brand.ts';
import type { Query } from '#shared/postgres/query.ts';

/** What the scheduler remembers of a codebase over a restart. */
export interface LookRow {
  readonly lookedAt: string | null;
  readonly position: Position | null;
  readonly different: readonly RefName[] | null;
  readonly requests: number;
  readonly failures: number;
  readonly nextAt: string | null;
  readonly settledHintAt: string | null;
  readonly hookCheckedAt: string | null;
  readonly hookTrouble: string | null;
  readonly hookBasis: string | null;
  readonly hookSecrets: number | null;
}

export const NEVER_LOOKED: LookRow = {
  lookedAt: null, position: null, different: [], requests: 1, failures: 0, nextAt: null, settledHintAt: null, hookCheckedAt: null, hookTrouble: null, hookBasis: null, hookSecrets: null,
};

export type Looked = Pick<LookRow, 'lookedAt' | 'position' | 'different' | 'requests' | 'failures' | 'nextAt' | 'settledHintAt'>;
export type HookChecked = Pick<LookRow, 'hookCheckedAt' | 'hookTrouble' | 'hookBasis' | 'hookSecrets'>;

export interface SourcePace {
  readonly activeBoundSeconds: number;
  readonly idleBoundSeconds: number;
  readonly requestsPerMinute: number;
  readonly wantedPerMinute: number;
  readonly heldUntil: string | null;
  readonly heldReason: string | null;
}

/** The scheduler's own tables. @throws Unavailable */
export interface Looks {
  all(): Promise<ReadonlyMap<CodebaseId, LookRow>>;
  looked(codebase: CodebaseId, look: Looked): Promise<void>;
  hookChecked(codebase: CodebaseId, check: HookChecked): Promise<void>;
  paced(source: SourceId, pace: SourcePace): Promise<void>;
}

export function createLooks(query: Query): Looks {
  return {
    async all() {
      const rows = await query<LookRow & { codebaseId: CodebaseId }>(
        `select codebase_id as "codebaseId", looked_at as "lookedAt", position, different, requests, failures, next_at as "nextAt", settled_hint_at as "settledHintAt",
           hook_checked_at as "hookCheckedAt", hook_trouble as "hookTrouble", hook_basis as "hookBasis", hook_secrets as "hookSecrets" from codebase_looks`);
      return new Map(rows.map(({ codebaseId, ...row }) => [codebaseId, row]));
    },

    async looked(codebase, look) {
      await query(
        `insert into codebase_looks (codebase_id, looked_at, position, different, requests, failures, next_at, settled_hint_at) values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (codebase_id) do update set looked_at = excluded.looked_at, position = excluded.position, different = excluded.different, requests = excluded.requests,
           failures = excluded.failures, next_at = excluded.next_at, settled_hint_at = excluded.settled_hint_at`,
        [codebase, look.lookedAt, look.position, JSON.stringify(look.different), look.requests, look.failures, look.nextAt, look.settledHintAt]);
    },

    async hookChecked(codebase, { hookCheckedAt, hookTrouble, hookBasis, hookSecrets }) {
      await query(
        `insert into codebase_looks (codebase_id, hook_checked_at, hook_trouble, hook_basis, hook_secrets) values ($1, $2, $3, $4, $5)
         on conflict (codebase_id) do update set hook_checked_at = excluded.hook_checked_at, hook_trouble = excluded.hook_trouble, hook_basis = excluded.hook_basis, hook_secrets = excluded.hook_secrets`,
        [codebase, hookCheckedAt, hookTrouble, hookBasis, hookSecrets]);
    },

    async paced(source, pace) {
      await query(
        `insert into source_looks (source_id, active_bound_seconds, idle_bound_seconds, requests_per_minute, wanted_per_minute, held_until, held_reason) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (source_id) do update set active_bound_seconds = excluded.active_bound_seconds, idle_bound_seconds = excluded.idle_bound_seconds,
           requests_per_minute = excluded.requests_per_minute, wanted_per_minute = excluded.wanted_per_minute, held_until = excluded.held_until, held_reason = excluded.held_reason`,
        [source, pace.activeBoundSeconds, pace.idleBoundSeconds, pace.requestsPerMinute, pace.wantedPerMinute, pace.heldUntil, pace.heldReason]);
    },
  };
}
