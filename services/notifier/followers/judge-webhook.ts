import type { CreateFollower } from '#schemas/api/followers.ts';
import { AddressRefused, type AddressGuard } from '#shared/addresses/address-guard.ts';
import { mustBePrivate } from '#shared/addresses/must-be-private.ts';
import type { Principal } from '#shared/runtime/access.ts';
import { Problem } from '#shared/runtime/problem.ts';

/** What its maker is told at once; each delivery is judged again. A name that is not known yet is taken: its receiver may be on its way. @throws Problem 403, 422 */
export async function judgeWebhook(guard: AddressGuard, { webhook }: CreateFollower, { isSystemAdmin }: Principal): Promise<void> {
  if (webhook === undefined) return;
  const { url, allowAddresses = [] } = webhook;
  mustBePrivate(allowAddresses, '/webhook/allowAddresses');
  if (allowAddresses.length > 0 && !isSystemAdmin) throw new Problem(403, 'not-allowed', 'That a webhook goes to private addresses is for a system admin to allow.');
  try {
    await guard.addressesOf(new URL(url).hostname, allowAddresses);
  } catch (error) {
    if (error instanceof AddressRefused) throw new Problem(422, 'address-not-allowed', error.message, { errors: [{ pointer: '/webhook/url', detail: 'address-not-allowed' }] });
  }
}
