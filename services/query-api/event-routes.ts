import { Router, type Request } from 'express';
import { BEGINNING, syncId, type CodebaseId, type FactId, type SyncId } from '#schemas/brand.ts';
import { positionOutside } from '#schemas/positions.ts';
import { parseTime } from '#schemas/times.ts';
import { mayRead, onlyReadable } from '#shared/access/reading.ts';
import type { IndexedFact, Known, SyncFilter, SyncView } from '#shared/read-store/read-store.ts';
import { mustBeKnown } from '#shared/runtime/access.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { textOf } from '#shared/runtime/query-text.ts';
import { patternsOf } from './codebase-lists.ts';
import { addressOf, linkNext, pageOf, placeAfter } from './cursor.ts';
import { idOf, insideOrThrow, limitOf, onlyGiven, textsOf, timeOf } from './parameters.ts';
import { listSources } from './list-sources.ts';
import { sendTagged } from './send-tagged.ts';
import type { QueryApiDeps } from './service.ts';

/** Appends use the same connections: a page of 1,000 facts must not take them all. */
export const READS_AT_ONCE = 4;

const STATES = ['waiting', 'fetched', 'scanned', 'stored', 'skipped', 'deleted', 'failed'] as const satisfies readonly SyncView['state'][];

type Deps = QueryApiDeps & { readonly epoch: string };

/** What happened: syncs, the facts themselves, and what is set aside. */
export function eventRoutes(deps: Deps): Router {
  const { store, epoch } = deps;
  const router = Router();

  router.get('/v1/sources', async (_request, response) => void response.json({ sources: await listSources(deps) }));

  router.get('/v1/sources/:id', async (request, response) => {
    const source = (await listSources(deps)).find((one) => one.id === request.params['id']);
    if (source === undefined) throw new Problem(404, 'source-unknown', 'There is no source of this id. GET /v1/sources lists them.');
    sendTagged(response, source.revision, { ...source, polling: (await store.polling(source.id)) ?? null });
  });

  router.get('/v1/syncs/:id', async (request, response) => {
    const id = syncId.safeParse(request.params['id']);
    const sync = id.success ? await store.sync(id.data) : undefined;
    if (sync === undefined || !(await mayRead(store, mustBeKnown(response), sync.codebaseId))) throw new Problem(404, 'sync-unknown', 'No sync of this id is known. One asked for a moment ago may need a moment; GET /v1/syncs?cause= lists those of a cause.');
    response.json(await withProgress(deps, sync));
  });

  router.get('/v1/syncs', async (request, response) => {
    const limit = limitOf(request);
    const found = await store.syncs({ ...syncFilterOf(request), ...onlyReadable(response), limit: limit + 1 });
    const { items, next } = pageOf(request, response, { found, limit, placeOf: ({ begunAt, id }) => ({ last: [begunAt, id] }) });
    response.json({ syncs: await mapBounded(items, READS_AT_ONCE, (sync) => withProgress(deps, sync)), next });
  });

  router.get('/v1/events', async (request, response) => {
    const after = textOf(request, 'after');
    const limit = limitOf(request);
    const filter = { key: textOf(request, 'key'), stream: textOf(request, 'stream'), type: textsOf(request, 'type'), until: untilOf(epoch, request) };
    // Looked at before the facts: who goes on from here may see a fact twice, and misses none.
    const position = await store.position();
    const indexed = await store.facts({ ...onlyGiven(filter), ...onlyReadable(response), after: after === undefined ? BEGINNING : insideOrThrow(epoch, after), limit });
    const events = await mapBounded(indexed, READS_AT_ONCE, (one) => factOf(deps, one));
    // A place in the log is a cursor of its own: it goes with any filter, and to the live feed.
    const next = indexed.length === limit ? positionOutside(epoch, indexed.at(-1)?.position ?? BEGINNING) : null;
    if (next !== null) linkNext(response, addressOf(request, { after: next }));
    response.json({ events, next, position: positionOutside(epoch, position) });
  });

  router.get('/v1/parked', async (request, response) => {
    const limit = limitOf(request);
    const key = textOf(request, 'key');
    const group = textOf(request, 'group');
    const after = placeAfter(request, { values: 2 });
    const isBehind = (one: readonly string[]) => after === undefined || compare(one, after) > 0;
    const found = (await deps.bus.parked(key === undefined ? {} : { key })).filter((one) => (group === undefined || one.group === group) && isBehind([one.group, one.key]))
      .sort((left, right) => compare([left.group, left.key], [right.group, right.key])).slice(0, limit + 1);
    const { items, next } = pageOf(request, response, { found, limit, placeOf: (one) => ({ last: [one.group, one.key] }) });
    response.json({ parked: items.map((one) => ({ ...one, position: positionOutside(epoch, one.position) })), next });
  });

  return router;
}

function syncFilterOf(request: Request): Omit<SyncFilter, 'limit'> {
  const states = textsOf(request, 'state');
  const wrong = states?.find((state) => !STATES.some((one) => one === state));
  if (wrong !== undefined) throw new Problem(400, 'filter-malformed', `state=${wrong} is no state of a sync. There are: ${STATES.join(', ')}.`);
  const [begunAt, id] = placeAfter(request, { values: 2 }) ?? [];
  return onlyGiven({
    cause: idOf<FactId>(request, 'cause'), codebase: idOf<CodebaseId>(request, 'codebase'), refs: patternsOf(textOf(request, 'ref')),
    states: states as readonly SyncView['state'][] | undefined, since: timeOf(request, 'since'), until: timeOf(request, 'until'),
    after: begunAt === undefined || id === undefined ? undefined : { begunAt, id: id as SyncId },
  });
}

/** A place in the log, or a time. */
function untilOf(epoch: string, request: Request): Known | undefined {
  const text = textOf(request, 'until');
  if (text === undefined) return undefined;
  const time = parseTime(text);
  return time === undefined ? { position: insideOrThrow(epoch, text) } : { time };
}

export async function withProgress({ store }: Pick<Deps, 'store'>, sync: SyncView) {
  const isUnderWay = sync.state === 'waiting' || sync.state === 'fetched' || sync.state === 'scanned';
  return { ...sync, isEnded: !isUnderWay, progress: isUnderWay ? (await store.progress(sync.id)) ?? null : null };
}

/** The index says where it stands, the log says what it is. */
async function factOf({ log, epoch }: Deps, { stream, revision, position }: IndexedFact) {
  const [fact] = await log.readStream(stream, { from: revision, limit: 1 });
  return { ...fact, position: positionOutside(epoch, position) };
}

function compare(left: readonly string[], right: readonly string[]): number {
  const at = left.findIndex((text, index) => text !== right[index]);
  return at < 0 ? 0 : (left[at] ?? '') < (right[at] ?? '') ? -1 : 1;
}
