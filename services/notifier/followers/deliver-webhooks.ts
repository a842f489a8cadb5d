import { createHash, randomUUID } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import type { FollowerBatch } from '#schemas/api/followers.ts';
import type { Actor } from '#schemas/events/fact.ts';
import { AddressRefused } from '#shared/addresses/address-guard.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import type { PostWebhook } from '#shared/runtime/post-webhook.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import { createTurns } from '../turns.ts';
import { acknowledge } from './acknowledge.ts';
import { parseCursor } from './cursor.ts';
import { nextPage, type Page } from './feed.ts';
import { secretNameOf } from './follower-store.ts';
import { isForEverybody, MAKER_IS_NO_ADMIN, NOT_PUBLIC } from './judge-webhook.ts';
import { hasNews, isChanged, type WaitDeps } from './wait-for-news.ts';
import { dueWebhooks, endLease, holdLease, LeaseLost, leaseWebhook, type Delivered, type DueWebhook, type LeasedWebhook } from './webhook-rows.ts';

export interface DeliverDeps extends WaitDeps {
  readonly vault: Pick<SecretVault, 'get'>;
  readonly logger: Logger;
  readonly post: PostWebhook;
  /** Of who is no system admin: to public addresses only. */
  readonly postPublic: PostWebhook;
  /** Whether somebody is a system admin now, and not disabled. The engine's own token is one for good. @throws Unavailable */
  isSystemAdmin(actor: Actor): Promise<boolean>;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** From 0 to below 1. */
  random(): number;
}

/** Some 300 KB of body. */
const BATCH_ENTRIES_MAX = 1_000;
const DELIVERIES_AT_ONCE = 8;
/** How late a delivery may be that no signal in this process announced. */
const LOOK_AGAIN_MS = 1_000;
/** 1 s, doubled up to 5 min, each with up to half of it added by chance: receivers that come back are not met by all at once. */
const RETRY_MS_FIRST = 1_000;
const RETRY_MS_MAX = 300_000;
const ERROR_CHARS_MAX = 300;

/**
 * Sends to each webhook what its follower is to be told, in order, each batch until it was taken. Batch by batch they take turns:
 * a receiver that is slow, or has much to take, keeps no other waiting. Resolves when told to stop and all that was begun has ended.
 */
export async function deliverWebhooks(deps: DeliverDeps, signal: AbortSignal): Promise<void> {
  const work: Work = { deps, signal, seen: new Map() };
  // Receivers of who is no system admin, and however slow they are, keep those of the others from nothing.
  const [turns, publicTurns] = [createTurns(DELIVERIES_AT_ONCE), createTurns(DELIVERIES_AT_ONCE)];
  const inHand = new Map<string, Promise<void>>();
  const deliverAll = async (one: DueWebhook) => {
    try {
      while (await ((await mayLeadInside(deps, one)) ? turns : publicTurns).take(() => deliverOne(work, one)));
    } catch (error) {
      if (!signal.aborted) deps.logger.warn({ error, follower: one.name }, 'a webhook waits');
    } finally {
      inHand.delete(one.id);
    }
  };
  while (!signal.aborted) {
    try {
      const due = await dueWebhooks(deps.pool);
      for (const id of work.seen.keys()) if (!due.some((one) => one.id === id)) work.seen.delete(id);
      for (const one of due) if (!inHand.has(one.id)) inHand.set(one.id, deliverAll(one));
    } catch (error) {
      if (!signal.aborted) deps.logger.warn({ error }, 'webhooks of followers wait');
    }
    await deps.projected.next(LOOK_AGAIN_MS, signal);
  }
  await Promise.all(inHand.values());
}

interface Work { readonly deps: DeliverDeps; readonly signal: AbortSignal; readonly seen: Map<string, Page['seen']> }

