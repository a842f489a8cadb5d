import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import type { Pool } from 'pg';
import type { CodebaseId } from '#schemas/brand.ts';
import type { Actor } from '#schemas/events/fact.ts';
import { guard } from '#shared/access/guard.ts';
import { createOrigins, refuseForeignOrigins } from '#shared/access/origins.ts';
import { readableOf } from '#shared/access/reading.ts';
import { createAddressGuard } from '#shared/addresses/address-guard.ts';
import { createAuditNotes, type AuditNotes } from '#shared/audit/audit-notes.ts';
import { createNoteRefusal } from '#shared/audit/note-refusals.ts';
import { noteRequests } from '#shared/audit/note-requests.ts';
import { createPostgresAuditEntries } from '#shared/audit/postgres-audit-entries.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import { partName, sweepParts } from '#shared/blobs/disk-parts.ts';
import type { Bus } from '#shared/bus/bus.ts';
import { createLogBus, type LogBusDeps } from '#shared/bus/log-bus.ts';
import { createPostgresGroupStore } from '#shared/bus/postgres-group-store.ts';
import { createTracedBus } from '#shared/bus/traced-bus.ts';
import { createPostgresDeliveryArchive } from '#shared/deliveries/postgres-delivery-archive.ts';
import { createGitCliTransport } from '#shared/gitlab/git-cli-transport.ts';
import { createGitbeakerOpener } from '#shared/gitlab/gitbeaker-gitlab.ts';
import { createIdentityAccess, type IdentityAccess } from '#shared/identity/identity-access.ts';
import { createOpenIdSignInProvider } from '#shared/identity/openid-sign-in-provider.ts';
import { createPostgresKnownCallers } from '#shared/identity/postgres-known-callers.ts';
import { createPostgresOwnAccess } from '#shared/identity/postgres-own-access.ts';
import { type CheckedLog } from '#shared/log/checked-log.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { createTracedLog } from '#shared/log/traced-log.ts';
import { createObjectReader } from '#shared/objects/object-reader.ts';
import { createPostgresObjectIndex } from '#shared/objects/postgres-object-index.ts';
import { withJointLookups } from '#shared/objects/joint-lookups.ts';
import { startEmbeddedPostgres } from '#shared/postgres/embedded-server.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createQuery } from '#shared/postgres/query.ts';
import { mustBeReplica, reachDatabase } from '#shared/postgres/reach-database.ts';
import { createPostgresReadStore } from '#shared/read-store/postgres-read-store.ts';
import { createPostgresRefVectors } from '#shared/read-store/postgres-ref-vectors.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { createTokenAccess, identify, loadOrCreateToken } from '#shared/runtime/access.ts';
import { type HttpDoor } from '#shared/runtime/http-door.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { limitRequests } from '#shared/runtime/limit-requests.ts';
import { makeFolder } from '#shared/runtime/make-folder.ts';
import { createMemoryRequestCounts } from '#shared/runtime/memory-request-counts.ts';
import type { Metrics } from '#shared/runtime/metrics.ts';
import { createPositionSignal } from '#shared/runtime/position-signal.ts';
import { createPostWebhook } from '#shared/runtime/post-webhook.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { hideCredentials, type Settings } from '#shared/runtime/settings.ts';
import type { StartWaits } from '#shared/runtime/start-waits.ts';
import type { SpanName, Tracing } from '#shared/runtime/tracing.ts';
import { advised } from '#shared/runtime/unavailable.ts';
import { holdKeys, type HeldKeys, type ToldKeys } from '#shared/secrets/held-keys.ts';
import { createPostgresSecretKeys } from '#shared/secrets/postgres-secret-keys.ts';
import { createPostgresSecretVault } from '#shared/secrets/postgres-secret-vault.ts';
import { createDigest } from '#shared/secrets/secret-cipher.ts';
import { createPostgresSourceChecks } from '#shared/sources/postgres-source-checks.ts';
import { createPostgresSourceRegistry } from '#shared/sources/postgres-source-registry.ts';
import { openShared, type SharedParts } from './composition-processes.ts';
import { checkedLog, type ComposeOptions, CONNECTIONS, logAdvised, now, openBlobs, openKafka, openLog, ANSWER_MS_MAX, sleep, prepareDatabase } from './composition-stores.ts';
import type { QueryApiDeps } from './query-api/service.ts';

