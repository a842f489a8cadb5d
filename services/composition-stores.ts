import path from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Pool } from 'pg';
import { createDiskBlobStore } from '#shared/blobs/disk-blob-store.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import type { KafkaClient } from '#shared/bus/kafka-client.ts';
import { createCheckedLog, type CheckedLog } from '#shared/log/checked-log.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { followedLog, mustFollow, type LogKind } from '#shared/log/followed-log.ts';
import { createPostgresEventLog } from '#shared/log/postgres-event-log.ts';
import { migrationsDirectory } from '#shared/postgres/migrations-directory.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { hideCredentials, type Settings } from '#shared/runtime/settings.ts';
import { reachDatabase } from '#shared/postgres/reach-database.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { asUnavailable } from '#shared/postgres/query.ts';
import { advised } from '#shared/runtime/unavailable.ts';

export interface ComposeOptions { readonly settings: Settings; readonly logger: Logger; readonly signal: AbortSignal }

/** Of the embedded Postgres's 100 connections. The log and what comes in have their own, so that no slow read keeps an append or a webhook waiting. */
export const CONNECTIONS = { log: 8, intake: 6, work: 12, read: 12, leases: 1, replay: 4 } as const;
/** What somebody at a door waits for is a few small statements: a database that is silent this long is away, and whoever asked is told so. */
export const ANSWER_MS_MAX = 10_000;
const beside = (folder: string) => migrationsDirectory(new URL(`../${folder}/owner`, import.meta.url).href);
export const MIGRATIONS = [
  { name: 'log', directory: beside('shared/log') },
  { name: 'bus', directory: beside('shared/bus') },
  { name: 'objects', directory: beside('shared/objects') },
  { name: 'secrets', directory: beside('shared/secrets') },
  { name: 'identity', directory: beside('services/identity') },
  { name: 'ingress', directory: beside('services/ingress') },
  { name: 'scheduler', directory: beside('services/scheduler') },
  { name: 'fetcher', directory: beside('services/fetcher') },
  { name: 'projector', directory: beside('services/projector') },
  { name: 'notifier', directory: beside('services/notifier') },
];

export async function openLog({ eventstoreUrl }: Settings, pool: Pool): Promise<EventLog> {
  if (eventstoreUrl === undefined) return createPostgresEventLog({ pool });
  // Its client takes 0.13 s and 24 MB to load: for those only who use it. One a process, for as long as the process lives.
  const { createEventstoredbEventLog } = await import('#shared/log/eventstoredb-event-log.ts');
  return createEventstoredbEventLog({ connectionString: eventstoreUrl });
}

export async function openBlobs({ stateDir, blobs }: Settings): Promise<BlobStore> {
  if (blobs === undefined) return createDiskBlobStore({ directory: path.join(stateDir, 'blobs') });
  // Their clients take 40 MB and 0.15 s to load: for those only who use one.
  const { place, keyFile, ...credentials } = blobs;
  if (place.kind === 'gcs') return (await import('#shared/blobs/gcs-blob-store.ts')).createGcsBlobStore({ place, keyFile, sleep });
  return (await import('#shared/blobs/s3-blob-store.ts')).createS3BlobStore({ place, credentials, sleep });
}

export const logKind = ({ eventstoreUrl }: Settings): LogKind => (eventstoreUrl === undefined ? 'postgres' : 'eventstoredb');

/** No position of another log may meet the tables that follow this one. */
export function checkedLog(settings: Settings, { log, pool }: { readonly log: EventLog; readonly pool: Pool }): CheckedLog {
  const check = async () => mustFollow(pool, { kind: logKind(settings), epoch: await log.epoch().catch((error: unknown) => { throw logAdvised(settings, error); }) });
  return createCheckedLog(log, { check, sleep });
}

export function logAdvised({ eventstoreUrl }: Settings, error: unknown): unknown {
  return eventstoreUrl === undefined ? error : advised(error, `start EventStoreDB at ${hideCredentials(eventstoreUrl)}, open the way to it, or correct TEKAI_EVENTSTORE_URL`);
}

/** Beside the engine: what nobody has started yet is remembered by nobody. */
export async function openFollowedLog(settings: Settings, pool: Pool): Promise<EventLog> {
  const log = await openLog(settings, pool);
  if (await followedLog(pool) !== undefined) await mustFollow(pool, { kind: logKind(settings), epoch: await log.epoch() });
  return log;
}

/** For those only who use it, as with EventStoreDB's client. */
export async function openKafka({ settings: { kafkaUrl }, logger }: Pick<ComposeOptions, 'settings' | 'logger'>): Promise<KafkaClient> {
  if (kafkaUrl === undefined) throw new Error('TEKAI_KAFKA_URL is not set');
  const { openKafkaClient } = await import('#shared/bus/kafka-client.ts');
  return openKafkaClient({ url: kafkaUrl, clientId: 'tekai', logger });
}

export const now = () => new Date();
/** Ends early, without complaint, when told to stop. */
export const sleep = (ms: number, signal?: AbortSignal) => sleepFor(ms, undefined, { ...signal && { signal } }).catch(() => undefined);

/** @throws Unavailable | StartRefused */
export async function prepareDatabase(url: string): Promise<void> {
  await reachDatabase(url, { setting: 'TEKAI_DATABASE_URL', isWritten: true });
  await migrate({ url, owners: MIGRATIONS }).catch((error: unknown) => { throw asUnavailable(error); });
}
