import type { Request, RequestHandler } from 'express';
import { Problem } from './problem.ts';

/** A refused sender gets this long to read why, while what it still sends is thrown away; then the connection is cut. */
const LINGER_MS = 1_000;

/**
 * The body's raw bytes, as `request.body`. Too large is refused as soon as it is seen, not when the last byte is in (which is
 * what express.raw does). @throws Problem 413, 415
 */
export function readRaw({ bytesMax }: { readonly bytesMax: number }): RequestHandler {
  return async (request, response, next) => {
    if ((request.headers['content-encoding'] ?? 'identity') !== 'identity') throw new Problem(415, 'encoded-body', 'Send the body as it is, without Content-Encoding.');
    const pieces: Buffer[] = [];
    let bytes = 0;
    const isTooLarge = await new Promise<boolean>((resolve, reject) => {
      if (Number(request.headers['content-length'] ?? 0) > bytesMax) { resolve(true); return; }
      request.on('data', (piece: Buffer) => {
        bytes += piece.length;
        if (bytes > bytesMax) resolve(true);
        else pieces.push(piece);
      });
      request.once('end', () => resolve(false));
      request.once('error', () => reject(new Problem(400, 'body-cut', 'The connection ended before the body did.')));
    });
    if (isTooLarge) {
      pieces.length = 0;
      letGo(request);
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
