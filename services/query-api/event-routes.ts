import { Router } from 'express';
import { BEGINNING, factId, syncId, codebaseId } from '#schemas/brand.ts';
import { positionOutside } from '#schemas/positions.ts';
import type { IndexedFact, SyncView } from '#shared/read-store/read-store.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { insideOrThrow, limitOf, textOf } from './codebase-routes.ts';
import { listSources } from './list-sources.ts';
import type { QueryApiDeps } from './service.ts';

/** Appends use the same connections: a page of 1,000 facts must not take them all. */
const READS_AT_ONCE = 4;

type Deps = QueryApiDeps & { readonly epoch: string };

/** What happened: syncs, the facts themselves, and what is set aside. */
export function eventRoutes(deps: Deps): Router {
  const { store, epoch } = deps;
  const router = Router();

  router.get('/v1/sources', async (_request, response) => void response.json({ sources: await listSources(deps) }));

  router.get('/v1/sources/:id', async (request, response) => {
    const source = (await listSources(deps)).find((one) => one.id === request.params['id']);
    if (source === undefined) throw new Problem(404, 'source-unknown', 'There is no source of this id. GET /v1/sources lists them.');
    response.json(source);
  });

  router.get('/v1/syncs/:id', async (request, response) => {
    const id = syncId.safeParse(request.params['id']);
    const sync = id.success ? await store.sync(id.data) : undefined;
    if (sync === undefined) throw new Problem(404, 'sync-unknown', 'No sync of this id is known. One asked for a moment ago may need a moment; GET /v1/syncs?cause= lists those of a cause.');
    response.json(await withProgress(deps, sync));
  });

  router.get('/v1/syncs', async (request, response) => {
    const cause = factId.safeParse(textOf(request, 'cause'));
    const codebase = codebaseId.safeParse(textOf(request, 'codebase'));
    for (const [name, given] of [['cause', cause], ['codebase', codebase]] as const) {
      if (!given.success && textOf(request, name) !== undefined) throw new Problem(400, 'filter-malformed', `${name}= takes an id, a UUID.`);
    }
    if (!cause.success && !codebase.success) throw new Problem(400, 'filter-missing', 'Say which syncs: cause=<fact id> or codebase=<codebase id>.');
    const syncs = await store.syncs({ limit: limitOf(request), ...(cause.success ? { cause: cause.data } : {}), ...(codebase.success ? { codebase: codebase.data } : {}) });
    response.json({ syncs: await Promise.all(syncs.map((sync) => withProgress(deps, sync))) });
  });

  router.get('/v1/events', async (request, response) => {
    const after = textOf(request, 'after');
    const limit = limitOf(request);
    const filter = { key: textOf(request, 'key'), stream: textOf(request, 'stream'), type: textOf(request, 'type') };
    // Looked at before the facts: who goes on from here may see a fact twice, and misses none.
    const position = await store.position();
    const indexed = await store.facts({ ...onlyGiven(filter), after: after === undefined ? BEGINNING : insideOrThrow(epoch, after), limit });
    const events = await mapBounded(indexed, READS_AT_ONCE, (one) => factOf(deps, one));
    response.json({ events, next: indexed.length === limit ? positionOutside(epoch, indexed.at(-1)?.position ?? BEGINNING) : null, position: positionOutside(epoch, position) });
  });

  router.get('/v1/parked', async (request, response) => {
    const key = textOf(request, 'key');
    const parked = await deps.bus.parked(key === undefined ? {} : { key });
    response.json({ parked: parked.map((one) => ({ ...one, position: positionOutside(epoch, one.position) })) });
  });

  return router;
}

async function withProgress({ store }: Deps, sync: SyncView) {
  const isUnderWay = sync.state === 'waiting' || sync.state === 'fetched' || sync.state === 'scanned';
  return { ...sync, isEnded: !isUnderWay, progress: isUnderWay ? (await store.progress(sync.id)) ?? null : null };
}

/** The index says where it stands, the log says what it is. */
async function factOf({ log, epoch }: Deps, { stream, revision, position }: IndexedFact) {
  const [fact] = await log.readStream(stream, { from: revision, limit: 1 });
  return { ...fact, position: positionOutside(epoch, position) };
}

function onlyGiven<T extends Record<string, string | undefined>>(filter: T): { [K in keyof T]?: string } {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: string };
}
