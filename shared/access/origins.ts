import type { IncomingHttpHeaders } from 'node:http';
import type { RequestHandler } from 'express';
import { Problem } from '#shared/runtime/problem.ts';
import { routeOf } from './policy.ts';

/** Pages of which origins may open what is told live. */
export interface Origins {
  /** What a browser sends of a page of elsewhere. Programs send no origin, and are not meant. */
  isForeign(headers: IncomingHttpHeaders): boolean;
}

export function createOrigins({ publicUrl, allowed }: { readonly publicUrl: string; readonly allowed: readonly string[] }): Origins {
  const own = new Set([new URL(publicUrl).origin, ...allowed]);
  return { isForeign: ({ origin }) => origin !== undefined && !own.has(origin) };
}

export const ORIGIN_REFUSED = 'origin-not-allowed';

/** Before anybody is asked for: a stream is not for a page of elsewhere, whoever it says it is. Sockets are refused where they come in. */
export function refuseForeignOrigins(origins: Origins): RequestHandler {
  return (request, _response, next) => {
    if (routeOf(request.method, request.path) === 'GET /v1/live' && origins.isForeign(request.headers)) throw new Problem(403, ORIGIN_REFUSED, 'What is told live is not for pages of this origin. TEKAI_ALLOWED_ORIGINS names those that it is for, beside TEKAI_PUBLIC_URL.');
    next();
  };
}
