import { createHash } from 'node:crypto';
import type { Response } from 'express';

/**
 * A thing that people decide about, as JSON. Its ETag begins with the revision of its stream, which is what If-Match is
 * compared by; behind it a digest, because the same revision is answered with other bytes when a ref moves.
 */
export function sendTagged(response: Response, revision: number, body: object): void {
  const digest = createHash('sha256').update(JSON.stringify(body)).digest('base64url').slice(0, 16);
  response.setHeader('ETag', `"${revision}.${digest}"`);
  response.json(body);
}
