import { Router, type Request } from 'express';
import type { AuditEntry, AuditPage } from '#schemas/api/audit.ts';
import type { Position } from '#schemas/brand.ts';
import { positionOutside } from '#schemas/positions.ts';
import { parseTime } from '#schemas/times.ts';
import type { AuditFilter } from '#shared/audit/audit-entries.ts';
import { ENTRY_ACTS, FACTS_OF_PEOPLE } from '#shared/audit/recorded.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { textOf } from '#shared/runtime/query-text.ts';
import { addressOf, cursorOf, linkNext, placeAfter } from './cursor.ts';
import { READS_AT_ONCE } from './event-routes.ts';
import { limitOf, onlyGiven, textsOf, timeOf } from './parameters.ts';
import type { QueryApiDeps } from './service.ts';

type Deps = Pick<QueryApiDeps, 'audit' | 'log' | 'people' | 'store'> & { readonly epoch: string };
type Asked = Omit<AuditFilter, 'after' | 'limit'>;

/** An entry, or a fact, and its place in its own list. */
interface Item { readonly place: string; readonly shown: AuditEntry }
interface Found { readonly items: readonly Item[]; /** Of facts that were looked at and are not shown: so far, and when that was. */ readonly lookedTo?: { readonly place: string; readonly time: string } }

/** Who did what is in the fact itself: so many are looked at for one page. */
const FACTS_LOOKED_AT_MAX = 1_000;
const FACTS_A_LOOK = 200;

/** `GET /v1/audit`: what people decided, which facts tell, and what no fact does, the latest first. */
export function auditRoute(deps: Deps): Router {
  const router = Router();
  router.get('/v1/audit', async (request, response) => {
    const limit = limitOf(request);
    const asked = askedOf(request);
    const [entryPlace = '', factPlace = ''] = placeAfter(request, { values: 2, epoch: deps.epoch }) ?? [];
    const [entries, facts] = await Promise.all([entriesOf(deps, asked, { after: entryPlace, limit: limit + 1 }), factsOf(deps, asked, { before: factPlace, limit: limit + 1 })]);
    const { taken, places } = merge({ entries, facts, from: [entryPlace, factPlace], limit });
    const next = places === undefined ? null : addressOf(request, { after: cursorOf(request.originalUrl, { last: places, epoch: deps.epoch }), limit: String(limit) });
    if (next !== null) linkNext(response, next);
    response.json({ entries: await named(deps, taken), next } satisfies AuditPage);
  });
  return router;
}

function askedOf(request: Request): Asked {
  const acts = textsOf(request, 'act');
  const wrong = acts?.find((act) => !ENTRY_ACTS.includes(act) && !isOfPeople(act));
  if (wrong !== undefined) throw new Problem(400, 'filter-malformed', `act=${wrong} is nothing that is recorded. There are: ${[...ENTRY_ACTS, ...FACTS_OF_PEOPLE].sort().join(', ')}.`);
  return onlyGiven({ actor: textOf(request, 'actor'), acts, target: textOf(request, 'target'), since: timeOf(request, 'since'), until: timeOf(request, 'until') });
}

const isOfPeople = (act: string) => FACTS_OF_PEOPLE.some((type) => type === act);

async function entriesOf({ audit }: Deps, asked: Asked, { after, limit }: { readonly after: string; readonly limit: number }): Promise<Found> {
  const [, at = '', last = ''] = /^(\S+Z) (\d{1,18})$/.exec(after) ?? [];
  if (after !== '' && parseTime(at) !== at) throw new Problem(400, 'cursor-malformed', 'after= takes a cursor from the "next" of an answer, as it is. Begin again without it.');
  const found = await audit.list({ ...asked, ...(after === '' ? {} : { after: { at, id: last } }), limit });
  return { items: found.map(({ id, actor, ...entry }) => ({ place: `${entry.at} ${id}`, shown: { id, ...entry, actor: { ...actor, name: null }, position: null } })) };
}

async function factsOf({ store, log, epoch }: Deps, { actor, acts, target, since, until }: Asked, { before, limit }: { readonly before: string; readonly limit: number }): Promise<Found> {
  const types = FACTS_OF_PEOPLE.filter((type) => acts === undefined || acts.includes(type));
  const items: Item[] = [];
  let [place, time, looked] = [before, '', 0];
  while (types.length > 0 && items.length < limit) {
    if (looked >= FACTS_LOOKED_AT_MAX) return { items, lookedTo: { place, time } };
    const marks = await store.newestFacts({ types, limit: FACTS_A_LOOK, ...onlyGiven({ key: target, since, until, before: place === '' ? undefined : place as Position }) });
    const facts = await mapBounded(marks, READS_AT_ONCE, async ({ stream, revision }) => (await log.readStream(stream, { from: revision, limit: 1 }))[0]);
    for (const fact of facts) if (fact !== undefined && isBy(fact, actor)) items.push({ place: fact.position, shown: shownFact(epoch, fact) });
    if (marks.length < FACTS_A_LOOK) break;
    looked += marks.length;
    ({ position: place, time } = marks.at(-1) ?? { position: place, time });
  }
  return { items };
}

const isBy = ({ actor: { kind, id } }: Recorded, asked: string | undefined) => (kind === 'user' || kind === 'token') && (asked === undefined || asked === id);

function shownFact(epoch: string, { id, time, actor, type, key, position }: Recorded): AuditEntry {
  return { id, at: time, lastAt: time, count: 1, actor: { ...actor, name: null }, act: type, target: key, route: null, code: null, address: null, position: positionOutside(epoch, position) };
}

/** Each list in its own order, the later of their next ones first. `places`: where the next page begins in each; undefined when this was the last. */
function merge({ entries, facts, from, limit }: { readonly entries: Found; readonly facts: Found; readonly from: readonly [string, string]; readonly limit: number }) {
  const taken: AuditEntry[] = [];
  const places: [string, string] = [...from];
  let [entry, fact] = [0, 0];
  while (taken.length < limit) {
    const [nextEntry, nextFact] = [entries.items[entry], facts.items[fact]];
    // Behind what was looked at there may be later facts than this entry.
    const at = nextFact?.shown.at ?? facts.lookedTo?.time ?? '';
    if (nextEntry !== undefined && nextEntry.shown.at >= at) {
      taken.push(nextEntry.shown);
      places[0] = nextEntry.place;
      entry += 1;
    } else if (nextFact !== undefined) {
      taken.push(nextFact.shown);
      places[1] = nextFact.place;
      fact += 1;
    } else break;
  }
  if (fact === facts.items.length && facts.lookedTo !== undefined) places[1] = facts.lookedTo.place;
  const isMore = entry < entries.items.length || fact < facts.items.length || facts.lookedTo !== undefined;
  return { taken, places: isMore ? places : undefined };
}

async function named({ people }: Deps, entries: readonly AuditEntry[]): Promise<AuditEntry[]> {
  const names = await people.names([...new Set(entries.flatMap(({ actor: { kind, id } }) => (kind === 'user' && id !== null ? [id] : [])))]);
  return entries.map((entry) => ({ ...entry, actor: { ...entry.actor, name: entry.actor.id === null ? null : names.get(entry.actor.id) ?? null } }));
}
