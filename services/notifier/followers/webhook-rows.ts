import type { Pool, PoolClient } from 'pg';
import type { Actor } from '#schemas/events/fact.ts';
import { createQuery } from '#shared/postgres/query.ts';

/** Longer than a page takes to be made and the receiver to answer: who dies is followed by another after this. */
const LEASE_S = 90;
export interface DueWebhook { readonly id: string; readonly name: string; readonly actor: Actor; readonly isPublicOnly: boolean }
export interface LeasedWebhook { readonly url: string; readonly allowAddresses: readonly string[]; readonly isPublicOnly: boolean; readonly failures: number; readonly attempt: number; readonly lease: string }

/** All of them: who has nothing to be told is due too, and would keep a place of a part for good. How many there are is bounded where they are made. */
export async function dueWebhooks(pool: Pool): Promise<DueWebhook[]> {
  const rows = await createQuery(pool)<{ id: string; name: string; kind: Actor['kind']; actor: string; is_public_only: boolean }>(
    `select follower_id as id, name, actor_kind as kind, actor_id as actor, is_public_only from follower_webhooks join followers using (follower_id)
     where state = 'active' and next_try_at <= now() and (lease is null or lease_until < now()) order by next_try_at`);
  return rows.map(({ id, name, kind, actor, is_public_only: isPublicOnly }) => ({ id, name, actor: { kind, id: actor }, isPublicOnly }));
}

/** One worker at a time. Undefined when another has it, or it is not due any more. */
export async function leaseWebhook(pool: Pool, id: string, lease: string): Promise<LeasedWebhook | undefined> {
  const [row] = await createQuery(pool)<{ url: string; allowed: string[]; is_public_only: boolean; failures: number; attempts: string }>(
    `update follower_webhooks set lease = $2, attempts = attempts + 1, lease_until = now() + make_interval(secs => $3)
     where follower_id = $1 and state = 'active' and next_try_at <= now() and (lease is null or lease_until < now()) returning url, allow_addresses as allowed, is_public_only, failures, attempts`, [id, lease, LEASE_S]);
  return row === undefined ? undefined : { url: row.url, allowAddresses: row.allowed, isPublicOnly: row.is_public_only, failures: row.failures, attempt: Number(row.attempts), lease };
}

/** @throws LeaseLost when somebody else delivers by now: what this one was answered must not count. */
export async function holdLease(client: PoolClient, id: string, lease: string): Promise<void> {
  const { rowCount } = await client.query('select from follower_webhooks where follower_id = $1 and lease = $2 for update', [id, lease]);
  if (rowCount !== 1) throw new LeaseLost(`another worker delivers to follower ${id} by now`);
}

export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

export type Delivered =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'taken'; readonly at: Date }
  | { readonly kind: 'failed'; readonly error: string; readonly retryMs: number }
  | { readonly kind: 'disabled'; readonly error: string };

/** Gives the lease back, with what became of it. A zombie changes nothing. */
export async function endLease(pool: Pool, { id, lease }: { id: string; lease: string }, outcome: Delivered): Promise<void> {
  const query = createQuery(pool);
  const mine = 'where follower_id = $1 and lease = $2';
  switch (outcome.kind) {
    case 'nothing': await query(`update follower_webhooks set lease = null ${mine}`, [id, lease]); return;
    case 'taken': await query(`update follower_webhooks set lease = null, failures = 0, last_error = null, last_delivered_at = $3 ${mine}`, [id, lease, outcome.at.toISOString()]); return;
    case 'failed': await query(`update follower_webhooks set lease = null, failures = failures + 1, last_error = $3, next_try_at = now() + make_interval(secs => $4) ${mine}`, [id, lease, outcome.error, outcome.retryMs / 1_000]); return;
    case 'disabled': await query(`update follower_webhooks set lease = null, failures = failures + 1, last_error = $3, state = 'disabled' ${mine}`, [id, lease, outcome.error]); return;
    default: outcome satisfies never;
  }
}

/** Tries again at once, also when it was disabled. False when there is no webhook. */
export async function redeliver(pool: Pool, id: string): Promise<boolean> {
  const rows = await createQuery(pool)(`update follower_webhooks set state = 'active', failures = 0, next_try_at = now() where follower_id = $1 returning follower_id`, [id]);
  return rows.length > 0;
}
