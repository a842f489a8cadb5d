import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Pool } from 'pg';
import { createDiskBlobStore } from '#shared/blobs/disk-blob-store.ts';
import { createLogBus } from '#shared/bus/log-bus.ts';
import { createPostgresGroupStore } from '#shared/bus/postgres-group-store.ts';
import { createGitCliTransport } from '#shared/gitlab/git-cli-transport.ts';
import { createGitbeakerOpener } from '#shared/gitlab/gitbeaker-gitlab.ts';
import { createPostgresEventLog } from '#shared/log/postgres-event-log.ts';
import { createObjectReader } from '#shared/objects/object-reader.ts';
import { createPostgresObjectIndex } from '#shared/objects/postgres-object-index.ts';
import { startEmbeddedPostgres } from '#shared/postgres/embedded-server.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { migrationsDirectory } from '#shared/postgres/migrations-directory.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createQuery } from '#shared/postgres/query.ts';
import { createPostgresReadStore } from '#shared/read-store/postgres-read-store.ts';
import { createTokenAccess, loadOrCreateToken } from '#shared/runtime/access.ts';
import { createHttpDoor, type HttpDoor } from '#shared/runtime/http-door.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { createMetrics, type Metrics } from '#shared/runtime/metrics.ts';
import { createPositionSignal } from '#shared/runtime/position-signal.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import type { Settings } from '#shared/runtime/settings.ts';
import { loadOrCreateKey } from '#shared/secrets/key-file.ts';
import { createPostgresSecretVault, secretKeyIds } from '#shared/secrets/postgres-secret-vault.ts';
import { createPostgresSourceChecks } from '#shared/sources/postgres-source-checks.ts';
import { createPostgresSourceRegistry } from '#shared/sources/postgres-source-registry.ts';
import { start as startFetcher } from './fetcher/service.ts';
import { start as startIngress } from './ingress/service.ts';
import { start as startNotifier } from './notifier/service.ts';
import { start as startProjector } from './projector/service.ts';
import { start as startQueryApi } from './query-api/service.ts';
import { start as startScanner } from './scanner/service.ts';
import { start as startScheduler } from './scheduler/service.ts';
import { start as startStorageWriter } from './storage-writer/service.ts';

/** In the order of the flow: doors first, readers last, for stopping. */
export const SERVICE_NAMES = ['ingress', 'scheduler', 'fetcher', 'scanner', 'storage-writer', 'projector', 'notifier', 'query-api'] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

/** Of the embedded Postgres's 100 connections. The log has its own, so that no slow read keeps an append waiting. */
const CONNECTIONS = { log: 8, work: 12, read: 12 } as const;
/** 1 GiB of webhooks that wait for the log: at 40 a second and 3 kB each, about two hours. */
const SPOOL_BYTES_MAX = 1_073_741_824;
/** Codebases worked on at once. Fetching waits for GitLab; scanning and storing take a core. */
const CONCURRENCY = { fetcher: 8, scanner: 2, 'storage-writer': 2, scheduler: 4 } as const;

export interface Engine {
  readonly door: HttpDoor;
  readonly metrics: Metrics;
  readonly services: Readonly<Record<ServiceName, () => Promise<RunningService>>>;
  /** What must answer for the engine to be ready: the reason when it does not. */
  readonly checks: Readonly<Record<string, () => Promise<void>>>;
  /** Resolves, if ever, when the engine cannot go on. */
  readonly givenUp: Promise<Error>;
  /** Closes what the services stood on. Stop these first. */
  close(): Promise<void>;
}

export interface ComposeOptions { readonly settings: Settings; readonly logger: Logger; readonly signal: AbortSignal }

