import { readFileSync } from 'node:fs';
import path from 'node:path';
import { addressRange } from '#schemas/addresses.ts';
import { BLOBS_URL_EXAMPLE, parseBlobsUrl, WrongBlobsUrl, type BlobsPlace } from './parse-blobs-url.ts';
import { KAFKA_URL_EXAMPLE, parseKafkaUrl, WrongKafkaUrl } from './parse-kafka-url.ts';
import { parseRedisUrl, REDIS_URL_EXAMPLE, WrongRedisUrl } from './parse-redis-url.ts';

export interface Settings {
  readonly stateDir: string;
  /** Where access token and key of secrets lie: what all processes of one engine share. By default the state folder. */
  readonly keysDir: string;
  readonly port: number;
  readonly internalPort: number;
  /** Where GitLab and people reach us. */
  readonly publicUrl: string;
  /** Addresses and ranges of proxies before us: who asks through them is who they say (X-Forwarded-For). Nobody else is believed. */
  readonly trustedProxies: readonly string[];
  /** Origins of pages, beside that of `publicUrl`, that may open what is told live. */
  readonly allowedOrigins: readonly string[];
  /** Addresses and ranges that are not public, to which URLs of sources and webhooks may lead all the same. This machine's own are allowed by nothing else. */
  readonly allowAddresses: readonly string[];
  /** Undefined: the engine runs a Postgres of its own in the state folder. */
  readonly databaseUrl: string | undefined;
  /** A replica of it, which people read from. Undefined: they read from the database itself. */
  readonly readDatabaseUrl: string | undefined;
  /** Undefined: the log is in the database. Later than at the first start it is set together with `tekai migrate-log`, else refused. */
  readonly eventstoreUrl: string | undefined;
  /** Undefined: blobs lie in the state folder. */
  readonly blobs: BlobsSettings | undefined;
  /** What lets us into the store that blobs are moved to or from. */
  readonly otherBlobs: BlobsCredentials;
  /** Undefined: workers take their work from the log itself. Else the relay fills Kafka from the log. */
  readonly kafkaUrl: string | undefined;
  /** Undefined: each process keeps by itself what several would share. Holds a secret. */
  readonly redisUrl: string | undefined;
  readonly logLevel: LogLevel;
  /** Somewhere takes traces. The rest of OpenTelemetry's own variables its SDK reads by itself. */
  readonly isTraced: boolean;
  readonly polling: PollingSettings;
  /** Of one token, below /v1. */
  readonly apiRequestsPerMinute: number;
}

/** Where blobs lie, and what lets us in. */
export interface BlobsSettings extends BlobsCredentials { readonly place: BlobsPlace }

/** Empty where they are not set. */
export interface BlobsCredentials {
  readonly accessKey: string;
  readonly secretKey: string;
  /** Of a service account of Google. Undefined: what Google's own programs find. */
  readonly keyFile: string | undefined;
}

/** How GitLab is looked at, where hooks are missing or lost. */
export interface PollingSettings {
  /** Sent by the scheduler to one source: looks at refs, and after webhooks. */
  readonly requestsPerMinute: number;
  readonly activeSeconds: number;
  readonly idleSeconds: number;
  /** Of people who let us: how soon it is learnt what they read, by their own token, while they are active. */
  readonly peopleSeconds: number;
  readonly hookCheckSeconds: number;
  readonly hookRetrySeconds: number;
}

/** 2,000 a second: what goes beyond is a loop gone wild, not a reader. */
const REQUESTS_PER_MINUTE_DEFAULT = 120_000;
const REQUESTS_PER_MINUTE_MAX = 100_000_000;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

export interface WrongSetting { readonly variable: string; readonly got: string; readonly wanted: string; readonly example: string }

/** Every wrong value at once: whoever starts the engine mends them in one go. */
export class WrongSettings extends Error {
  override readonly name = 'WrongSettings';
  readonly wrong: readonly WrongSetting[];
  constructor(wrong: readonly WrongSetting[]) {
    super(['The configuration cannot be used:',
      ...wrong.map((w) => `  ${w.variable}=${w.got}\n    wanted: ${w.wanted}\n    for example: ${w.variable}=${w.example}`)].join('\n'));
    this.wrong = wrong;
  }
}

/** What holds a secret may stand in a file instead, which the variable with _FILE behind its name names. */
const SECRET = ['TEKAI_DATABASE_URL', 'TEKAI_READ_DATABASE_URL', 'TEKAI_EVENTSTORE_URL', 'TEKAI_KAFKA_URL', 'TEKAI_REDIS_URL', 'TEKAI_BLOBS_ACCESS_KEY', 'TEKAI_BLOBS_SECRET_KEY', 'TEKAI_BLOBS_OTHER_ACCESS_KEY', 'TEKAI_BLOBS_OTHER_SECRET_KEY'];

