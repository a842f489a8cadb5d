import { randomUUID } from 'node:crypto';
import type { RedisConnection } from '#shared/redis/connection.ts';
import type { Progress } from './bus.ts';
import { createLocalProgressChannel } from './local-progress-channel.ts';
import type { ProgressChannel } from './progress-channel.ts';

/** The same as Postgres takes: only a very long name of a ref gets there. */
const PAYLOAD_BYTES_MAX = 7_900;

/** By pub/sub to other processes, at most once; and straight to listeners in this one, also while Redis is away. */
export function createRedisProgressChannel(redis: Pick<RedisConnection, 'publish' | 'listen'>, { prefix }: { readonly prefix: string }): ProgressChannel {
  const here = createLocalProgressChannel();
  const sender = randomUUID();
  // The number of a database does not divide pub/sub: two engines on one Redis are told apart by the prefix.
  const channel = `${prefix}progress`;

  return {
    tell(progress) {
      here.tell(progress);
      const payload = JSON.stringify({ sender, progress });
      if (Buffer.byteLength(payload) <= PAYLOAD_BYTES_MAX) redis.publish(channel, payload);
    },

    listen(listener) {
      const unlisten = here.listen(listener);
      const letGo = redis.listen(channel, (payload) => {
        const told = JSON.parse(payload) as { sender: string; progress: Progress };
        if (told.sender !== sender) listener(told.progress);
      });
      return () => { unlisten(); letGo(); };
    },
  };
}
