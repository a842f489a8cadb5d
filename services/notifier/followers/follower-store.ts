import { randomBytes, randomUUID } from 'node:crypto';
import type { Pool } from 'pg';
import type { CreateFollower, FollowerAnswer } from '#schemas/api/followers.ts';
import type { Actor } from '#schemas/events/fact.ts';
import { positionOutside } from '#schemas/positions.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import { createQuery } from '#shared/postgres/query.ts';
import { Problem } from '#shared/runtime/problem.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import { placeCursor } from './cursor.ts';
import { followerGone, followerOf, type Follower, type FollowerRow } from './follower-rows.ts';

export interface StoreDeps { readonly pool: Pool; readonly vault: Pick<SecretVault, 'put' | 'delete'>; now(): Date }

/** Each costs a row for every ref that it holds, and a look at all of them for every page. */
const FOLLOWERS_OF_ACTOR_MAX = 1_000;
/** Of somebody who is no system admin: each is a receiver that may be slow, and that others' receivers take turns with. */
const PUBLIC_WEBHOOKS_OF_ACTOR_MAX = 20;

/** `isPublicOnly`: its webhook goes to public addresses only, whatever is allowed for others. */
export type Wish = CreateFollower & { readonly isPublicOnly?: boolean };

export const secretNameOf = (id: string) => `follower/${id}/webhook-secret`;

/** The webhook's secret is given back only here. @throws Problem 409 when the name is taken by another wish. */
export async function createFollower(deps: StoreDeps, actor: Actor, wish: Wish): Promise<{ follower: Follower; isNew: boolean; secret: string | undefined }> {
  const { name, webhook, isPublicOnly = false, ...scope } = wish;
  // Before anything is kept, and once more where it is kept: a flood of wishes that are refused writes nothing.
  const before = await roomFor(deps.pool, actor, wish);
  if (before.isThere) return { follower: await sameWish(deps.pool, actor, wish), isNew: false, secret: undefined };
  if (before.refusal !== undefined) throw before.refusal;
  const id = randomUUID();
  const secret = webhook === undefined ? undefined : `whsec_${randomBytes(32).toString('base64')}`;
  // Before the row that names it: a webhook without its secret could never be sent.
  if (secret !== undefined) await deps.vault.put(secretNameOf(id), secret);
  const forget = async () => { if (secret !== undefined) await deps.vault.delete(secretNameOf(id)); };
  const made = await inTransaction(deps.pool, async (client) => {
    // One wish of an actor after the other: else many at once would all find room for one.
    await client.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`followers of ${actor.kind} ${actor.id}`]);
    const { isThere, refusal } = await roomFor(client, actor, wish);
    if (isThere) return undefined;
    if (refusal !== undefined) return refusal;
    const { rows: [row] } = await client.query<FollowerRow>(
      `insert into followers (follower_id, actor_kind, actor_id, name, scope, created_at) values ($1, $2, $3, $4, $5::json, $6) on conflict do nothing returning *`,
      [id, actor.kind, actor.id, name, JSON.stringify(scope), deps.now().toISOString()]);
    if (row === undefined) return undefined;
    if (webhook === undefined) return followerOf(row);
    await client.query('insert into follower_webhooks (follower_id, url, allow_addresses, is_public_only) values ($1, $2, $3, $4)', [id, webhook.url, webhook.allowAddresses ?? [], isPublicOnly]);
    return followerOf(row);
  }).catch(async (error: unknown) => { await forget(); throw error; });
  if (made !== undefined && !(made instanceof Problem)) return { follower: made, isNew: true, secret };
  await forget();
  if (made !== undefined) throw made;
  return { follower: await sameWish(deps.pool, actor, wish), isNew: false, secret: undefined };
}