/** In the order of the flow: doors first, readers last, for stopping. Identity before all: it serves addresses for who is not known yet. */
export const SERVICE_NAMES = ['identity', 'ingress', 'scheduler', 'relay', 'fetcher', 'scanner', 'storage-writer', 'projector', 'notifier', 'query-api'] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];
/** Those that run when none is named. */
export const servicesOf = ({ kafkaUrl }: Settings) => SERVICE_NAMES.filter((name) => name !== 'relay' || kafkaUrl !== undefined);
/** What may take a whole core for minutes, and waits for nobody at a door. */
export const WORKERS = ['fetcher', 'scanner', 'storage-writer'] as const satisfies readonly ServiceName[];

/** 1 GiB of webhooks that wait for the log: at 40 a second and 3 kB each, about two hours. */
const SPOOL_BYTES_MAX = 1_073_741_824;
/** Codebases worked on at once. Fetching waits for GitLab, a silent one for a minute each time: so no source has all of the places. Scanning and storing take a core. */
const CONCURRENCY = { fetcher: 32, fetcherOfSource: 8, scanner: 2, 'storage-writer': 2, scheduler: 16, schedulerOfSource: 4 } as const;
/** What the work of a group is called in a trace. */
const SPANS: Readonly<Record<string, SpanName>> = { fetcher: 'fetch', scanner: 'scan', 'storage-writer': 'store', scheduler: 'hook' };

/** What must answer for the engine to be ready: the reason when it does not. */
export type Checks = Readonly<Record<string, () => Promise<string | void>>>;

export interface Engine {
  /** Of the database that is used, the embedded one's too. Holds a secret. */
  readonly databaseUrl: string;
  /** Each can be tried again while what it needs is away. */
  readonly services: Readonly<Record<ServiceName, () => Promise<RunningService>>>;
  readonly checks: Checks;
  /** That the log is the one that this database follows. @throws StartRefused | Unavailable */
  checkLog(): Promise<void>;
  /** Resolves, if ever, when the engine cannot go on. */
  readonly givenUp: Promise<Error>;
  /** Closes what the services stood on. Stop these first. */
  close(): Promise<void>;
}

export interface EngineParts extends ComposeOptions {
  readonly door: HttpDoor;
  readonly metrics: Metrics;
  readonly waits: StartWaits;
  readonly tracing: Tracing;
  /** To who started the engine, and nowhere else. */
  announce(text: string): void;
}

