import type { RequestHandler } from 'express';
import type { AuditEntries } from '#shared/audit/audit-entries.ts';
import type { Bus } from '#shared/bus/bus.ts';
import type { DeliveryArchive } from '#shared/deliveries/delivery-archive.ts';
import type { KnownCallers } from '#shared/identity/known-callers.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { ObjectIndexReader } from '#shared/objects/object-index.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { requireAccess, type Access } from '#shared/runtime/access.ts';
import type { HttpDoor } from '#shared/runtime/http-door.ts';
import type { PositionSignal } from '#shared/runtime/position-signal.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import type { SourceChecks } from '#shared/sources/source-checks.ts';
import { accessHistoryRoute } from './access-history-route.ts';
import { accessRoute } from './access-route.ts';
import { atLeastHandler, createUntilAtLeast } from './at-least.ts';
import { auditRoute } from './audit-route.ts';
import { codebaseLists } from './codebase-lists.ts';
import { codebaseRoutes, contentRoutes } from './codebase-routes.ts';
import { deliveryRoutes } from './delivery-routes.ts';
import { eventRoutes } from './event-routes.ts';
import { withJointLooks, withJointParked } from './joint-looks.ts';
import { createTreeCache } from './tree-cache.ts';
import { batchRoute, versionRoutes } from './version-routes.ts';
import { projectRoutes } from './project-routes.ts';

export interface QueryApiDeps {
  readonly store: ReadStore;
  readonly log: Pick<EventLog, 'readStream' | 'epoch'>;
  readonly index: Pick<ObjectIndexReader, 'findings'>;
  readonly reader: ObjectReader;
  readonly bus: Pick<Bus, 'parked'>;
  readonly deliveries: DeliveryArchive;
  readonly projected: PositionSignal;
  readonly checks: Pick<SourceChecks, 'kept'>;
  readonly people: Pick<KnownCallers, 'names'>;
  readonly audit: Pick<AuditEntries, 'list'>;
  readonly door: HttpDoor;
  readonly access: Access;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Answers what is asked, from the read tables and the packs; changes nothing. */
export async function start(deps: QueryApiDeps): Promise<RunningService> {
  const stopping = new AbortController();
  const epoch = await deps.log.epoch();
  const untilAtLeast = createUntilAtLeast({ ...deps, epoch, stopping: stopping.signal });
  const withEpoch = { ...deps, store: withJointLooks(deps.store), bus: withJointParked(deps.bus), epoch, untilAtLeast, trees: createTreeCache(deps.reader) };
  const isKnown = requireAccess(deps.access);
  // Whatever the path looks like: routers match in ways of their own (`/V1/…`), and what they serve is for the known only.
  const onlyReads = (handler: RequestHandler): RequestHandler => (request, response, next) =>
    (request.method === 'GET' || request.method === 'HEAD' ? handler(request, response, next) : next());
  deps.door.use(onlyReads(isKnown));
  deps.door.use(atLeastHandler(untilAtLeast));
  deps.door.use(contentRoutes(withEpoch), ['GET /v1/codebases/:id/tree/*path', 'GET /v1/codebases/:id/files/*path']);
  deps.door.use(codebaseLists(withEpoch));
  deps.door.use(versionRoutes(withEpoch), ['GET /v1/codebases/:id/changes', 'GET /v1/codebases/:id/stats', 'GET /v1/codebases/:id/archive', 'GET /v1/objects/:id/occurrences']);
  deps.door.use(batchRoute(withEpoch, isKnown), ['POST /v1/codebases/:id/files:batch']);
  deps.door.use(codebaseRoutes(withEpoch));
  deps.door.use(eventRoutes(withEpoch));
  deps.door.use(deliveryRoutes(withEpoch));
  deps.door.use(projectRoutes(withEpoch));
  deps.door.use(accessRoute(withEpoch));
  deps.door.use(accessHistoryRoute(withEpoch));
  deps.door.use(auditRoute(withEpoch));
  return { name: 'query-api', stop: () => { stopping.abort(); return Promise.resolve(); } };
}
