import type { Request, RequestHandler } from 'express';
import { ipKeyGenerator, rateLimit, type Store } from 'express-rate-limit';
import { principalOf } from './access.ts';
import { Problem } from './problem.ts';
import type { RequestCounts } from './request-counts.ts';

const WINDOW_MS = 60_000;

export interface RequestLimits {
  readonly perMinute: number;
  /** Undefined: those that this process answers. */
  readonly counts?: RequestCounts | undefined;
}

/**
 * Behind `identify`. So many requests a minute of one token below `/v1`; of who has none that we know, by address. Answers say what is left in
 * `RateLimit` (draft 8). Webhooks and health are never limited: a delivery that is refused is a lost push.
 */
export function limitRequests({ perMinute, counts }: RequestLimits): RequestHandler {
  const limit = rateLimit({
    windowMs: WINDOW_MS, limit: perMinute, standardHeaders: 'draft-8', legacyHeaders: false, identifier: 'api',
    ...(counts === undefined ? {} : { store: storeOf(counts) }),
    // They write warnings to the console, about proxies that we do not trust anyway.
    validate: false,
    keyGenerator: (request, response) => {
      const actor = principalOf(response)?.actor;
      // Only of who is known: made-up tokens would fill the memory, and pass.
      return actor === undefined ? addressOf(request) : `${actor.kind} ${actor.id}`;
    },
    handler: (_request, response, next) => {
      const retryAfterS = Number(response.getHeader('Retry-After') ?? WINDOW_MS / 1_000);
      next(new Problem(429, 'quota-exceeded', `More than ${perMinute} requests within a minute. Ask again in ${retryAfterS} s, or have TEKAI_API_REQUESTS_PER_MINUTE raised.`, { retryAfterS }));
    },
  });
  return (request, response, next) => (/^\/v1(?:\/|$)/i.test(request.path) ? limit(request, response, next) : next());
}

/** By whom requests of nobody we know are counted: an address, of IPv6 the network that one client has all of (/56). */
export const addressOf = (request: Request) => `address ${networkOf(request)}`;

/** Empty of who has hung up. */
export const networkOf = (request: Request) => (request.ip === undefined ? '' : ipKeyGenerator(request.ip));

/** They take back no request and reset no key: what they ask of a store beside counting is never called. */
function storeOf(counts: RequestCounts): Store {
  return {
    async increment(key) {
      const { count, endsAt } = await counts.count(key, WINDOW_MS);
      return { totalHits: count, resetTime: endsAt };
    },
    decrement: () => undefined,
    resetKey: () => undefined,
  };
}
