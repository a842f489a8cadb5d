import path from 'node:path';
import { startKafka } from '../servers/kafka.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import { S3_KEYS, startS3Proxy } from '../servers/s3proxy.ts';
import { accepts, runServer, type RunningServer, type ServerOptions } from '../servers/server.ts';
import { makeBucket } from './make-bucket.ts';

/** What the services stand on: one of each. */
export interface Engines {
  readonly postgres: RunningServer;
  readonly kafka: RunningServer;
  readonly redis: RunningServer;
  readonly s3: RunningServer;
  /** Undefined: one that others run. */
  readonly eventstore: RunningServer | undefined;
}

export interface EnginesOptions {
  readonly directory: string;
  /** As many as ENGINE_PORTS. */
  readonly ports: readonly number[];
  /** Of a real EventStoreDB, to be used instead of the double. */
  readonly eventstoreUrl?: string | undefined;
}

export const ENGINE_PORTS = 7;
const BUCKET = 'tekai';
const DATABASE = 'postgres';

/** All at once. When one of them does not come up, those that did are ended. @throws NotHere where the machine lacks one */
export async function startEngines({ directory, ports, eventstoreUrl }: EnginesOptions): Promise<Engines> {
  const [postgresPort = 0, kafkaPort = 0, controllerPort = 0, redisPort = 0, s3Port = 0, eventstorePort = 0, adminPort = 0] = ports;
  const at = (name: string, port: number) => ({ directory: path.join(directory, name), port });
  const starting = [
    startPostgres(at('postgres', postgresPort)),
    startKafka({ ...at('kafka', kafkaPort), node: { id: 1, controllers: [{ id: 1, port: controllerPort }] } }),
    startRedis(at('redis', redisPort)),
    startS3Proxy(at('s3', s3Port)),
    eventstoreUrl === undefined ? startEventstore({ ...at('eventstore', eventstorePort), adminPort }) : Promise.resolve(undefined),
  ] as const;
  const settled = await Promise.allSettled(starting);
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed !== undefined) {
    await Promise.all(settled.map((one) => (one.status === 'fulfilled' ? one.value : undefined)).map(async (one) => one?.stop()));
    throw failed.reason;
  }
  const [postgres, kafka, redis, s3, eventstore] = await Promise.all(starting);
  await makeBucket(s3.url, BUCKET);
  return { postgres, kafka, redis, s3, eventstore };
}

/** By which services find them. */
export function settingsOf({ postgres, kafka, redis, s3, eventstore }: Engines, eventstoreUrl = ''): Record<string, string> {
  return {
    TEKAI_DATABASE_URL: postgres.url.replace(/\/[^/]*$/, `/${DATABASE}`),
    TEKAI_EVENTSTORE_URL: eventstore?.url ?? eventstoreUrl,
    TEKAI_KAFKA_URL: `kafka://${kafka.url}`,
    TEKAI_REDIS_URL: redis.url,
    TEKAI_BLOBS_URL: `s3://${BUCKET}?endpoint=${s3.url}`,
    TEKAI_BLOBS_ACCESS_KEY: S3_KEYS.accessKey, TEKAI_BLOBS_SECRET_KEY: S3_KEYS.secretKey,
  };
}

export async function stopEngines({ postgres, kafka, redis, s3, eventstore }: Engines): Promise<void> {
  await Promise.all([postgres, kafka, redis, s3, eventstore].map(async (one) => one?.stop()));
}

export interface EventstoreOptions extends ServerOptions { readonly port: number; readonly adminPort: number }

/** The double. A folder that was used before is gone on with; of its ids it has forgotten all. */
export function startEventstore({ directory, port, adminPort }: EventstoreOptions): Promise<RunningServer> {
  const isSource = import.meta.url.endsWith('.ts');
  const program = path.resolve(import.meta.dirname, `../eventstore-double/main.${isSource ? 'ts' : 'js'}`);
  const loader = isSource ? ['--conditions=source', '--import', path.resolve(import.meta.dirname, '../../tests/harness/ts-loader.mjs')] : [];
  return runServer({
    name: 'eventstore-double', port, url: `esdb://127.0.0.1:${port}?tls=false`, command: process.execPath,
    args: [...loader, program, '--port', String(port), '--admin-port', String(adminPort), '--dir', directory],
    isReady: () => accepts(port),
  });
}
