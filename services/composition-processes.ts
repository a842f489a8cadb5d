import type { Pool } from 'pg';
import { createPostgresProgressChannel } from '#shared/bus/postgres-progress-channel.ts';
import type { ProgressChannel } from '#shared/bus/progress-channel.ts';
import { REQUESTS_IN_FLIGHT_MAX } from '#shared/gitlab/gitbeaker-gitlab.ts';
import { createMemoryRequestHolds } from '#shared/gitlab/memory-request-holds.ts';
import type { RequestHolds } from '#shared/gitlab/request-holds.ts';
import type { RequestPlaces } from '#shared/gitlab/request-places.ts';
import { createKeyedSlots } from '#shared/gitlab/slots.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { createMemoryRequestCounts } from '#shared/runtime/memory-request-counts.ts';
import type { RequestCounts } from '#shared/runtime/request-counts.ts';
import type { Settings } from '#shared/runtime/settings.ts';

/** What the processes of one engine have in common beside its stores. Nothing of it is missed when it is gone. */
export interface SharedParts {
  readonly progress: ProgressChannel;
  /** Undefined: each process by itself. */
  readonly places: RequestPlaces | undefined;
  readonly holds: RequestHolds;
  readonly counts: RequestCounts | undefined;
  close(): void;
}

interface SharedDeps {
  readonly settings: Settings;
  readonly pool: Pool;
  readonly logger: Logger;
  /** The same in all of its processes, and no other engine's: several may use one Redis. */
  readonly engineId: string;
}

/** Over Redis where there is one. Nobody waits for it: not here, and not later. */
export async function openShared({ settings: { redisUrl }, pool, logger, engineId }: SharedDeps): Promise<SharedParts> {
  if (redisUrl === undefined) return { progress: createPostgresProgressChannel(pool), places: undefined, holds: createMemoryRequestHolds(), counts: undefined, close: () => undefined };
  // For those only who use it, as with the clients of other stores.
  const [{ openRedis }, { createRedisProgressChannel }, { createRedisRequestPlaces }, { createRedisRequestHolds }, { createRedisRequestCounts }] = await Promise.all([
    import('#shared/redis/connection.ts'), import('#shared/bus/redis-progress-channel.ts'), import('#shared/gitlab/redis-request-places.ts'), import('#shared/gitlab/redis-request-holds.ts'),
    import('#shared/runtime/redis-request-counts.ts')]);
  const redis = openRedis(redisUrl, { logger });
  const prefix = `tekai:${engineId}:`;
  return {
    progress: createRedisProgressChannel(redis, { prefix }),
    places: createRedisRequestPlaces(redis, { prefix, placesMax: REQUESTS_IN_FLIGHT_MAX, own: createKeyedSlots(REQUESTS_IN_FLIGHT_MAX) }),
    holds: createRedisRequestHolds(redis, { prefix, own: createMemoryRequestHolds() }),
    counts: createRedisRequestCounts(redis, { prefix, fallback: createMemoryRequestCounts() }),
    close: redis.close,
  };
}
