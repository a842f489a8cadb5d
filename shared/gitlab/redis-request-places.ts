import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisConnection } from '#shared/redis/connection.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { RequestPlaces } from './request-places.ts';
import type { Release } from './slots.ts';

/** A place is held by its name and until when. Those of a process that died come free by themselves. By Redis's clock. */
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`;
/** Only a place that is still held: what ran out meanwhile is somebody else's. */
const KEEP = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for n = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', now + ARGV[1], ARGV[n]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])`;
const GIVE = `redis.call('ZREM', KEYS[1], ARGV[1])`;

/** How long the places of a killed process are missing. Three times what they are kept alive by. */
const HOLD_MS = 6_000;
const KEEP_EVERY_MS = 2_000;
/** All places are taken, by requests of 50 ms and more: who waits asks again, not all in step. At most `placesMax` of a process do. */
const LOOK_AGAIN_MS = 25;

export interface RedisRequestPlacesOptions {
  readonly prefix: string;
  readonly placesMax: number;
  /** This process's own: taken first, so that one without Redis keeps within its bound. */
  readonly own: RequestPlaces;
}

/** Over all processes, first come first served within each. While Redis is away each process has `placesMax` of its own, as without it. */
export function createRedisRequestPlaces(redis: Pick<RedisConnection, 'run'>, { prefix, placesMax, own }: RedisRequestPlacesOptions): RequestPlaces {
  const held = new Map<string, Set<string>>();
  let keeping: NodeJS.Timeout | undefined;

  return {
    async take(gitlab, signal) {
      const release = await own.take(gitlab, signal);
      try {
        const give = await takeShared(`${prefix}places:${gitlab}`, signal);
        return () => { give(); release(); };
      } catch (error) {
        release();
        throw error;
      }
    },
  };

  async function takeShared(key: string, signal: AbortSignal | undefined): Promise<Release> {
    const place = randomUUID();
    try {
      while ((await redis.run(TAKE, [key], [place, placesMax, HOLD_MS])) !== 1) {
        await sleep(LOOK_AGAIN_MS * (0.5 + Math.random()), undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
      }
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      // Perhaps it was taken, and only the answer is missing: then it runs out.
      return () => undefined;
    }
    keep(key, place);
    return () => drop(key, place);
  }

  function keep(key: string, place: string): void {
    held.set(key, (held.get(key) ?? new Set()).add(place));
    keeping ??= setInterval(() => {
      for (const [one, places] of held) void redis.run(KEEP, [one], [HOLD_MS, ...places]).catch(() => undefined);
    }, KEEP_EVERY_MS).unref();
  }

  function drop(key: string, place: string): void {
    const places = held.get(key);
    if (places?.delete(place) !== true) return;
    if (places.size === 0) held.delete(key);
    if (held.size === 0) { clearInterval(keeping); keeping = undefined; }
    void redis.run(GIVE, [key], [place]).catch(() => undefined);
  }
}
