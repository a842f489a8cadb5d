import type { Pool } from 'pg';
import type { Position } from '#schemas/brand.ts';
import type { TopicStep, TopicWishes } from '#shared/bus/kafka-topics.ts';
import { guard } from '#shared/access/guard.ts';
import { createPostgresAuditEntries } from '#shared/audit/postgres-audit-entries.ts';
import { movePlaces as moveGroups } from '#shared/bus/move-places.ts';
import { createPostgresDeliveryArchive } from '#shared/deliveries/postgres-delivery-archive.ts';
import { createPostgresKnownCallers } from '#shared/identity/postgres-known-callers.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { MOVE_NAME, moveLog, type MoveDeps } from '#shared/log/move-log.ts';
import { createPostgresEventLog } from '#shared/log/postgres-event-log.ts';
import { createObjectReader } from '#shared/objects/object-reader.ts';
import { createPostgresObjectIndex } from '#shared/objects/postgres-object-index.ts';
import { runningEmbeddedUrl } from '#shared/postgres/embedded-join.ts';
import { startEmbeddedPostgres } from '#shared/postgres/embedded-server.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPassingDatabase } from '#shared/postgres/passing-database.ts';
import { createQuery } from '#shared/postgres/query.ts';
import { createPool, readOnly } from '#shared/postgres/pool.ts';
import { createPostgresReadStore } from '#shared/read-store/postgres-read-store.ts';
import { createTokenAccess, identify, loadOrCreateToken } from '#shared/runtime/access.ts';
import { createHttpDoor, type HttpDoor } from '#shared/runtime/http-door.ts';
import { limitRequests } from '#shared/runtime/limit-requests.ts';
import { createPositionSignal } from '#shared/runtime/position-signal.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { type Settings } from '#shared/runtime/settings.ts';
import { StartRefused } from '#shared/runtime/start-waits.ts';
import { createPostgresSecretKeys } from '#shared/secrets/postgres-secret-keys.ts';
import type { SecretKeys } from '#shared/secrets/secret-keys.ts';
import { createPostgresSourceChecks } from '#shared/sources/postgres-source-checks.ts';
import { type ComposeOptions, CONNECTIONS, MIGRATIONS, now, openBlobs, openFollowedLog, openKafka, openLog, ANSWER_MS_MAX, sleep, prepareDatabase } from './composition-stores.ts';
import { movePlaces as moveFetcher } from './fetcher/move-places.ts';
import { movePlaces as moveFollowers } from './notifier/move-places.ts';
import { movePlaces as emptyModel } from './projector/move-places.ts';
import { findMoment } from './projector/replay/find-moment.ts';
import { foldPast } from './projector/replay/fold-past.ts';
import { switchModel } from './projector/replay/switch-model.ts';
import { verifyModel } from './projector/replay/verify-model.ts';
import { codebaseOf, resolveVersion, type Asked } from './query-api/resolve-version.ts';
import { start as startQueryApi } from './query-api/service.ts';
import { movePlaces as moveLooks } from './scheduler/move-places.ts';
import { checkIndex, type IndexProblem } from './storage-writer/check-index.ts';
import { verifyVersion, type VerifiedCounts, type VersionToVerify } from './storage-writer/verify-version.ts';

/** `tekai topics apply`. */
export async function applyKafkaTopics(options: Pick<ComposeOptions, 'settings' | 'logger'>, wishes: TopicWishes): Promise<TopicStep[]> {
  const { applyTopics } = await import('#shared/bus/kafka-topics.ts');
  return applyTopics(await openKafka(options), wishes);
}

export type BesideEngine = Awaited<ReturnType<typeof openBeside>>;

/** What a program does to the stores beside the engine, whether that runs or not. Nothing is migrated. */
export async function openBeside({ settings, logger, signal, onFolded }: ComposeOptions & { onFolded?(facts: number): void }) {
  const server = await openServer({ settings, logger, signal });
  const pool = createPool(server.url, { connectionsMax: CONNECTIONS.replay, applicationName: 'tekai-replay', statementMsMax: 0 });
  const [log, store, index] = [await openFollowedLog(settings, pool), createPostgresReadStore({ pool }), createPostgresObjectIndex({ pool })];
  const blobs = await openBlobs(settings);
  // Nothing is remembered: what is read is read from the packs.
  const reader = createObjectReader({ index, blobs, blockCacheBytesMax: 0 });
  const replay = { log, pool, ...(onFolded === undefined ? {} : { onFolded }) };
  return {
    store, epoch: () => log.epoch(),
    verifyModel: () => verifyModel(replay, signal),
    switchModel: () => switchModel(replay, signal),
    checkIndex: (end: Position, onProblem: (problem: IndexProblem) => void) => checkIndex({ log, index, blobs, onProblem }, end, signal),
    resolve: async (codebase: string, asked: Asked) => resolveVersion({ store, epoch: await log.epoch(), bus: { parked: () => Promise.resolve([]) } }, await codebaseOf(store, codebase), asked),
    verifyVersion: (version: VersionToVerify, onProgress: (counts: VerifiedCounts) => void) => verifyVersion({ reader, index, blobs, onProgress }, version, signal),
    close: async () => { await pool.end(); await server.stop(); },
  };
}

