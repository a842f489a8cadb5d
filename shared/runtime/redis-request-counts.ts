import type { RedisConnection } from '#shared/redis/connection.ts';
import type { RequestCounts } from './request-counts.ts';
import { Unavailable } from './unavailable.ts';

/** By Redis's clock, so that all processes agree on where a window ends. */
const COUNT = `
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return { count, redis.call('PTTL', KEYS[1]) }`;

/** Over all processes; by `fallback`, which is this process's own, while Redis is away. */
export function createRedisRequestCounts(redis: Pick<RedisConnection, 'run'>, { prefix, fallback }: { readonly prefix: string; readonly fallback: RequestCounts }): RequestCounts {
  return {
    async count(key, windowMs) {
      try {
        const [count, leftMs] = (await redis.run(COUNT, [`${prefix}requests:${key}`], [windowMs])) as [number, number];
        return { count, endsAt: new Date(Date.now() + Math.max(0, leftMs)) };
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        return fallback.count(key, windowMs);
      }
    },
  };
}