/** Every variable there is. */
export const KNOWN_SETTINGS: readonly string[] = ['TEKAI_STATE_DIR', 'TEKAI_KEYS_DIR', 'TEKAI_PORT', 'TEKAI_INTERNAL_PORT', 'TEKAI_PUBLIC_URL', 'TEKAI_TRUSTED_PROXIES', 'TEKAI_ALLOWED_ORIGINS', 'TEKAI_ALLOW_ADDRESSES', 'TEKAI_DATABASE_URL', 'TEKAI_READ_DATABASE_URL', 'TEKAI_EVENTSTORE_URL', 'TEKAI_KAFKA_URL', 'TEKAI_REDIS_URL', 'TEKAI_BLOBS_URL', 'TEKAI_BLOBS_ACCESS_KEY', 'TEKAI_BLOBS_SECRET_KEY', 'TEKAI_BLOBS_KEY_FILE', 'TEKAI_BLOBS_OTHER_ACCESS_KEY', 'TEKAI_BLOBS_OTHER_SECRET_KEY', 'TEKAI_BLOBS_OTHER_KEY_FILE', 'TEKAI_LOG_LEVEL', 'TEKAI_API_REQUESTS_PER_MINUTE',
  'TEKAI_GITLAB_REQUESTS_PER_MINUTE', 'TEKAI_POLL_ACTIVE_SECONDS', 'TEKAI_POLL_IDLE_SECONDS', 'TEKAI_POLL_PEOPLE_SECONDS', 'TEKAI_HOOK_CHECK_SECONDS', 'TEKAI_HOOK_RETRY_SECONDS', 'TEKAI_URL', 'TEKAI_TOKEN', 'TEKAI_GITLAB_TOKEN', 'TEKAI_COMMIT', ...[...SECRET, 'TEKAI_TOKEN', 'TEKAI_GITLAB_TOKEN'].map((name) => `${name}_FILE`)];

/** By the names that OpenTelemetry gave them. */
const TRACES = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] as const;

/**
 * Reads the settings from the environment. Empty means not set.
 * @throws WrongSettings with every wrong value.
 */