/** One batch. True when it was taken: there may be another. */
async function deliverOne({ deps, signal, seen }: Work, one: DueWebhook): Promise<boolean> {
  const last = seen.get(one.id);
  if (signal.aborted || (last !== undefined && !(await isChanged(deps, one.actor, last)))) return false;
  seen.delete(one.id);
  const leased = await leaseWebhook(deps.pool, one.id, randomUUID());
  if (leased === undefined) return false;
  let outcome: Delivered = { kind: 'nothing' };
  try {
    const page = await nextPage(deps, one.id, { limit: BATCH_ENTRIES_MAX, signal });
    if (hasNews(page)) outcome = await deliverBatch(deps, one, { page, leased, signal });
    else seen.set(one.id, page.seen);
  } catch (error) {
    if (signal.aborted || error instanceof LeaseLost) return false;
    deps.logger.warn({ error, follower: one.name }, 'a webhook could not be delivered');
    outcome = failed(deps, leased, 'what it is to be told cannot be read now');
  } finally {
    await endLease(deps.pool, { id: one.id, lease: leased.lease }, outcome);
  }
  return outcome.kind === 'taken';
}

/** Asked anew for each delivery: who may send inside is who may now, and not only who might when they made it. */
const mayLeadInside = async ({ isSystemAdmin }: DeliverDeps, { isPublicOnly, actor }: Pick<DueWebhook, 'isPublicOnly' | 'actor'>) => !isPublicOnly && isSystemAdmin(actor);

async function deliverBatch(deps: DeliverDeps, { id, name, actor }: DueWebhook, { page, leased, signal }: { page: Page; leased: LeasedWebhook; signal: AbortSignal }): Promise<Delivered> {
  const secret = await deps.vault.get(secretNameOf(id));
  if (secret === undefined) return { kind: 'disabled', error: 'its secret is gone: remove the follower and make it again' };
  const batch: FollowerBatch = { follower: name, attempt: leased.attempt, after: page.after, cursor: page.cursor, entries: [...page.entries] };
  const body = JSON.stringify(batch);
  // The same batch has the same id each time it is sent, as the standard asks.
  const messageId = `msg_${createHash('sha256').update(`${id}\n${page.after}\n${page.cursor}`).digest('hex').slice(0, 32)}`;
  const time = deps.now();
  const headers = {
    'content-type': 'application/json', 'user-agent': 'tekai-webhooks', 'webhook-id': messageId, 'webhook-timestamp': String(Math.floor(time.getTime() / 1_000)),
    'webhook-signature': new Webhook(secret).sign(messageId, time, body),
  };
  const isInside = await mayLeadInside(deps, { isPublicOnly: leased.isPublicOnly, actor });
  if (!isInside && !isForEverybody(leased.url)) return failed(deps, leased, MAKER_IS_NO_ADMIN);
  let status: number;
  try {
    ({ status } = await (isInside ? deps.post(leased.url, { headers, body, allowAddresses: leased.allowAddresses, signal }) : deps.postPublic(leased.url, { headers, body, allowAddresses: [], signal })));
  } catch (error) {
    signal.throwIfAborted();
    if (isInside || !(error instanceof AddressRefused)) return failed(deps, leased, `no answer: ${reasonOf(error)}`);
    return failed(deps, leased, leased.isPublicOnly ? `no answer: ${NOT_PUBLIC}` : MAKER_IS_NO_ADMIN);
  }
  if (status === 410) return { kind: 'disabled', error: 'the receiver answered 410: it wants no more' };
  if (status < 200 || status > 299) return failed(deps, leased, `the receiver answered ${status}`);
  await acknowledge(deps.pool, id, { cursor: parseCursor(deps.epoch, page.cursor), now: deps.now(), mayStill: (client) => holdLease(client, id, leased.lease) });
  return { kind: 'taken', at: time };
}

function failed({ random }: DeliverDeps, { failures }: LeasedWebhook, error: string): Delivered {
  const retryMs = Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** Math.min(failures, 20)) * (1 + random() / 2);
  return { kind: 'failed', error: error.slice(0, ERROR_CHARS_MAX), retryMs };
}

/** Words where there are some: of a receiver with several addresses there is only a code. */
function reasonOf(error: unknown): string {
  const { message, code } = error as { message?: unknown; code?: unknown };
  return String(message || code);
}
