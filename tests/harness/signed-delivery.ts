import { createHmac, randomUUID } from 'node:crypto';

/** The headers by which GitLab 19 shows that a body is its own (Standard Webhooks, version 1). */
export function signedHeaders(signingToken: string, body: string): Record<string, string> {
  const [id, timestamp] = [randomUUID(), String(Math.floor(Date.now() / 1_000))];
  const key = Buffer.from(signingToken.replace(/^whsec_/, ''), 'base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}` };
}
