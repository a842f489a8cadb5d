import { Router, type Request } from 'express';
import type { CodebaseId, Position, SourceId } from '#schemas/brand.ts';
import { parseFact, type Fact } from '#schemas/events/facts.ts';
import { positionOutside } from '#schemas/positions.ts';
import type { FactMark } from '#shared/read-store/read-store.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { pageOf, placeAfter } from './cursor.ts';
import { READS_AT_ONCE, withProgress } from './event-routes.ts';
import { idOf, limitOf, onlyGiven, textsOf, timeOf } from './parameters.ts';
import type { QueryApiDeps } from './service.ts';

type DeliveryFact = Fact<'push.received' | 'delivery.ignored' | 'gitlab.hinted'>;

const TYPES = { push: 'push.received', ignored: 'delivery.ignored', hinted: 'gitlab.hinted' } as const satisfies Record<string, DeliveryFact['type']>;
type Kind = keyof typeof TYPES;
const KINDS = Object.keys(TYPES) as Kind[];

/** Of one delivery: a push of 5,000 refs has as many syncs, and the list of syncs pages. */
const SYNCS_SHOWN = 100;

type Deps = QueryApiDeps & { readonly epoch: string };

/** What GitLab sent: the facts that deliveries became, and the requests themselves while they are kept. */
export function deliveryRoutes(deps: Deps): Router {
  const { store, epoch, deliveries } = deps;
  const router = Router();

  router.get('/v1/deliveries', async (request, response) => {
    const limit = limitOf(request);
    const [before] = placeAfter(request, { values: 1, epoch }) ?? [];
    const source = idOf<SourceId>(request, 'source');
    const found = await store.newestFacts({
      types: kindsOf(request).map((kind) => TYPES[kind]), limit: limit + 1,
      ...onlyGiven({
        key: idOf<CodebaseId>(request, 'codebase'), streamPrefix: source === undefined ? undefined : `delivery-${source}-`,
        since: timeOf(request, 'since'), until: timeOf(request, 'until'), before: before as Position | undefined,
      }),
    });
    const { items, next } = pageOf(request, response, { found, limit, placeOf: ({ position }) => ({ last: [position], epoch }) });
    const facts = await mapBounded(items, READS_AT_ONCE, (mark) => factOf(deps, mark));
    response.json({ deliveries: facts.flatMap((fact) => (fact === undefined ? [] : [summaryOf(epoch, fact)])), next });
  });

  router.get('/v1/deliveries/:id', async (request, response) => {
    const fact = await deliveryOf(deps, request.params['id']);
    const { deliveryId, sourceId } = fact.data;
    const [kept, syncs] = await Promise.all([deliveries.find(sourceId, deliveryId), store.syncs({ cause: fact.id, limit: SYNCS_SHOWN })]);
    response.json({
      ...summaryOf(epoch, fact),
      kept: kept === undefined ? null : { headers: kept.headers, bodyUrl: `/v1/deliveries/${deliveryId}/body` },
      syncs: await mapBounded(syncs, READS_AT_ONCE, (sync) => withProgress(deps, sync)),
    });
  });

  router.get('/v1/deliveries/:id/body', async (request, response) => {
    const { data } = await deliveryOf(deps, request.params['id']);
    const body = await deliveries.body(data.sourceId, data.deliveryId);
    if (body === undefined) throw new Problem(410, 'body-no-longer-kept', `The body of delivery ${data.deliveryId} is no longer kept. What it was understood as is at /v1/deliveries/${data.deliveryId}.`);
    // Whatever it is, a browser must not run it.
    response.set({ 'Content-Type': 'application/octet-stream', 'Content-Disposition': 'attachment', ETag: `"${data.body.sha256}"` }).send(body);
  });

  return router;
}

function kindsOf(request: Request): readonly Kind[] {
  const kinds = textsOf(request, 'kind') ?? KINDS;
  const wrong = kinds.find((kind) => !(KINDS as readonly string[]).includes(kind));
  if (wrong !== undefined) throw new Problem(400, 'filter-malformed', `kind=${wrong} is no kind of delivery. There are: ${KINDS.join(', ')}.`);
  return kinds as readonly Kind[];
}

/** @throws Problem 404 */
async function deliveryOf(deps: Deps, id: string): Promise<DeliveryFact> {
  const [mark] = await deps.store.marks({ correlations: [id.toLowerCase()], types: Object.values(TYPES) });
  const fact = mark === undefined ? undefined : await factOf(deps, mark);
  if (fact === undefined) throw new Problem(404, 'delivery-unknown', 'No delivery of this id is known. One that came a moment ago may need a moment; GET /v1/deliveries lists them.');
  return fact;
}

/** Undefined for one that this program cannot read: GET /v1/events shows it as it is. */
async function factOf({ log }: Pick<Deps, 'log'>, { stream, revision }: FactMark): Promise<DeliveryFact | undefined> {
  const [recorded] = await log.readStream(stream, { from: revision, limit: 1 });
  try {
    return recorded === undefined ? undefined : parseFact(recorded) as DeliveryFact;
  } catch {
    return undefined;
  }
}

function summaryOf(epoch: string, fact: DeliveryFact) {
  const { id, time, position, data } = fact;
  const nothing = { codebaseId: null, gitlabProjectId: null, refs: [], reason: null, about: null, event: null };
  const common = { id: data.deliveryId, fact: id, sourceId: data.sourceId, receivedAt: time, body: data.body, position: positionOutside(epoch, position) };
  switch (fact.type) {
    case 'push.received': return { ...nothing, ...common, kind: 'push', codebaseId: fact.data.codebaseId, gitlabProjectId: fact.data.gitlabProjectId, refs: fact.data.refs };
    case 'delivery.ignored': return { ...nothing, ...common, kind: 'ignored', reason: fact.data.reason };
    case 'gitlab.hinted': return { ...nothing, ...common, kind: 'hinted', about: fact.data.about, event: fact.data.event, gitlabProjectId: fact.data.gitlabProjectId };
    default: return fact satisfies never;
  }
}