/** The one file that names adapters. Opens the stores, waiting for what is away, brings their tables up to date, and says how each service is started. */
export async function compose({ settings, logger, signal, door, metrics, waits, tracing, announce }: EngineParts): Promise<Engine> {
  const { stateDir } = settings;
  const in_ = (name: string) => path.join(stateDir, name);
  const token = loadOrCreateToken(settings.keysDir);
  const embedded = settings.databaseUrl === undefined ? await startEmbeddedPostgres({ stateDir, logger, signal }) : undefined;
  const url = settings.databaseUrl ?? embedded?.url ?? '';
  try {
    // A server of ours that is gone for good is waited for in vain.
    await Promise.race([waits.until(() => prepareDatabase(url)), ...(embedded === undefined ? [] : [embedded.givenUp.then((error) => { throw error; })])]);
    const pools = {
      log: createPool(url, { connectionsMax: CONNECTIONS.log, applicationName: 'tekai-log' }),
      intake: createPool(url, { connectionsMax: CONNECTIONS.intake, applicationName: 'tekai-intake', statementMsMax: ANSWER_MS_MAX }),
      work: createPool(url, { connectionsMax: CONNECTIONS.work, applicationName: 'tekai-work', statementMsMax: 600_000 }),
      read: createPool(url, { connectionsMax: CONNECTIONS.read, applicationName: 'tekai-read', statementMsMax: ANSWER_MS_MAX }),
      ...(settings.readDatabaseUrl === undefined ? {} : { replica: createPool(settings.readDatabaseUrl, { connectionsMax: CONNECTIONS.read, applicationName: 'tekai-read', statementMsMax: ANSWER_MS_MAX }) }),
      leases: createPool(url, { connectionsMax: CONNECTIONS.leases, applicationName: `tekai-leases of process ${process.pid}`, isKept: true }),
    };
    const endPools = () => Promise.all(Object.values(pools).map((pool) => pool.end()));
    const { log, services, shared, auditNotes, keys } = await wire({ settings, logger, pools, token, in_, door, metrics, waits, tracing, announce }).catch(async (error: unknown) => { await endPools(); throw error; });
    return {
      databaseUrl: url, services,
      checks: {
        database: async () => void (await createQuery(pools.read)('select 1')),
        ...(pools.replica === undefined ? {} : { 'read database': readCheck(settings, { read: pools.read, replica: pools.replica }) }),
        ...(settings.eventstoreUrl === undefined ? {} : { 'event log': async () => void (await log.head().catch((error: unknown) => { throw logAdvised(settings, error); })) }),
      },
      checkLog: log.check,
      givenUp: embedded?.givenUp ?? new Promise(() => undefined),
      async close() {
        await Promise.all([auditNotes.stop(), keys.stop()]);
        shared.close();
        await endPools();
        await embedded?.stop();
      },
    };
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

interface Wiring {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly pools: { readonly log: Pool; readonly intake: Pool; readonly work: Pool; readonly read: Pool; readonly replica?: Pool; readonly leases: Pool };
  readonly token: string;
  readonly in_: (name: string) => string;
  readonly door: HttpDoor;
  readonly metrics: Metrics;
  readonly waits: StartWaits;
  readonly tracing: Tracing;
  announce(text: string): void;
}

async function wire({ settings, logger, pools, token, in_, door, metrics, waits, tracing, announce }: Wiring): Promise<Pick<Engine, 'services'> & { readonly log: CheckedLog; readonly shared: SharedParts; readonly auditNotes: AuditNotes; readonly keys: ToldKeys }> {
  const log = checkedLog(settings, { log: await openTracedLog(settings, { pool: pools.log, tracing }), pool: pools.log });
  const keys = await waits.until(() => holdKeys({ directory: settings.keysDir, keys: createPostgresSecretKeys({ pool: pools.work }), process: `${hostname()} ${process.pid}` }));
  const shared = await openShared({ settings, pool: pools.work, logger, engineId: createDigest(keys.digestKey)('engine id').slice(0, 16) });
  const bus = await openBus({ settings, logger, tracing }, { log, store: createPostgresGroupStore({ pool: pools.work, holder: pools.leases }), progress: shared.progress, logger, now, sleep });
  const blobs = await openBlobs(settings);
  const index = createPostgresObjectIndex({ pool: pools.work });
  const { query, vault, sources, checks } = storesOf(pools.work, keys);
  const intake = { ...storesOf(pools.intake, keys), pool: pools.intake };
  const addresses = createAddressGuard({ allowed: settings.allowAddresses });
  const publicAddresses = createAddressGuard({ allowed: [] });
  const openGitLab = createGitbeakerOpener({ addresses, places: shared.places, holds: shared.holds });
  const transport = createGitCliTransport({ directory: in_('git-caches'), owner: randomUUID(), addresses });
  const store = createPostgresReadStore({ pool: pools.read });
  const readIndex = withJointLookups(createPostgresObjectIndex({ pool: pools.read }));
  const reader = createObjectReader({ index: readIndex, blobs });
  const projected = createPositionSignal();
  const people = shownTo(pools, { store, index: readIndex, reader, blobs });
  /** Before it is begun: what it shows is of a replica of this database. */
  const showing = async (start: () => Promise<RunningService>) => {
    const { readDatabaseUrl } = settings;
    if (pools.replica === undefined || readDatabaseUrl === undefined) return start();
    await reachDatabase(readDatabaseUrl, { setting: 'TEKAI_READ_DATABASE_URL', isWritten: false, dependency: 'read database' });
    await mustBeReplica(pools.read, pools.replica);
    return start();
  };
  const { publicUrl } = settings;
  const callers = createPostgresKnownCallers({ query: createQuery(pools.read), now });
  const access = createIdentityAccess({ engine: createTokenAccess(token), callers, issuer: publicUrl, now });
  const counts = shared.counts ?? createMemoryRequestCounts();
  const auditNotes = createAuditNotes({ entries: createPostgresAuditEntries({ query: createQuery(pools.intake) }), logger, metrics, now, sleep });
  const noteRefusal = createNoteRefusal({ notes: auditNotes, ownerOf: access.ownerOf });
  const origins = createOrigins({ publicUrl, allowed: settings.allowedOrigins });
  door.use(noteRequests({ notes: auditNotes, noteRefusal }));
  door.use(refuseForeignOrigins(origins));
  door.use(identify(access));
  door.use(limitRequests({ perMinute: settings.apiRequestsPerMinute, counts }));
  door.use(guard(store));
  keys.watch({ logger, sleep });

  return {
    log, shared, auditNotes, keys,
    // Each process loads what it runs, and no other: 0.3 s of 1.5 s of its start, and 20 MB.
    services: {
      identity: async () => (await import('./identity/service.ts')).start({ ...intake, signInProvider: createOpenIdSignInProvider({ addresses, now }), log, store, callers, access, counts, door, issuer: publicUrl, announce, logger, now, sleep }),
      ingress: async () => (await import('./ingress/service.ts')).start({ ...intake, log, store, openGitLab, bus, people: callers, door, access, logger, metrics, tracing, now, sleep }, { spoolDirectory: in_('spool'), spoolBytesMax: SPOOL_BYTES_MAX, publicUrl }),
      scheduler: async () => (await import('./scheduler/service.ts')).start({ log, sources, ownAccess: createPostgresOwnAccess({ query, vault, now }), checks, openGitLab, publicUrl, bus, store, query, metrics, logger, now, sleep }, { concurrency: CONCURRENCY.scheduler, concurrencyOfSource: CONCURRENCY.schedulerOfSource, polling: settings.polling }),
      relay: async () => {
        const client = await openKafka({ settings, logger });
        const { createKafkaFactTopic } = await import('#shared/bus/kafka-fact-topic.ts');
        return (await import('./relay/service.ts')).start({ log, topic: createKafkaFactTopic({ client, logger }), bus, metrics, logger, now, sleep });
      },
      fetcher: async () => {
        // What a killed fetcher was packing is of no use to anybody; what a living one is, stays.
        await makeFolder(in_('work'));
        await sweepParts(in_('work'));
        const workDirectory = path.join(in_('work'), partName());
        const fetcher = await (await import('./fetcher/service.ts')).start({ log, bus, query, sources, openGitLab, transport, index, reader, blobs, workDirectory, logger, now, sleep }, { concurrency: CONCURRENCY.fetcher, concurrencyOfSource: CONCURRENCY.fetcherOfSource });
        return { ...fetcher, stop: async () => { await fetcher.stop(); await rm(workDirectory, { recursive: true, force: true }); } };
      },
      scanner: async () => (await import('./scanner/service.ts')).start({ log, bus, blobs, index, logger, now }, { concurrency: CONCURRENCY.scanner }),
      'storage-writer': async () => (await import('./storage-writer/service.ts')).start({ log, bus, blobs, index, reader, logger, now }, { concurrency: CONCURRENCY['storage-writer'] }),
      projector: async () => (await import('./projector/service.ts')).start({ log, pool: pools.work, projected, tracing, logger, sleep }),
      notifier: () => showing(async () => (await import('./notifier/service.ts')).start({ ...people, log, query, bus, projected, door, access, origins, noteRefusal, tracing, logger, now, sleep, random: Math.random, pool: pools.read, vault, addresses, publicAddresses, post: createPostWebhook(addresses), postPublic: createPostWebhook(publicAddresses), readable: readableBy(access, store), isSystemAdmin: systemAdminBy(access), rightsOf: store.rightsOf })),
      'query-api': () => showing(async () => (await import('./query-api/service.ts')).start({ ...people, audit: createPostgresAuditEntries({ query: createQuery(pools.read) }), log, bus, checks, people: callers, projected, door, access, sleep })),
    },
  };
}

/** Of commands and webhooks on connections of their own, whose statements are given up soon: who waits at a door is told 503 of a database that is silent. Workers wait longer. */
function storesOf(pool: Pool, keys: HeldKeys) {
  const vault = createPostgresSecretVault({ pool, keys });
  return { query: createQuery(pool), vault, sources: createPostgresSourceRegistry({ pool, vault }), checks: createPostgresSourceChecks({ pool }) };
}

/** Whoever decides or writes reads the database itself; what people are shown, and told of, may be a moment older: it is all of one replica, with its own position. */
function shownTo({ read, replica }: Wiring['pools'], own: Pick<QueryApiDeps, 'store' | 'index' | 'reader'> & { readonly blobs: BlobStore }) {
  const pool = replica ?? read;
  const tables = { vectors: createPostgresRefVectors({ pool }), deliveries: createPostgresDeliveryArchive({ pool }) };
  if (replica === undefined) return { ...tables, store: own.store, index: own.index, reader: own.reader };
  const index = withJointLookups(createPostgresObjectIndex({ pool }));
  return { ...tables, store: createPostgresReadStore({ pool }), index, reader: createObjectReader({ index, blobs: own.blobs }) };
}

async function openTracedLog(settings: Settings, { pool, tracing }: { readonly pool: Pool; readonly tracing: Tracing }): Promise<EventLog> {
  const log = await openLog(settings, pool);
  return tracing.isOn ? createTracedLog(log, tracing) : log;
}

/** Kafka's client is loaded by those only who use it. */
async function openBus({ tracing, ...options }: Pick<EngineParts, 'settings' | 'logger' | 'tracing'>, deps: LogBusDeps & { readonly log: CheckedLog }): Promise<Bus> {
  const bus = options.settings.kafkaUrl === undefined ? createLogBus(deps)
    : (await import('#shared/bus/kafka-bus.ts')).createKafkaBus({ ...deps, client: await openKafka(options) });
  return tracing.isOn ? createTracedBus(bus, { tracing, names: SPANS }) : bus;
}

const readCheck = ({ readDatabaseUrl = '' }: Settings, { read, replica }: { readonly read: Pool; readonly replica: Pool }) => async () => {
  await mustBeReplica(read, replica).catch((error: unknown) => { throw advised(error, `start the replica at ${hideCredentials(readDatabaseUrl)}, open the way to it, or correct or unset TEKAI_READ_DATABASE_URL`); });
};

/** Of who does not ask now. The operator's token is nobody's, and reads everything. */
const readableBy = (access: Pick<IdentityAccess, 'user'>, rights: Pick<ReadStore, 'readable'>) => async (actor: Actor, codebases: readonly CodebaseId[]): Promise<ReadonlySet<CodebaseId>> => {
  if (actor.kind === 'token') return new Set(codebases);
  const user = actor.kind === 'user' ? await access.user(actor.id) : undefined;
  return user === undefined ? new Set() : readableOf(rights, { actor, isSystemAdmin: user.isSystemAdmin }, codebases);
};

/** Likewise of who does not ask now. */
const systemAdminBy = (access: Pick<IdentityAccess, 'user'>) => async ({ kind, id }: Actor): Promise<boolean> => kind === 'token' || (kind === 'user' && (await access.user(id))?.isSystemAdmin === true);
