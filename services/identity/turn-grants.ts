import type { SourceId } from '#schemas/brand.ts';
import { activePeople, mayBeUsed } from '#shared/identity/active-people.ts';
import { forgetGrantedTokens, grantedTokens, putGrantedTokens, type OwnGrant } from '#shared/identity/own-grant.ts';
import { SignInFailed, type OwnTokens, type SignInClient, type SignInProvider } from '#shared/identity/sign-in-provider.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { endOf, GRANT, type GrantDeps } from './grants.ts';

export interface TurnDeps extends GrantDeps {
  readonly logger: Logger;
  readonly signInProvider: Pick<SignInProvider, 'turn'>;
  /** Undefined: nobody signs in there any more. @throws Unavailable */
  clientOf(source: SourceId): Promise<SignInClient | undefined>;
}

/** Before an access token ends: longer than a GitLab is away when it is restarted. */
const BEFORE_MINUTES = 10;
/** Far longer than a turn takes: who has not kept what came back by then was killed, or GitLab's answer never came. */
const TURN_SECONDS_MAX = 120;
/** After GitLab did not answer. */
const RETRY_SECONDS = 60;
const AT_ONCE = 4;
const TURNS_MAX = 100;

/**
 * Gets active people's next tokens before theirs end. A refresh token is good once: it is claimed in its row before it is turned in,
 * so that no two processes use it; of one that was killed in between nobody knows what GitLab did, and its grant is over.
 * @throws Unavailable
 */
export async function turnGrants(deps: TurnDeps): Promise<void> {
  const { query, now, logger } = deps;
  const lost = await query<OwnGrant>(`update identity_grants set state = 'lost' where state = 'turning' and turning_since < $1::timestamptz - interval '${TURN_SECONDS_MAX} seconds' returning ${GRANT}`, [now()]);
  for (const grant of lost) {
    await forgetGrantedTokens(deps.vault, grant);
    logger.warn({ source: grant.sourceId, userId: grant.userId }, 'what GitLab gave a person to go on with was not kept: until they sign in again they are not asked by their own token');
  }
  const due = await query<OwnGrant>(`select ${GRANT} from identity_grants g where state = 'good' and expires_at < $1::timestamptz + interval '${BEFORE_MINUTES} minutes' and (next_turn_at is null or next_turn_at <= $1)
    and user_id in (${activePeople('$1')}) and ${mayBeUsed('$1')} order by expires_at limit ${TURNS_MAX}`, [now()]);
  await mapBounded(due, AT_ONCE, (grant) => turnGrant(deps, grant));
}

/** @throws Unavailable when something of ours is away */
export async function turnGrant(deps: TurnDeps, grant: OwnGrant): Promise<void> {
  const { query, vault, now } = deps;
  const client = await deps.clientOf(grant.sourceId);
  if (client === undefined) return;
  const [claimed] = await query(`update identity_grants set state = 'turning', turning_since = $2 where grant_id = $1 and state = 'good' and expires_at < $2::timestamptz + interval '${BEFORE_MINUTES} minutes' returning grant_id`, [grant.grantId, now()]);
  if (claimed === undefined) return;
  const turned = await turn(deps, client, grant);
  if (turned === undefined) return;
  await putGrantedTokens(vault, grant, turned);
  // Also one that was taken for lost meanwhile: nobody else turns it in.
  const kept = await query(`update identity_grants set state = 'good', turning_since = null, next_turn_at = null, expires_at = $2 where grant_id = $1 and state in ('turning', 'lost') returning grant_id`, [grant.grantId, endOf(turned, now())]);
  // Forgotten meanwhile: what came back for it is, too.
  if (kept.length === 0) await forgetGrantedTokens(vault, grant);
}

/** Undefined when there is nothing to keep: what becomes of the grant stands in its row then. */
async function turn(deps: TurnDeps, client: SignInClient, grant: OwnGrant): Promise<OwnTokens | undefined> {
  const { query, vault, now, logger, signInProvider } = deps;
  try {
    // After the claim, never before: what was read then may have been turned in since.
    const tokens = await grantedTokens(vault, grant);
    if (tokens === undefined) throw new SignInFailed('denied', 'its tokens are forgotten');
    return await signInProvider.turn(client, tokens.refreshToken);
  } catch (error) {
    if (error instanceof SignInFailed && error.failure === 'denied') {
      await query(`update identity_grants set state = 'refused', turning_since = null where grant_id = $1 and state = 'turning'`, [grant.grantId]);
      await forgetGrantedTokens(vault, grant);
      logger.info({ source: grant.sourceId, userId: grant.userId }, 'GitLab takes a person\'s token no longer: until they sign in again they are not asked by it');
      return undefined;
    }
    if (!(error instanceof Unavailable) && !(error instanceof SignInFailed)) throw error;
    // Not turned, as far as anybody knows. If it was, GitLab says so the next time.
    await query(`update identity_grants set state = 'good', turning_since = null, next_turn_at = $2 where grant_id = $1 and state = 'turning'`, [grant.grantId, new Date(now().getTime() + RETRY_SECONDS * 1_000)]);
    logger.warn({ source: grant.sourceId, reason: error.message }, 'a person\'s next token waits for GitLab');
    return undefined;
  }
}
