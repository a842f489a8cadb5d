import type { Pool } from 'pg';
import type { SourceId } from '#schemas/brand.ts';
import { createQuery } from '#shared/postgres/query.ts';
import { CLAIM_MS, lastFourOf, nextCheckAt, type KeptCheck, type SourceChecks } from './source-checks.ts';

interface Row {
  source_id: SourceId; checked_at: Date; state: KeptCheck['state']; kind: KeptCheck['kind'];
  scopes: string | null; expires_at: string | null; gitlab_version: string | null; last_four: string | null;
}

/** In ingress's table `source_checks`, one row a source. */
export function createPostgresSourceChecks({ pool }: { readonly pool: Pool }): SourceChecks {
  const query = createQuery(pool);

  return {
    async keep(source, { check, token, at }) {
      const { kind, scopes, expiresAt } = check.token;
      // GitLab says none of this while it is away or refuses: what it said before still tells when the token ends.
      await query(
        `insert into source_checks as known (source_id, next_at, checked_at, state, kind, scopes, expires_at, gitlab_version, last_four)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (source_id) do update set
           next_at = excluded.next_at, checked_at = excluded.checked_at, state = excluded.state, last_four = excluded.last_four,
           kind = case when excluded.kind <> 'unknown' or known.kind is null then excluded.kind else known.kind end,
           scopes = case when excluded.state = 'ok' then excluded.scopes else coalesce(excluded.scopes, known.scopes) end,
           expires_at = case when excluded.state = 'ok' then excluded.expires_at else coalesce(excluded.expires_at, known.expires_at) end,
           gitlab_version = coalesce(excluded.gitlab_version, known.gitlab_version)`,
        [source, nextCheckAt(check, at), at, check.state, kind, scopes === null ? null : JSON.stringify(scopes), expiresAt, check.gitlab.version, lastFourOf(token)]);
    },

    async askAgain(source, now) {
      await query('update source_checks set next_at = $2 where source_id = $1', [source, now]);
    },

    async kept() {
      const rows = await query<Row>('select * from source_checks where checked_at is not null', []);
      return new Map(rows.map((row) => [row.source_id, {
        state: row.state, kind: row.kind, scopes: row.scopes === null ? null : JSON.parse(row.scopes) as string[],
        expiresAt: row.expires_at, gitlabVersion: row.gitlab_version, lastFour: row.last_four, checkedAt: row.checked_at.toISOString(),
      }]));
    },

    async claimDue(now) {
      // Sources of before this table have no row yet. Of two who claim at once the second finds it no longer due.
      const [claimed] = await query<{ source_id: SourceId }>(
        `insert into source_checks as known (source_id, next_at)
         select source_id, $2::timestamptz from sources left join source_checks using (source_id) where next_at is null or next_at <= $1::timestamptz
         order by next_at nulls first limit 1
         on conflict (source_id) do update set next_at = excluded.next_at where known.next_at <= $1::timestamptz returning source_id`,
        [now, new Date(now.getTime() + CLAIM_MS)]);
      return claimed?.source_id;
    },
  };
}
