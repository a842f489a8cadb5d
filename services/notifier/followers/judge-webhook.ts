import type { CreateFollower } from '#schemas/api/followers.ts';
import { AddressRefused, type AddressGuard } from '#shared/addresses/address-guard.ts';
import { mustBePrivate } from '#shared/addresses/must-be-private.ts';
import type { Principal } from '#shared/runtime/access.ts';
import { Problem } from '#shared/runtime/problem.ts';

/** Where webhooks may lead: a system admin's as whoever started the engine allows, everybody else's to public addresses only. */
export interface WebhookGuards { readonly addresses: AddressGuard; readonly publicAddresses: AddressGuard }

/** For who is no system admin: at which address of ours a name stands is not theirs to ask. */
export const NOT_PUBLIC = 'Its host is at no public address. Others are for a system admin to allow.';

/** To who was one when they made it: what becomes of it, and the ways out. */
export const MAKER_IS_NO_ADMIN = 'Its maker is no system admin any more, so it goes to https:// at its usual port and to public addresses only. Once they are one again it goes on within five minutes; else a system admin makes a follower of their own.';

/** Where a webhook of who is no system admin may lead, by its URL alone. What comes of a try is shown to its maker: it is none of other ports, nor readable on the way. */
export function isForEverybody(url: string): boolean {
  const { protocol, port } = new URL(url);
  return protocol === 'https:' && port === '';
}

/** What its maker is told at once; each delivery is judged again. A name that is not known yet is taken: its receiver may be on its way. @throws Problem 403, 422 */
export async function judgeWebhook(guards: WebhookGuards, { webhook }: CreateFollower, { isSystemAdmin }: Principal): Promise<void> {
  if (webhook === undefined) return;
  const { url, allowAddresses = [] } = webhook;
  mustBePrivate(allowAddresses, '/webhook/allowAddresses');
  if (allowAddresses.length > 0 && !isSystemAdmin) throw new Problem(403, 'not-allowed', 'That a webhook goes to private addresses is for a system admin to allow.');
  if (!isSystemAdmin && !isForEverybody(url)) throw wrongUrl('Your webhook goes to https:// and its usual port. Others are for a system admin.');
  try {
    await (isSystemAdmin ? guards.addresses : guards.publicAddresses).addressesOf(new URL(url).hostname, allowAddresses);
  } catch (error) {
    if (error instanceof AddressRefused) throw wrongUrl(isSystemAdmin ? error.message : NOT_PUBLIC);
  }
}

const wrongUrl = (detail: string) => new Problem(422, 'address-not-allowed', detail, { errors: [{ pointer: '/webhook/url', detail: 'address-not-allowed' }] });
