import type { Request, RequestHandler } from 'express';
import { Problem } from './problem.ts';

/** A refused sender gets this long to read why, while what it still sends is thrown away; then the connection is cut. */
const LINGER_MS = 1_000;

/** Of all bodies together that are being read or worked on: whose they are is known only when they are whole. Ten of the largest, thousands of usual ones. */
const BYTES_IN_HAND_MAX = 256 * 1_048_576;

/**
 * The body's raw bytes, as `request.body`. Too large is refused as soon as it is seen, not when the last byte is in (which is
 * what express.raw does). @throws Problem 413, 415, 503
 */
export function readRaw({ bytesMax, inHandMax = BYTES_IN_HAND_MAX }: { readonly bytesMax: number; readonly inHandMax?: number }): RequestHandler {
  let inHand = 0;
  return async (request, response, next) => {
    if ((request.headers['content-encoding'] ?? 'identity') !== 'identity') throw new Problem(415, 'encoded-body', 'Send the body as it is, without Content-Encoding.');
    const pieces: Buffer[] = [];
    let bytes = 0;
    let counted = 0;
    let isOver = false;
    response.once('close', () => { isOver = true; inHand -= counted; });
    const outcome = await new Promise<'read' | 'tooLarge' | 'tooMuch'>((resolve, reject) => {
      if (Number(request.headers['content-length'] ?? 0) > bytesMax) { resolve('tooLarge'); return; }
      request.on('data', (piece: Buffer) => {
        bytes += piece.length;
        if (isOver) return;
        inHand += piece.length;
        counted += piece.length;
        if (bytes > bytesMax) resolve('tooLarge');
        else if (inHand > inHandMax) resolve('tooMuch');
        else pieces.push(piece);
      });
      request.once('end', () => resolve('read'));
      request.once('error', () => reject(new Problem(400, 'body-cut', 'The connection ended before the body did.')));
    });
    if (outcome !== 'read') {
      pieces.length = 0;
      letGo(request);
      if (outcome === 'tooMuch') throw new Problem(503, 'too-much-at-once', 'More is being sent at once than can be held; nothing was taken. Send it again.', { retryAfterS: 5 });
      throw new Problem(413, 'body-too-large', `The body is larger than ${bytesMax} bytes.`);
    }
    request.body = Buffer.concat(pieces);
    next();
  };
}

function letGo(request: Request): void {
  request.removeAllListeners('data');
  request.resume();
  setTimeout(() => request.socket.destroy(), LINGER_MS).unref();
}
