import { Router, type Request } from 'express';
import type { AccessThen } from '#schemas/api/access.ts';
import type { CodebaseId, Position } from '#schemas/brand.ts';
import { positionOutside } from '#schemas/positions.ts';
import { codebaseUnknown } from '#shared/access/reading.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { textOf } from '#shared/runtime/query-text.ts';
import { foldAccess, readingsOf, unheardOf, type Reading } from './access-history.ts';
import { addressOf, cursorOf, linkNext, placeAfter } from './cursor.ts';
import { idOf, limitOf } from './parameters.ts';
import { bindingsRecordedAt, factsOfCodebase, factsOfSomebody, type OfSomebody } from './read-access.ts';
import { parseAt } from './resolve-version.ts';
import type { QueryApiDeps } from './service.ts';

type Deps = Pick<QueryApiDeps, 'store' | 'log' | 'people'> & { readonly epoch: string };

/** `GET /v1/access`: who could read a codebase, or what somebody could read, as of any moment, folded from the facts. */
export function accessHistoryRoute(deps: Deps): Router {
  const { epoch, log, people } = deps;
  const router = Router();
  router.get('/v1/access', async (request, response) => {
    const [codebase, user] = [idOf<CodebaseId>(request, 'codebase'), idOf(request, 'user')];
    if ((codebase === undefined) === (user === undefined)) throw new Problem(400, 'access-of-what', 'One of codebase= and user= says whose access is asked for.');
    const until = await untilOf(deps, request);
    const { facts, last } = codebase === undefined ? await ofSomebody(deps, request, { user: user ?? '', until }) : { facts: await factsOfCodebase(deps, codebase, until), last: undefined };
    if (facts === undefined) throw codebaseUnknown(codebase);
    const then = foldAccess(facts);
    const readings = readingsOf(then, user);
    const names = await people.names([...new Set(readings.flatMap(({ userId, since: { actor } }) => [...(userId === null ? [] : [userId]), ...(actor.kind === 'user' ? [actor.id] : [])]))]);
    const recordedAt = await bindingsRecordedAt(log);
    // What follows is of the same moment.
    const pinned = { at: positionOutside(epoch, until) };
    const next = last === undefined ? null : addressOf(request, { ...pinned, after: cursorOf(addressOf(request, pinned), { last: [last] }) });
    if (next !== null) linkNext(response, next);
    response.json({
      position: pinned.at,
      readings: readings.map((reading) => shown(epoch, reading, names)),
      unknown: [
        ...(recordedAt !== undefined && until < recordedAt ? [{ what: 'bindings' as const, codebase: null }] : []),
        ...unheardOf(then).map((id) => ({ what: 'gitlab-readers' as const, codebase: id })),
      ],
      next,
    } satisfies AccessThen);
  });
  return router;
}

/** What the tables have not reached is not yet known. @throws Problem 400, 410 */
async function untilOf({ store, epoch }: Deps, request: Request): Promise<Position> {
  const text = textOf(request, 'at');
  const reached = await store.position();
  if (text === undefined) return reached;
  const at = parseAt(epoch, text);
  if ('commit' in at || 'observedAt' in at) throw new Problem(400, 'at-malformed', 'at= takes here a position as answers give it, or a time such as 2026-01-31T12:00:00Z.');
  const asked = 'position' in at ? at.position : await store.positionBy(at.time);
  return asked < reached ? asked : reached;
}

/** @throws Problem 404 */
async function ofSomebody(deps: Deps, request: Request, { user, until }: { readonly user: string; readonly until: Position }): Promise<OfSomebody> {
  const [after = ''] = placeAfter(request, { values: 1 }) ?? [];
  const found = await factsOfSomebody(deps, user, { until, after, limit: limitOf(request) });
  if (found.isUnheard && !(await deps.people.names([user])).has(user)) throw new Problem(404, 'user-unknown', `There is no user ${user}, and no fact names them. GET /v1/users lists them.`);
  return found;
}

function shown(epoch: string, { since, ...reading }: Reading, names: ReadonlyMap<string, string>): AccessThen['readings'][number] {
  const { id, type, position, time, actor } = since;
  return {
    ...reading, name: reading.userId === null ? null : names.get(reading.userId) ?? null,
    since: { id, type, position: positionOutside(epoch, position), time, actor: { ...actor, name: actor.kind === 'user' ? names.get(actor.id) ?? null : null } },
  };
}
