import type { RedisConnection } from '#shared/redis/connection.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { RequestHolds } from './request-holds.ts';

const HOLD = `if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '', 'PX', ARGV[1]) end`;
const LEFT = `return redis.call('PTTL', KEYS[1])`;

/** Over all processes, by Redis's clock; and in this one's own memory, so that without Redis who was told to wait still does. */
export function createRedisRequestHolds(redis: Pick<RedisConnection, 'run'>, { prefix, own }: { readonly prefix: string; readonly own: RequestHolds }): RequestHolds {
  const keyOf = (whom: string) => `${prefix}hold:${whom}`;

  return {
    async leftMs(whom) {
      const ownMs = await own.leftMs(whom);
      if (ownMs > 0) return ownMs;
      try {
        // Below zero: there is none.
        return Math.max(0, (await redis.run(LEFT, [keyOf(whom)])) as number);
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        return 0;
      }
    },
    hold(whom, ms) {
      own.hold(whom, ms);
      void redis.run(HOLD, [keyOf(whom)], [Math.ceil(ms)]).catch(() => undefined);
    },
  };
}
