import { readFileSync } from 'node:fs';
import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from '#shared/runtime/logger.ts';
import { parseRedisUrl } from '#shared/runtime/parse-redis-url.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';

/** What is in Redis may be gone at any time. Whoever asks has something to do without it. */
export interface RedisConnection {
  /** Runs a script on the server: one round trip, all of it or nothing. @throws Unavailable, at once while Redis is known to be away */
  run(script: string, keys: readonly string[], args?: readonly (string | number)[]): Promise<unknown>;
  /** At most once, to who listens now. Lost while Redis is away. */
  publish(channel: string, text: string): void;
  /** Returns how to stop listening. What is said while the way is cut is not heard. */
  listen(channel: string, listener: (text: string) => void): () => void;
  close(): void;
}

/** In a data centre an answer takes 1 ms. Who waits here is a request at the door: after this it goes on without Redis. */
const COMMAND_MS_MAX = 250;
const CONNECT_MS_MAX = 2_000;
/** A silent one does not say that it has closed: then the connection is cut. */
const DISCONNECT_MS_MAX = 500;
/** Tried for ever; but a Redis that comes back is not met by every process at once, nor looked for in a loop. */
const RECONNECT_MS = 100;
const RECONNECT_MS_MAX = 2_000;
/** At a round trip of 1 ms, a million commands a second: more under way means that it does not keep up. */
const COMMANDS_IN_FLIGHT_MAX = 1_000;
/** A way that was cut without a word is found by the system's probes. */
const KEEP_ALIVE_MS = 10_000;

/**
 * One connection for commands, a second one once somebody listens. Never keeps anybody waiting: nothing is queued while
 * it is away, nothing is sent twice, and the first command that is not answered in time drops the connection, so that a
 * Redis that is silent costs that wait once. @throws WrongRedisUrl; and when the authority's file cannot be read
 */
export function openRedis(url: string, { logger }: { readonly logger: Pick<Logger, 'info' | 'warn'> }): RedisConnection {
  const { host, port, username, password, database, tls, caFile } = parseRedisUrl(url);
  const options: RedisOptions = {
    host, port, db: database, ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }),
    commandTimeout: COMMAND_MS_MAX, disconnectTimeout: DISCONNECT_MS_MAX, connectTimeout: CONNECT_MS_MAX, keepAlive: KEEP_ALIVE_MS,
    enableOfflineQueue: false, maxRetriesPerRequest: 0, autoResendUnfulfilledCommands: false, autoResubscribe: false,
    retryStrategy: (tries) => Math.min(RECONNECT_MS_MAX, RECONNECT_MS * tries),
    ...(tls ? { tls: caFile === undefined ? {} : { ca: authorityOf(caFile) } } : {}),
  };
  const outage = tellOutages(logger);
  const redis = watched(new Redis(options));
  const listeners = new Map<string, Set<(text: string) => void>>();
  let ear: Redis | undefined;
  let inFlight = 0;
  let isClosed = false;
  let isDropped = false;
  redis.on('close', () => { isDropped = false; });

  return {
    async run(script, keys, args = []) {
      if (redis.status !== 'ready') throw new Unavailable('redis', 'away');
      if (inFlight >= COMMANDS_IN_FLIGHT_MAX) throw new Unavailable('redis', `${COMMANDS_IN_FLIGHT_MAX} commands wait for an answer`);
      inFlight += 1;
      try {
        return await redis.eval(script, keys.length, ...keys, ...args);
      } catch (error) {
        // No cause attached: an error of ioredis carries the command and its arguments.
        throw new Unavailable('redis', troubleOf(error));
      } finally {
        inFlight -= 1;
      }
    },

    publish(channel, text) {
      if (redis.status !== 'ready' || inFlight >= COMMANDS_IN_FLIGHT_MAX) return;
      inFlight += 1;
      void redis.publish(channel, text).catch(troubleOf).finally(() => { inFlight -= 1; });
    },

    listen(channel, listener) {
      ear ??= listening();
      const known = listeners.get(channel);
      listeners.set(channel, (known ?? new Set()).add(listener));
      if (known === undefined && ear.status === 'ready') hear(ear, channel);
      return () => {
        const those = listeners.get(channel);
        those?.delete(listener);
        if (those?.size !== 0) return;
        listeners.delete(channel);
        if (ear?.status === 'ready') void ear.unsubscribe(channel).catch(() => undefined);
      };
    },

    close() {
      isClosed = true;
      redis.disconnect();
      ear?.disconnect();
    },
  };

  function watched(client: Redis): Redis {
    client.on('error', (error: Error) => outage.away(error.message));
    client.on('close', () => { if (!isClosed) outage.away('the connection was closed'); });
    client.on('ready', () => outage.back());
    return client;
  }

  function listening(): Redis {
    const client = watched(new Redis(options));
    // By ourselves, after each connecting: ioredis would wait for a subscription that was lost with the connection before.
    client.on('ready', () => { for (const channel of listeners.keys()) hear(client, channel); });
    client.on('message', (channel: string, text: string) => { for (const listener of listeners.get(channel) ?? []) listener(text); });
    return client;
  }

  function hear(client: Redis, channel: string): void {
    void client.subscribe(channel).catch(() => client.disconnect(true));
  }

  function troubleOf(error: unknown): string {
    const { message } = error as Error;
    if (message !== 'Command timed out') return message;
    // What else is under way there would wait as long: it fails now, and what comes fails at once until Redis answers again.
    outage.away(`no answer within ${COMMAND_MS_MAX} ms`);
    // Once: until the system has closed it, ioredis would ask it again for each command that fails.
    if (!isDropped) redis.disconnect(true);
    isDropped = true;
    return `no answer within ${COMMAND_MS_MAX} ms`;
  }
}

function authorityOf(caFile: string): Buffer {
  try {
    return readFileSync(caFile);
  } catch (cause) {
    throw new Error(`the authority that TEKAI_REDIS_URL names cannot be read: ${caFile}`, { cause });
  }
}

/** Told once when it begins, once when it ends. */
function tellOutages(logger: Pick<Logger, 'info' | 'warn'>) {
  let isAway = false;
  return {
    away(reason: string) {
      if (!isAway) logger.warn({ reason }, 'Redis is away: each process goes by itself until it is back');
      isAway = true;
    },
    back() {
      if (isAway) logger.info('Redis is back');
      isAway = false;
    },
  };
}
