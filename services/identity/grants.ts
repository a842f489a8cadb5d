import { randomUUID } from 'node:crypto';
import type { SourceId } from '#schemas/brand.ts';
import { mayBeUsed } from '#shared/identity/active-people.ts';
import { forgetGrantedTokens, putGrantedTokens, type OwnGrant } from '#shared/identity/own-grant.ts';
import type { OwnTokens } from '#shared/identity/sign-in-provider.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';

export interface GrantDeps {
  readonly query: Query;
  readonly vault: Pick<SecretVault, 'get' | 'put' | 'delete'>;
  now(): Date;
}

/** As long as a sign-in may take that nobody has finished yet. */
const WAITING_MINUTES = 10;

export const GRANT = 'grant_id as "grantId", source_id as "sourceId", user_id as "userId"';

/** Row first, so that no secret lies in the vault of which nothing tells. Nobody uses it until the sign-in is finished. @returns its id */
export async function keepGrant({ query, vault, now }: GrantDeps, { sourceId, userId, gitlabUserId, tokens }: { readonly sourceId: SourceId; readonly userId: string; readonly gitlabUserId: number; readonly tokens: OwnTokens }): Promise<string> {
  const grant: OwnGrant = { grantId: randomUUID(), sourceId, userId };
  await query(`insert into identity_grants (grant_id, source_id, user_id, gitlab_user_id, state, kept_at, expires_at) values ($1, $2, $3, $4, 'waiting', $5, $6)`,
    [grant.grantId, sourceId, userId, gitlabUserId, now(), endOf(tokens, now())]);
  await putGrantedTokens(vault, grant, tokens);
  return grant.grantId;
}

export const endOf = ({ expiresInSeconds }: OwnTokens, now: Date): Date => new Date(now.getTime() + expiresInSeconds * 1_000);

/** The sign-in that it came with is finished: it is theirs, in place of those before. */
export async function takeGrant(deps: GrantDeps, grantId: string): Promise<void> {
  const [taken] = await deps.query<OwnGrant>(`update identity_grants set state = 'good' where grant_id = $1 and state = 'waiting' returning ${GRANT}`, [grantId]);
  if (taken === undefined) return;
  await forget(deps, `source_id = $1 and user_id = $2 and grant_id <> $3 and state <> 'waiting'`, [taken.sourceId, taken.userId, grantId]);
}

/** Of a user, at one source or at all; of who is somebody else there now, with `butOf` those of another GitLab user. */
export async function forgetGrantsOf(deps: GrantDeps, userId: string, { sourceId, butOf }: { readonly sourceId?: SourceId; readonly butOf?: number } = {}): Promise<void> {
  await forget(deps, 'user_id = $1 and ($2::text is null or source_id = $2) and ($3::bigint is null or gitlab_user_id <> $3)', [userId, sourceId ?? null, butOf ?? null]);
}

export async function forgetGrantsAt(deps: GrantDeps, sourceId: SourceId): Promise<void> {
  await forget(deps, 'source_id = $1', [sourceId]);
}

/** What may not be used any more: of one user, or of all. What waits is left as long as its sign-in may take. */
export async function sweepGrants(deps: GrantDeps, userId: string | null = null): Promise<void> {
  const isOver = `case state when 'waiting' then kept_at < $1::timestamptz - interval '${WAITING_MINUTES} minutes' else not (${mayBeUsed('$1')}) end`;
  await forget(deps, `${isOver} and ($2::text is null or user_id = $2)`, [deps.now(), userId]);
}

/** Secret first: what is left of it when we are killed here is found again by its row. */
async function forget({ query, vault }: GrantDeps, where: string, values: readonly unknown[]): Promise<void> {
  const grants = await query<OwnGrant>(`select ${GRANT} from identity_grants g where ${where}`, values);
  for (const grant of grants) {
    await forgetGrantedTokens(vault, grant);
    await query('delete from identity_grants where grant_id = $1', [grant.grantId]);
  }
}

/** How many people let us see what they read, and how many of these must sign in anew for that: GitLab takes theirs no longer, or they were lost. */
export async function countGrants({ query }: Pick<GrantDeps, 'query'>, sourceId: SourceId): Promise<{ readonly good: number; readonly over: number }> {
  const [row] = await query<{ good: number; over: number }>(`select count(*) filter (where state in ('good', 'turning'))::int as good, count(*) filter (where state in ('refused', 'lost'))::int as over from identity_grants where source_id = $1`, [sourceId]);
  return row ?? { good: 0, over: 0 };
}
