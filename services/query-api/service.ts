import type { RequestHandler } from 'express';
import type { Bus } from '#shared/bus/bus.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { ObjectIndexReader } from '#shared/objects/object-index.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { requireAccess, type Access } from '#shared/runtime/access.ts';
import type { HttpDoor } from '#shared/runtime/http-door.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import type { SourceChecks } from '#shared/sources/source-checks.ts';
import { codebaseRoutes, contentRoutes } from './codebase-routes.ts';
import { eventRoutes } from './event-routes.ts';

export interface QueryApiDeps {
  readonly store: ReadStore;
  readonly log: Pick<EventLog, 'readStream' | 'epoch'>;
  readonly index: Pick<ObjectIndexReader, 'findings'>;
  readonly reader: ObjectReader;
  readonly bus: Pick<Bus, 'parked'>;
  readonly checks: Pick<SourceChecks, 'kept'>;
  readonly door: HttpDoor;
  readonly access: Access;
}

/** Answers what is asked, from the read tables and the packs; changes nothing. */
export async function start(deps: QueryApiDeps): Promise<RunningService> {
  const withEpoch = { ...deps, epoch: await deps.log.epoch() };
  const isKnown = requireAccess(deps.access);
  // Whatever the path looks like: routers match in ways of their own (`/V1/…`), and what they serve is for the known only.
  const onlyReads = (handler: RequestHandler): RequestHandler => (request, response, next) =>
    (request.method === 'GET' || request.method === 'HEAD' ? handler(request, response, next) : next());
  deps.door.use(onlyReads(isKnown));
  deps.door.use(contentRoutes(withEpoch));
  deps.door.use(codebaseRoutes(withEpoch));
  deps.door.use(eventRoutes(withEpoch));
  return { name: 'query-api', stop: () => Promise.resolve() };
}
