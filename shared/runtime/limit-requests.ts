import type { RequestHandler } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import { bearerOf, type Access } from './access.ts';
import { Problem } from './problem.ts';

const WINDOW_MS = 60_000;

/**
 * So many requests a minute of one token below `/v1`; of who has none that we know, by address. Answers say what is left in
 * `RateLimit` (draft 8). Webhooks and health are never limited: a delivery that is refused is a lost push.
 */
export function limitRequests({ access, perMinute }: { readonly access: Access; readonly perMinute: number }): RequestHandler {
  const limit = rateLimit({
    windowMs: WINDOW_MS, limit: perMinute, standardHeaders: 'draft-8', legacyHeaders: false, identifier: 'api',
    // They write warnings to the console, about proxies that we do not trust anyway.
    validate: false,
    keyGenerator: (request) => {
      const token = bearerOf(request.headers.authorization);
      const actor = token === undefined ? undefined : access.actorOf(token);
      // Only of who is known: made-up tokens would fill the memory, and pass.
      return actor === undefined ? `address ${ipKeyGenerator(request.ip ?? '')}` : `${actor.kind} ${actor.id}`;
    },
    handler: (_request, response, next) => {
      const retryAfterS = Number(response.getHeader('Retry-After') ?? WINDOW_MS / 1_000);
      next(new Problem(429, 'quota-exceeded', `More than ${perMinute} requests within a minute. Ask again in ${retryAfterS} s, or have TEKAI_API_REQUESTS_PER_MINUTE raised.`, { retryAfterS }));
    },
  });
  return (request, response, next) => (/^\/v1(?:\/|$)/i.test(request.path) ? limit(request, response, next) : next());
}