/** Whether the actor has a follower of that name, and what stands against one more. */
async function roomFor(pool: Pick<Pool, 'query'>, actor: Actor, { name, webhook, isPublicOnly = false }: Wish): Promise<{ isThere: boolean; refusal: Problem | undefined }> {
  const [has] = await createQuery(pool)<{ followers: string; webhooks: string; named: string }>(
    `select count(*) as followers, count(w.follower_id) as webhooks, count(*) filter (where name = $3) as named
     from followers left join follower_webhooks w using (follower_id) where actor_kind = $1 and actor_id = $2`, [actor.kind, actor.id, name]);
  const refusal = Number(has?.followers) >= FOLLOWERS_OF_ACTOR_MAX ? new Problem(422, 'too-many-followers', `You have ${FOLLOWERS_OF_ACTOR_MAX} followers. Remove one that nobody uses.`)
    : isPublicOnly && webhook !== undefined && Number(has?.webhooks) >= PUBLIC_WEBHOOKS_OF_ACTOR_MAX ? new Problem(422, 'too-many-webhooks', `You have ${PUBLIC_WEBHOOKS_OF_ACTOR_MAX} followers with a webhook. Remove one, or follow by the WebSocket.`)
    : undefined;
  return { isThere: Number(has?.named) > 0, refusal };
}

async function sameWish(pool: Pool, actor: Actor, { name, webhook, isPublicOnly: _isPublicOnly, ...scope }: Wish): Promise<Follower> {
  const follower = await findFollower(pool, actor, name);
  const [hook] = await createQuery(pool)<{ url: string; allowed: string[] }>('select url, allow_addresses as allowed from follower_webhooks where follower_id = $1', [follower.id]);
  if (wishText(follower.given) === wishText(scope) && hook?.url === webhook?.url && (hook?.allowed ?? []).join() === (webhook?.allowAddresses ?? []).join()) return follower;
  throw new Problem(409, 'follower-differs', `There is a follower ${JSON.stringify(name)} already, which follows something else. Take another name, or DELETE /v1/followers/${name} first.`);
}

/** The same wish has the same text, whatever the order of its names. */
const wishText = ({ codebases, project, all, refs }: Follower['given']) => JSON.stringify([codebases === undefined ? null : [...codebases].sort(), project ?? null, all ?? null, refs === undefined ? null : [...refs].sort()]);

/** Of this actor: another's are not there. @throws Problem 404 */
export async function findFollower(pool: Pool, actor: Actor, name: string): Promise<Follower> {
  const [row] = await createQuery(pool)<FollowerRow>('select * from followers where actor_kind = $1 and actor_id = $2 and name = $3', [actor.kind, actor.id, name]);
  if (row === undefined) throw followerGone(name);
  return followerOf(row);
}

export async function listFollowers(pool: Pool, actor: Actor): Promise<Follower[]> {
  return (await createQuery(pool)<FollowerRow>('select * from followers where actor_kind = $1 and actor_id = $2 order by name limit $3', [actor.kind, actor.id, FOLLOWERS_OF_ACTOR_MAX])).map(followerOf);
}

export async function removeFollower({ pool, vault }: StoreDeps, actor: Actor, name: string): Promise<void> {
  const { id } = await findFollower(pool, actor, name);
  await createQuery(pool)('delete from followers where follower_id = $1', [id]);
  await vault.delete(secretNameOf(id));
}

type WebhookRow = { url: string; state: 'active' | 'disabled'; failures: number; last_error: string | null; last_delivered_at: string | null; next_try_at: Date };

/** As it is shown, with how far it lags. */
export async function answerOf(pool: Pool, epoch: string, { id, name, given, createdAt, place, heldPosition, lastAckAt }: Follower): Promise<FollowerAnswer> {
  const query = createQuery(pool);
  const [queued] = await query<{ count: string }>('select count(*) from follower_groups where follower_id = $1', [id]);
  const [hook] = await query<WebhookRow>('select * from follower_webhooks where follower_id = $1', [id]);
  const { codebases, project, all } = given;
  return {
    name, ...(codebases === undefined ? {} : { codebases: [...codebases] }), ...(project === undefined ? {} : { project }), ...(all === undefined ? {} : { all }),
    refs: given.refs === undefined ? null : [...given.refs], createdAt, generation: place.generation,
    position: heldPosition === null ? null : positionOutside(epoch, heldPosition), cursor: placeCursor(epoch, place), queuedGroups: Number(queued?.count ?? 0), lastAckAt,
    webhook: hook === undefined ? null : {
      url: hook.url, state: hook.state === 'active' && hook.failures > 0 ? 'failing' : hook.state, failures: hook.failures, lastError: hook.last_error,
      lastDeliveredAt: hook.last_delivered_at, nextTryAt: hook.next_try_at.toISOString(),
    },
  };
}
