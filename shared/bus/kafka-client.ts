import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Kafka, logLevel, type LogEntry, type SASLOptions } from 'kafkajs';
import type { Logger } from '#shared/runtime/logger.ts';
import { parseKafkaUrl, type KafkaConnection } from '#shared/runtime/parse-kafka-url.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { topicsOf, type KafkaTopics } from './kafka-records.ts';

export interface KafkaClient {
  readonly kafka: Kafka;
  readonly topics: KafkaTopics;
}

export interface KafkaClientOptions {
  /** TEKAI_KAFKA_URL. */
  readonly url: string;
  /** What the brokers' logs and quotas call this process. */
  readonly clientId: string;
  readonly logger: Logger;
}

/** kafkajs gives up after 1 s, which a handshake with TLS and SASL on a busy broker takes. */
const CONNECT_MS_MAX = 5_000;
/** A broker that is silent this long is away. Produce and fetch themselves answer within a second. */
export const REQUEST_MS_MAX = 20_000;
/**
 * kafkajs bounds each request, and is known to wait for ever for one whose connection ended while it was being given up, also when
 * it disconnects. So whatever is asked of it is given up by our own clock: longer than its own tries take with a broker that answers.
 */
const ANSWER_MS_MAX = 60_000;
/** A good-bye is a courtesy: the broker sees the connection go, and others of a group wait for the session to run out. */
const LEAVE_MS_MAX = 10_000;
/** About 5 s in all: a leader that moves. Whoever asked waits longer by itself, and tells that it does. */
const RETRY = { initialRetryTime: 100, multiplier: 2, maxRetryTime: 2_000, retries: 6 };

/** Reads the authority's file, connects nowhere. @throws WrongKafkaUrl; and when the file cannot be read */
export function openKafkaClient({ url, clientId, logger }: KafkaClientOptions): KafkaClient {
  const connection = parseKafkaUrl(url);
  const kafka = new Kafka({
    clientId, brokers: [...connection.brokers], connectionTimeout: CONNECT_MS_MAX, authenticationTimeout: REQUEST_MS_MAX, requestTimeout: REQUEST_MS_MAX, retry: RETRY,
    ...(connection.tls ? { ssl: tlsOf(connection) } : {}),
    ...(connection.sasl === undefined ? {} : { sasl: connection.sasl as SASLOptions }),
    logLevel: logger.isLevelEnabled('trace') ? logLevel.DEBUG : logLevel.INFO,
    logCreator: () => (entry) => tell(logger, entry),
  });
  return { kafka, topics: topicsOf(connection.topics) };
}

function tlsOf({ caFile }: KafkaConnection): true | { ca: Buffer } {
  if (caFile === undefined) return true;
  try {
    return { ca: readFileSync(caFile) };
  } catch (cause) {
    throw new Error(`the authority that the Kafka connection string names cannot be read: ${caFile}`, { cause });
  }
}

/**
 * Quieter than kafkajs means it: it tells an outage at every try as an error, and whoever waits for it tells it once as ours.
 * Messages and a few named fields only: entries carry whatever was at hand.
 */
function tell(logger: Logger, { namespace, level, log: { message, broker, groupId, error } }: LogEntry): void {
  const said = { kafkajs: namespace, broker: broker as unknown, groupId: groupId as unknown, reason: typeof error === 'string' ? error : undefined };
  if (level === logLevel.ERROR) logger.info(said, message);
  else if (level === logLevel.DEBUG) logger.trace(said, message);
  else logger.debug(said, message);
}

/** What comes of `work`, however it was asked. @throws Unavailable when nothing has come of it after `msMax`: whether it was done is not known */
export async function inTime<T>(doing: string, work: Promise<T>, msMax = ANSWER_MS_MAX): Promise<T> {
  const ended = new AbortController();
  const passed = delay(msMax, undefined, { signal: ended.signal }).then((): never => { throw new Unavailable('kafka', `cannot ${doing}: no answer for ${msMax / 1_000} s`); });
  try {
    return await Promise.race([work, passed]);
  } finally {
    ended.abort();
  }
}

/** Disconnects, or leaves that to itself. */
export async function leave(one: { disconnect(): Promise<void> }, msMax = LEAVE_MS_MAX): Promise<void> {
  await inTime('disconnect', one.disconnect(), msMax).catch(() => undefined);
}

/** Whatever kafkajs threw, as the outage that it is to whoever waits. */
export function kafkaAway(doing: string, error: unknown): Unavailable {
  return error instanceof Unavailable ? error : new Unavailable('kafka', `cannot ${doing}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}
