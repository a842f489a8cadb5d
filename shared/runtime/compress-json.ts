import compression from 'compression';
import type { RequestHandler, Response } from 'express';

const CODED = /^(W\/)?"(.*)-(gzip|br|deflate)"$/;

/**
 * Compresses whole JSON answers. Never content of repositories (its length and its ranges are of its own bytes), and nothing that
 * is told piece by piece: a compressor would hold back what has to arrive.
 *
 * A strong tag names bytes, and compressed they are others: `"x"` becomes `"x-br"`. What comes back in If-None-Match and If-Match
 * is given to the handlers as they know it, and a 304 names the very tag that the client has.
 */
export function compressJson(): RequestHandler {
  const compress = compression({ filter: (_request, response) => isWholeJson(response as Response) }) as unknown as RequestHandler;

  return (request, response, next) => {
    const theirs = request.headers['if-none-match'];
    for (const name of ['if-none-match', 'if-match'] as const) {
      const tags = request.headers[name];
      if (tags !== undefined) request.headers[name] = tags.split(',').map((tag) => tag.trim().replace(CODED, '$1"$2"')).join(', ');
    }
    // Under the compressor's own: called when it has decided, before the head goes out.
    const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => Response;
    response.writeHead = ((...args: unknown[]) => {
      const tag = response.getHeader('ETag');
      if (typeof tag === 'string') response.setHeader('ETag', response.statusCode === 304 ? tagSent(tag, theirs) : codedTag(tag, response.getHeader('Content-Encoding')));
      return writeHead(...args);
    }) as typeof response.writeHead;
    compress(request, response, next);
  };
}

function isWholeJson(response: Response): boolean {
  if (response.hasHeader('Content-Range') || response.hasHeader('Accept-Ranges') || response.hasHeader('X-Tekai-Entry')) return false;
  return /^application\/(?:problem\+)?json\b/.test(String(response.getHeader('Content-Type') ?? ''));
}

function codedTag(tag: string, coding: unknown): string {
  return typeof coding === 'string' && coding !== 'identity' && tag.startsWith('"') && !CODED.test(tag) ? `${tag.slice(0, -1)}-${coding}"` : tag;
}

/** The tag of this content as the client named it. */
function tagSent(tag: string, theirs: string | undefined): string {
  return theirs?.split(',').map((one) => one.trim()).find((one) => one === tag || one.replace(CODED, '$1"$2"') === tag) ?? tag;
}