/** The one file that names adapters. Opens the stores, brings their tables up to date, and says how each service is started. */
export async function compose({ settings, logger, signal }: ComposeOptions): Promise<Engine> {
  const { stateDir } = settings;
  const in_ = (name: string) => path.join(stateDir, name);
  const token = loadOrCreateToken(stateDir);
  const embedded = settings.databaseUrl === undefined ? await startEmbeddedPostgres({ stateDir, logger, signal }) : undefined;
  const url = settings.databaseUrl ?? embedded?.url ?? '';
  try {
    await migrate({ url, owners: MIGRATIONS });
    const pools = {
      log: createPool(url, { connectionsMax: CONNECTIONS.log, applicationName: 'tekai-log' }),
      work: createPool(url, { connectionsMax: CONNECTIONS.work, applicationName: 'tekai-work', statementMsMax: 600_000 }),
      read: createPool(url, { connectionsMax: CONNECTIONS.read, applicationName: 'tekai-read' }),
    };
    const endPools = () => Promise.all(Object.values(pools).map((pool) => pool.end()));
    const { door, metrics, services } = await wire({ settings, logger, pools, token, in_ }).catch(async (error: unknown) => { await endPools(); throw error; });
    return {
      door, metrics, services,
      checks: { database: async () => void (await createQuery(pools.read)('select 1')) },
      givenUp: embedded?.givenUp ?? new Promise(() => undefined),
      async close() {
        await endPools();
        await embedded?.stop();
      },
    };
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

const beside = (folder: string) => migrationsDirectory(new URL(`../${folder}/owner`, import.meta.url).href);
const MIGRATIONS = [
  { name: 'log', directory: beside('shared/log') },
  { name: 'bus', directory: beside('shared/bus') },
  { name: 'objects', directory: beside('shared/objects') },
  { name: 'secrets', directory: beside('shared/secrets') },
  { name: 'ingress', directory: beside('services/ingress') },
  { name: 'fetcher', directory: beside('services/fetcher') },
  { name: 'projector', directory: beside('services/projector') },
  { name: 'notifier', directory: beside('services/notifier') },
];

interface Wiring {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly pools: { readonly log: Pool; readonly work: Pool; readonly read: Pool };
  readonly token: string;
  readonly in_: (name: string) => string;
}

async function wire({ settings, logger, pools, token, in_ }: Wiring): Promise<Pick<Engine, 'door' | 'metrics' | 'services'>> {
  const log = createPostgresEventLog({ pool: pools.log });
  const bus = createLogBus({ log, store: createPostgresGroupStore({ pool: pools.work }), logger, now, sleep });
  const blobs = await createDiskBlobStore({ directory: in_('blobs') });
  const index = createPostgresObjectIndex({ pool: pools.work });
  const key = await loadOrCreateKey(settings.stateDir, { keyIdsInUse: () => secretKeyIds(pools.work) });
  const vault = createPostgresSecretVault({ pool: pools.work, key });
  const sources = createPostgresSourceRegistry({ pool: pools.work, vault });
  const checks = createPostgresSourceChecks({ pool: pools.work });
  const openGitLab = createGitbeakerOpener();
  const transport = createGitCliTransport({ directory: in_('git-caches') });
  const query = createQuery(pools.work);
  const store = createPostgresReadStore({ pool: pools.read });
  const readIndex = createPostgresObjectIndex({ pool: pools.read });
  const reader = createObjectReader({ index: readIndex, blobs });
  const projected = createPositionSignal();
  const door = createHttpDoor({ logger });
  const access = createTokenAccess(token);
  const metrics = createMetrics();
  const { publicUrl } = settings;

  return {
    door, metrics,
    services: {
      ingress: () => startIngress({ log, query, sources, checks, vault, openGitLab, bus, door, access, logger, metrics, now, sleep }, { spoolDirectory: in_('spool'), spoolBytesMax: SPOOL_BYTES_MAX, publicUrl }),
      scheduler: () => startScheduler({ log, sources, checks, openGitLab, publicUrl, bus, logger, now, sleep }, { concurrency: CONCURRENCY.scheduler }),
      fetcher: async () => {
        // What a killed fetcher was packing is of no use to anybody.
        await rm(in_('work'), { recursive: true, force: true });
        return startFetcher({ log, bus, query, sources, openGitLab, transport, index, reader, blobs, workDirectory: in_('work'), now, sleep }, { concurrency: CONCURRENCY.fetcher });
      },
      scanner: () => startScanner({ log, bus, blobs, index, now }, { concurrency: CONCURRENCY.scanner }),
      'storage-writer': () => startStorageWriter({ log, bus, blobs, index, reader, now }, { concurrency: CONCURRENCY['storage-writer'] }),
      projector: () => startProjector({ log, pool: pools.work, projected, logger, sleep }),
      notifier: () => startNotifier({ log, store, query, bus, projected, door, access, logger, now }),
      'query-api': () => startQueryApi({ store, log, index: readIndex, reader, bus, checks, door, access }),
    },
  };
}

const now = () => new Date();
/** Ends early, without complaint, when told to stop. */
const sleep = (ms: number, signal: AbortSignal) => sleepFor(ms, undefined, { signal }).catch(() => undefined);
