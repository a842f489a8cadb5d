import { Router, type RequestHandler } from 'express';
import { codebaseId } from '#schemas/brand.ts';
import { registerCodebase, registerSource, requestSync } from '#schemas/commands/commands.ts';
import type { KnownCallers } from '#shared/identity/known-callers.ts';
import type { OpenGitLab } from '#shared/gitlab/gitlab.ts';
import type { Bus } from '#shared/bus/bus.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { requireAccess, type Access } from '#shared/runtime/access.ts';
import type { HttpDoor } from '#shared/runtime/http-door.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import type { Metrics } from '#shared/runtime/metrics.ts';
import type { Query } from '#shared/postgres/query.ts';
import { withDeadline } from '#shared/runtime/deadline.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { parseBody, readJson } from '#shared/runtime/read-body.ts';
import { readRaw } from '#shared/runtime/read-raw.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import type { Tracing } from '#shared/runtime/tracing.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import type { SourceChecks } from '#shared/sources/source-checks.ts';
import type { SourceRegistry } from '#shared/sources/source-directory.ts';
import { createAcceptance, type SpooledArrival } from './acceptance.ts';
import { createDeliveries, type Deliveries } from './deliveries.ts';
import { drainForever } from './drain-spool.ts';
import { createKnownCodebases } from './known-codebases.ts';
import { createKnownSecrets } from './known-secrets.ts';
import { contextOf, lifecycleRoutes } from './lifecycle-routes.ts';
import { DELIVERY_BYTES_MAX, receiveDelivery } from './receive-delivery.ts';
import { onRegisterCodebase } from './register-codebase.ts';
import { onRegisterSource } from './register-source.ts';
import { onRequestSync } from './request-sync.ts';
import { sourceRoutes } from './source-routes.ts';
import { openSpool } from './spool.ts';

export interface IngressDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly query: Query;
  readonly sources: SourceRegistry;
  readonly checks: Pick<SourceChecks, 'keep' | 'askAgain'>;
  readonly store: Pick<ReadStore, 'codebases' | 'haveHooksSecrets'>;
  readonly vault: Pick<SecretVault, 'digest'>;
  readonly openGitLab: OpenGitLab;
  readonly bus: Pick<Bus, 'redrive'>;
  readonly people: Pick<KnownCallers, 'user'>;
  readonly door: HttpDoor;
  readonly access: Access;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  now(): Date;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface IngressConfig {
  readonly spoolDirectory: string;
  readonly spoolBytesMax: number;
  readonly publicUrl: string;
}

/** The one door in: webhooks and commands become facts, and are answered only once nothing can lose them. */
export async function start(deps: IngressDeps, config: IngressConfig): Promise<RunningService> {
  const { log, logger, tracing, now } = deps;
  const stopping = new AbortController();
  const deliveries = createDeliveries(deps.query);
  const spool = await openSpool<SpooledArrival>({ directory: config.spoolDirectory, bytesMax: config.spoolBytesMax, logger });
  const codebases = createKnownCodebases({ log, now });
  const acceptance = createAcceptance({ log, deliveries, spool, codebases, tracing, logger });
  const secrets = createKnownSecrets({ sources: deps.sources, store: deps.store, now });
  const { metrics } = deps;

  const router = Router();
  router.post('/webhooks/gitlab/:source', readRaw({ bytesMax: DELIVERY_BYTES_MAX }),
    (request, response) => receiveDelivery({ acceptance, secrets, codebases, metrics, tracing, now }, request, response));
  router.use('/v1', onlyWrites(requireAccess(deps.access)), onlyWrites(readJson), onlyWrites(traceCommand(tracing)));
  router.post('/v1/sources', async (request, response) => {
    const source = await onRegisterSource({ ...deps, publicUrl: config.publicUrl }, parseBody(registerSource, request.body), contextOf(request, response));
    response.status(201).location(`/v1/sources/${source}`).json({ id: source, webhookUrl: `${config.publicUrl}/webhooks/gitlab/${source}` });
  });
  router.use(sourceRoutes({ ...deps, publicUrl: config.publicUrl }, requireAccess(deps.access)));
  router.post('/v1/codebases', async (request, response) => {
    const { codebaseId: id, cause, isNew, how } = await onRegisterCodebase(deps, parseBody(registerCodebase, request.body), contextOf(request, response));
    response.status(isNew ? 201 : 200).location(`/v1/codebases/${id}`).json({ id, cause, syncs: `/v1/syncs?cause=${cause}`, how });
  });
  router.post('/v1/codebases/:id/syncs', async (request, response) => {
    const id = codebaseId.safeParse(request.params['id']);
    if (!id.success) throw new Problem(404, 'codebase-unknown', 'A codebase id is a UUID. GET /v1/codebases lists them.');
    const { cause, sync } = await onRequestSync({ acceptance, codebases, vault: deps.vault, now }, id.data, { ...parseBody(requestSync, request.body), ...contextOf(request, response) });
    const url = sync === null ? `/v1/syncs?cause=${cause}` : `/v1/syncs/${sync}`;
    response.status(202).location(url).json({ cause, sync, url });
  });
  router.post('/v1/parked/:group/:key/redrive', async (request, response) => {
    const { group, key } = request.params;
    const facts = await deps.bus.redrive(group, key);
    if (facts === 0) throw new Problem(404, 'nothing-parked', `Nothing of key ${JSON.stringify(key)} is parked in group ${JSON.stringify(group)}. GET /v1/parked lists what is.`);
    response.status(202).json({ group, key, facts });
  });
  router.use(lifecycleRoutes({ ...deps, publicUrl: config.publicUrl, codebases }));
  deps.door.use(router);

  await withDeadline(deliveries.prepareMonths(now()), { ms: MONTHS_FIRST_MS_MAX, dependency: 'database' }).catch((error: unknown) => logger.warn({ error }, 'the partitions of deliveries wait for the database'));
  const drained = drainForever({ spool, acceptance, metrics, logger, signal: stopping.signal, sleep: deps.sleep });
  const months = keepMonths(deliveries, deps, stopping.signal);
  return { name: 'ingress', stop: async () => { stopping.abort(); await Promise.all([drained, months]); await spool.close(); } };
}

/** Until it is answered. */
const traceCommand = (tracing: Tracing): RequestHandler => (request, response, next) => {
  if (!tracing.isOn) return next();
  const { traceparent } = request.headers;
  void tracing.inSpan({ name: 'command', traceparent: typeof traceparent === 'string' ? traceparent : undefined, attributes: { 'http.request.method': request.method } }, (note) => new Promise<void>((resolve) => {
    response.once('close', () => {
      note({ 'http.response.status_code': response.statusCode });
      resolve();
    });
    next();
  }));
};

/** Looks belong to query-api: they pass through here untouched. */
function onlyWrites(handler: RequestHandler): RequestHandler {
  return (request, response, next) => (request.method === 'GET' || request.method === 'HEAD' ? next() : handler(request, response, next));
}

/** Twice a day, so that a month never begins without its partition. */
const MONTHS_EVERY_MS = 12 * 3_600_000;
const MONTHS_RETRY_MS = 5_000;
/** The door opens without them if need be: there is a partition that catches all. */
const MONTHS_FIRST_MS_MAX = 5_000;

async function keepMonths(deliveries: Deliveries, { now, sleep, logger }: IngressDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const isDone = await deliveries.prepareMonths(now()).then(() => true, (error: unknown) => { logger.warn({ error }, 'the partitions of deliveries wait for the database'); return false; });
    await sleep(isDone ? MONTHS_EVERY_MS : MONTHS_RETRY_MS, signal);
  }
}