/** What `tekai secrets` looks at and changes, whether an engine runs or not. @throws StartRefused */
export async function openSecretKeys(options: ComposeOptions): Promise<{ readonly keys: SecretKeys; close(): Promise<void> }> {
  const server = await openServer(options);
  const pool = createPool(server.url, { connectionsMax: CONNECTIONS.replay, applicationName: 'tekai-secrets' });
  const close = async () => { await pool.end(); await server.stop(); };
  try {
    const [found] = await createQuery(pool)<{ isThere: boolean }>(`select to_regclass('secret_keys') is not null as "isThere"`);
    if (found?.isThere !== true) throw new StartRefused('This database has no table of keys yet: start the engine of this release once.');
    return { keys: createPostgresSecretKeys({ pool }), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Every owner of a table that holds places of the log; a test looks for tables that are in none. */
const PLACES = [moveGroups, moveFetcher, moveLooks, moveFollowers, emptyModel];

export interface OpenMoveOptions extends ComposeOptions, Pick<MoveDeps, 'onFact' | 'onAway'> { onFolded(facts: number): void }

/** The log in the database, and the one that TEKAI_EVENTSTORE_URL names, to take the facts from the one to the other. No engine may run. */
export async function openMove({ settings, logger, signal, onFact, onAway, onFolded }: OpenMoveOptions) {
  const embedded = settings.databaseUrl === undefined ? await startEmbeddedPostgres({ stateDir: settings.stateDir, logger, signal }) : undefined;
  try {
    const url = settings.databaseUrl ?? embedded?.url ?? '';
    await prepareDatabase(url);
    const pool = createPool(url, { connectionsMax: CONNECTIONS.replay, applicationName: MOVE_NAME, statementMsMax: 0 });
    const to = await openLog(settings, pool);
    const from = createPostgresEventLog({ pool });
    return {
      move: () => moveLog({ pool, from, to, places: PLACES, sleep, onFact: onFact ?? (() => undefined), onAway: onAway ?? (() => undefined) }, signal),
      /** Folds what the new log holds, unless that was done. Without it the projector would, at the next start. */
      async fold() {
        const head = await to.head();
        if ((await createPostgresReadStore({ pool }).position()) < head) await foldPast({ log: to, pool, onFolded }, head, signal);
      },
      close: async () => { await pool.end(); await embedded?.stop(); },
    };
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

/** The Postgres that the engine runs on, or one started for us where none runs. */
async function openServer({ settings, logger, signal }: ComposeOptions): Promise<{ readonly url: string; readonly isOurs: boolean; stop(): Promise<void> }> {
  const running = settings.databaseUrl ?? await runningEmbeddedUrl(settings.stateDir);
  const own = running === undefined ? await startEmbeddedPostgres({ stateDir: settings.stateDir, logger, signal }) : undefined;
  return { url: running ?? own?.url ?? '', isOurs: own !== undefined, stop: async () => own?.stop() };
}

interface OpenPastOptions extends ComposeOptions {
  /** A position or a time. */
  readonly moment: string;
  /** 0: any that is free. */
  readonly port: number;
  onLooked(facts: number): void;
  onFolded(facts: number): void;
}

/**
 * The query API over what was known at one moment, with a read model of its own. Of the engine's stores everything is only read;
 * what stands in tables beside the log (parked keys, checks, looks, kept deliveries) is empty here, whatever there is now.
 */
export async function openPast({ settings, logger, signal, moment, port, onLooked, onFolded }: OpenPastOptions) {
  const closing: (() => Promise<unknown>)[] = [];
  const close = () => closeAll(closing);
  const poolOf = (url: string, statementMsMax: number) => {
    const pool = createPool(url, { connectionsMax: CONNECTIONS.replay, applicationName: 'tekai-past', statementMsMax });
    closing.push(() => pool.end());
    return pool;
  };
  try {
    const server = await openServer({ settings, logger, signal });
    closing.push(server.stop);
    const engine = poolOf(readOnly(server.url), 0);
    const log = await openFollowedLog(settings, engine);
    const end = await findMoment({ log, now, onLooked }, moment, signal);
    const database = await createPassingDatabase(server.url, { prefix: 'tekai_past' });
    closing.push(database.drop);
    await migrate({ url: database.url, owners: MIGRATIONS });
    const past = await foldPast({ log, pool: poolOf(database.url, 0), onFolded }, end, signal);
    const door = createHttpDoor({ logger, host: '127.0.0.1', portSetting: '--port' });
    const api = await startPastApi({ settings, door, log, engine, past: poolOf(database.url, ANSWER_MS_MAX) });
    closing.push(() => door.close(), api.stop);
    return { ...past, epoch: await log.epoch(), port: await door.listen(port), isServerOurs: server.isOurs, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The last first; and the rest also when one fails. */
async function closeAll(steps: (() => Promise<unknown>)[]): Promise<void> {
  const step = steps.pop();
  if (step === undefined) return;
  try {
    await step();
  } finally {
    await closeAll(steps);
  }
}

interface PastApi { readonly settings: Settings; readonly door: HttpDoor; readonly log: EventLog; readonly engine: Pool; readonly past: Pool }

async function startPastApi({ settings, door, log, engine, past }: PastApi): Promise<RunningService> {
  const access = createTokenAccess(loadOrCreateToken(settings.keysDir));
  door.use(identify(access));
  door.use(limitRequests({ perMinute: settings.apiRequestsPerMinute }));
  const store = createPostgresReadStore({ pool: past });
  door.use(guard(store));
  const index = createPostgresObjectIndex({ pool: engine });
  const reader = createObjectReader({ index, blobs: await openBlobs(settings) });
  return startQueryApi({
    store, log, index, reader, door, access, people: createPostgresKnownCallers({ query: createQuery(engine), now }), audit: createPostgresAuditEntries({ query: createQuery(engine) }),
    bus: { parked: () => Promise.resolve([]) }, checks: createPostgresSourceChecks({ pool: past }), deliveries: createPostgresDeliveryArchive({ pool: past }),
    // Nothing is ever added to the past: whoever would wait for more is answered at once.
    projected: createPositionSignal(), sleep: () => Promise.resolve(),
  });
}