export function parseSettings(env: Env): Settings {
  const wrong: WrongSetting[] = [];
  let given = env;
  const refuse = (variable: string, wanted: string, example: string, got = hideCredentials(given[variable] ?? '')) => {
    wrong.push({ variable, got, wanted, example });
    return undefined;
  };
  given = withSecretFiles(env, refuse);
  const text = (name: string) => (given[name] === undefined || given[name] === '' ? undefined : given[name]);

  const portOf = (name: string, fallback: number) => {
    const given = text(name);
    if (given === undefined) return fallback;
    if (/^\d{1,5}$/.test(given) && Number(given) <= 65_535) return Number(given);
    refuse(name, 'a port, 0 to 65535 (0 takes a free one)', String(fallback));
    return fallback;
  };
  const urlOf = (name: string, protocols: readonly string[], example: string) => {
    const given = text(name);
    if (given === undefined) return undefined;
    return URL.canParse(given) && protocols.includes(new URL(given).protocol) ? given : refuse(name, `a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`, example);
  };

  const wholeOf = (name: string, { fallback, most }: { fallback: number; most: number }) => {
    const given = text(name);
    if (given === undefined) return fallback;
    if (/^\d{1,9}$/.test(given) && Number(given) >= 1 && Number(given) <= most) return Number(given);
    refuse(name, `a whole number from 1 to ${most}`, String(fallback));
    return fallback;
  };

  const listOf = (name: string) => (text(name) ?? '').split(',').map((one) => one.trim()).filter((one) => one !== '');

  const rangesOf = (name: string, example: string) => {
    const ranges = listOf(name);
    if (ranges.some((one) => !addressRange.safeParse(one).success)) refuse(name, 'addresses and ranges, separated by commas, not everything (/0)', example);
    return ranges;
  };

  const port = portOf('TEKAI_PORT', 8080);
  const internalPort = portOf('TEKAI_INTERNAL_PORT', 8081);
  if (port === internalPort && port !== 0) refuse('TEKAI_INTERNAL_PORT', 'another port than TEKAI_PORT: health details and metrics are not for the public door', String(port + 1));
  const publicUrl = urlOf('TEKAI_PUBLIC_URL', ['http:', 'https:'], 'https://tekai.example.com');
  const trustedProxies = rangesOf('TEKAI_TRUSTED_PROXIES', '127.0.0.1,10.1.0.0/16');
  const allowedOrigins = listOf('TEKAI_ALLOWED_ORIGINS');
  if (!allowedOrigins.every(isOrigin)) refuse('TEKAI_ALLOWED_ORIGINS', 'origins as browsers send them, separated by commas: https://, a name in lower case, a port that is not the usual one, no slash behind', 'https://pages.example.com,http://127.0.0.1:3000');
  const allowAddresses = rangesOf('TEKAI_ALLOW_ADDRESSES', '127.0.0.0/8,10.1.0.0/16');
  const databaseUrl = urlOf('TEKAI_DATABASE_URL', ['postgres:', 'postgresql:'], 'postgres://tekai:secret@db.example.com:5432/tekai');
  const readDatabaseUrl = urlOf('TEKAI_READ_DATABASE_URL', ['postgres:', 'postgresql:'], 'postgres://tekai:secret@replica.example.com:5432/tekai');
  if (readDatabaseUrl !== undefined && databaseUrl === undefined) refuse('TEKAI_READ_DATABASE_URL', 'to be set together with TEKAI_DATABASE_URL, of which it is a replica', 'postgres://tekai:secret@replica.example.com:5432/tekai');
  // Several hosts with ports are no URL to URL.canParse; the client says what else is wrong.
  const eventstoreUrl = text('TEKAI_EVENTSTORE_URL');
  if (eventstoreUrl !== undefined && !/^esdb(?:\+discover)?:\/\/\S+$/.test(eventstoreUrl)) refuse('TEKAI_EVENTSTORE_URL', 'a connection string that begins with esdb:// or esdb+discover://', 'esdb://tekai:secret@db.example.com:2113?tls=true');
  const blobs = blobsOf({ url: text('TEKAI_BLOBS_URL'), accessKey: text('TEKAI_BLOBS_ACCESS_KEY'), secretKey: text('TEKAI_BLOBS_SECRET_KEY'), keyFile: text('TEKAI_BLOBS_KEY_FILE') }, refuse);
  const otherBlobs = { accessKey: text('TEKAI_BLOBS_OTHER_ACCESS_KEY') ?? '', secretKey: text('TEKAI_BLOBS_OTHER_SECRET_KEY') ?? '', keyFile: text('TEKAI_BLOBS_OTHER_KEY_FILE') };
  const kafkaUrl = text('TEKAI_KAFKA_URL');
  const kafkaFaults = kafkaUrl === undefined ? [] : faultsOfKafkaUrl(kafkaUrl);
  // Not even with its credentials hidden: in what cannot be read, nobody knows where they stand.
  if (kafkaFaults.length > 0) refuse('TEKAI_KAFKA_URL', `a connection string without faults: ${kafkaFaults.join('; ')}`, KAFKA_URL_EXAMPLE, '***');
  const redisUrl = text('TEKAI_REDIS_URL');
  const redisFault = redisUrl === undefined ? undefined : faultOfRedisUrl(redisUrl);
  if (redisFault !== undefined) refuse('TEKAI_REDIS_URL', `an address without faults: ${redisFault}`, REDIS_URL_EXAMPLE, '***');
  const traces = TRACES.map((name) => urlOf(name, ['http:', 'https:'], 'http://collector.example.com:4318')).filter((url) => url !== undefined);
  const logLevel = LOG_LEVELS.find((level) => level === (text('TEKAI_LOG_LEVEL') ?? 'info'))
    ?? (refuse('TEKAI_LOG_LEVEL', `one of ${LOG_LEVELS.join(', ')}`, 'info') ?? 'info');
  const polling = {
    requestsPerMinute: wholeOf('TEKAI_GITLAB_REQUESTS_PER_MINUTE', { fallback: 300, most: 100_000 }),
    activeSeconds: wholeOf('TEKAI_POLL_ACTIVE_SECONDS', { fallback: 60, most: 86_400 }),
    idleSeconds: wholeOf('TEKAI_POLL_IDLE_SECONDS', { fallback: 900, most: 86_400 }),
    peopleSeconds: wholeOf('TEKAI_POLL_PEOPLE_SECONDS', { fallback: 300, most: 86_400 }),
    hookCheckSeconds: wholeOf('TEKAI_HOOK_CHECK_SECONDS', { fallback: 900, most: 86_400 }),
    hookRetrySeconds: wholeOf('TEKAI_HOOK_RETRY_SECONDS', { fallback: 3_600, most: 86_400 }),
  };
  const apiRequestsPerMinute = wholeOf('TEKAI_API_REQUESTS_PER_MINUTE', { fallback: REQUESTS_PER_MINUTE_DEFAULT, most: REQUESTS_PER_MINUTE_MAX });
  // Its value is not shown: a mistyped name may be that of a secret.
  for (const name of Object.keys(env)) {
    if (name.startsWith('TEKAI_') && !KNOWN_SETTINGS.includes(name) && !name.startsWith('TEKAI_TEST_')) refuse(name, `a variable that exists: ${KNOWN_SETTINGS.join(', ')}`, '', '***');
  }
  if (wrong.length > 0) throw new WrongSettings(wrong);
  const stateDir = path.resolve(text('TEKAI_STATE_DIR') ?? '.tekai');
  return { stateDir, keysDir: path.resolve(text('TEKAI_KEYS_DIR') ?? stateDir), port, internalPort, publicUrl: (publicUrl ?? `http://127.0.0.1:${port}`).replace(/\/+$/, ''), trustedProxies, allowedOrigins, allowAddresses, databaseUrl, readDatabaseUrl, eventstoreUrl, kafkaUrl, redisUrl, blobs, otherBlobs, logLevel, isTraced: traces.length > 0 && env['OTEL_SDK_DISABLED']?.toLowerCase() !== 'true', polling, apiRequestsPerMinute };
}

