import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { WebhookSecrets } from '#shared/sources/source-directory.ts';

/** What Standard Webhooks recommends; GitLab itself fixes none. */
const TIMESTAMP_SKEW_S_MAX = 300;

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

export type Verdict =
  | { readonly kind: 'authentic'; readonly isSigned: boolean }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Whether a delivery was sent by somebody who knows the source's secrets. A signature decides where there is one and the
 * source has signing secrets; else the plain token. Works on the raw bytes: GitLab's JSON can hold escapes that
 * re-serialising loses.
 */
export function verifyDelivery(request: { headers: Headers; body: Buffer; secrets: WebhookSecrets; now: Date }): Verdict {
  const { headers, secrets } = request;
  const signature = one(headers['webhook-signature']);
  if (signature !== undefined && secrets.signingTokens.length > 0) return verifySignature(request, signature);
  const token = one(headers['x-gitlab-token']);
  if (token === undefined) return refused('neither webhook-signature nor X-Gitlab-Token');
  return secrets.tokens.some((secret) => isSame(token, secret)) ? { kind: 'authentic', isSigned: false } : refused('X-Gitlab-Token is not the secret');
}

function verifySignature({ headers, body, secrets, now }: { headers: Headers; body: Buffer; secrets: WebhookSecrets; now: Date }, signature: string): Verdict {
  const id = one(headers['webhook-id']);
  const timestamp = one(headers['webhook-timestamp']);
  if (id === undefined || timestamp === undefined || !/^\d{1,12}$/.test(timestamp)) return refused('webhook-id or webhook-timestamp is missing or malformed');
  if (Math.abs(now.getTime() / 1_000 - Number(timestamp)) > TIMESTAMP_SKEW_S_MAX) return refused('webhook-timestamp is too old or too new');
  const given = signature.split(' ').filter((entry) => entry.startsWith('v1,')).map((entry) => entry.slice(3));
  const wanted = secrets.signingTokens.map((secret) =>
    createHmac('sha256', Buffer.from(secret.replace(/^whsec_/, ''), 'base64')).update(`${id}.${timestamp}.`).update(body).digest('base64'));
  // Every pair is compared: nothing is told by time about which one failed.
  const matches = given.flatMap((one) => wanted.map((other) => isSame(one, other)));
  return matches.includes(true) ? { kind: 'authentic', isSigned: true } : refused('webhook-signature does not match');
}

const refused = (reason: string): Verdict => ({ kind: 'refused', reason });
const one = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value);

/** Of digests, so that lengths never differ and nothing is told by time. */
function isSame(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
}