const isOrigin = (one: string) => URL.canParse(one) && /^https?:$/.test(new URL(one).protocol) && new URL(one).origin === one;

type Env = Readonly<Record<string, string | undefined>>;
type Refuse = (variable: string, wanted: string, example: string, got?: string) => undefined;

/** With what the files hold, without the line's end, as if it stood in the variables themselves. */
function withSecretFiles(env: Env, refuse: Refuse): Env {
  const read: Record<string, string> = {};
  for (const name of SECRET) {
    const [variable, file] = [`${name}_FILE`, env[`${name}_FILE`]];
    if (file === undefined || file === '') continue;
    const example = `/run/secrets/${name.toLowerCase().replaceAll('_', '-')}`;
    if (env[name]) { refuse(variable, `to be unset where ${name} is set: one of the two`, example); continue; }
    try {
      read[name] = readFileSync(file, 'utf8').trim();
    } catch (error) {
      refuse(variable, `a file that can be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`, example);
    }
  }
  return { ...env, ...read };
}

interface BlobsTexts { readonly url: string | undefined; readonly accessKey: string | undefined; readonly secretKey: string | undefined; readonly keyFile: string | undefined }

function blobsOf({ url, accessKey, secretKey, keyFile }: BlobsTexts, refuse: Refuse): BlobsSettings | undefined {
  if (url === undefined) return undefined;
  try {
    const place = parseBlobsUrl(url);
    if (place.kind === 's3' && accessKey === undefined) refuse('TEKAI_BLOBS_ACCESS_KEY', 'the access key of the store that TEKAI_BLOBS_URL names', 'tekai-access');
    if (place.kind === 's3' && secretKey === undefined) refuse('TEKAI_BLOBS_SECRET_KEY', 'the secret key of the store that TEKAI_BLOBS_URL names', 'tekai-secret', '***');
    return { place, accessKey: accessKey ?? '', secretKey: secretKey ?? '', keyFile };
  } catch (error) {
    if (!(error instanceof WrongBlobsUrl)) throw error;
    // Whoever wrote credentials into it does not want to read them again.
    return refuse('TEKAI_BLOBS_URL', `an address without faults: ${error.faults.join('; ')}`, BLOBS_URL_EXAMPLE, '***');
  }
}

function faultsOfKafkaUrl(text: string): readonly string[] {
  try {
    parseKafkaUrl(text);
    return [];
  } catch (error) {
    if (error instanceof WrongKafkaUrl) return error.faults;
    throw error;
  }
}

function faultOfRedisUrl(text: string): string | undefined {
  try {
    parseRedisUrl(text);
    return undefined;
  } catch (error) {
    if (error instanceof WrongRedisUrl) return error.message;
    throw error;
  }
}

/** `postgres://user:secret@host` → `postgres://user:***@host`, also in what is no URL, and with an `@` in the password. */
export function hideCredentials(text: string): string {
  return text.replace(/(:\/\/[^:/@\s]*):\S*@/g, '$1:***@').replace(/([?&](?:ssl)?password=)[^&\s]*/gi, '$1***');
}
