import { Router, type Request, type Response } from 'express';
import { ackCursor, createFollower as createFollowerBody, followerName, type FollowerEntry, type SnapshotLine } from '#schemas/api/followers.ts';
import { positionInside, positionOutside } from '#schemas/positions.ts';
import type { Position } from '#schemas/brand.ts';
import { actorOf, mustBeKnown, requireAccess, type Access } from '#shared/runtime/access.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { textOf } from '#shared/runtime/query-text.ts';
import { parseBody, readJson } from '#shared/runtime/read-body.ts';
import { untilDrained } from '../patience.ts';
import { acknowledge } from './acknowledge.ts';
import { parseCursor, placeCursor } from './cursor.ts';
import { answerOf, createFollower, findFollower, listFollowers, removeFollower, type StoreDeps } from './follower-store.ts';
import { followerGone, type Follower } from './follower-rows.ts';
import { snapshotLines } from './snapshot.ts';
import { judgeWebhook, type WebhookGuards } from './judge-webhook.ts';
import { pageWithNews, type WaitDeps } from './wait-for-news.ts';
import { redeliver } from './webhook-rows.ts';

export interface RouteDeps extends WaitDeps, StoreDeps, WebhookGuards { readonly access: Access }

const LIMIT_DEFAULT = 1_000;
/** Some 2 MB of lines: a page is made whole before it is judged and told. */
const LIMIT_MAX = 5_000;
/** Shorter than the patience of most proxies. */
const WAIT_S_MAX = 55;
/** Each costs a connection, and a look at the tables whenever something happens. */
const WAITING_MAX = 1_000;
const READS_AT_ONCE = 4;
/** A client may load files while it reads a snapshot; one that takes nothing for so long is gone. */
const UNREAD_MS_MAX = 600_000;

/** `/v1/followers`: made, looked at, asked for changes and acknowledged. @param stopping lets those go that wait. */
export function followerRoutes(deps: RouteDeps, stopping: AbortSignal): Router {
  const { pool, epoch } = deps;
  const router = Router();
  let waiting = 0;
  router.use('/v1/followers', requireAccess(deps.access));

  router.post('/v1/followers', readJson, async (request, response) => {
    const wish = parseBody(createFollowerBody, request.body);
    const caller = mustBeKnown(response);
    await judgeWebhook(deps, wish, caller);
    const { follower, isNew, secret } = await createFollower(deps, caller.actor, { ...wish, isPublicOnly: !caller.isSystemAdmin });
    const answer = await answerOf(pool, epoch, follower);
    response.status(isNew ? 201 : 200).location(`/v1/followers/${follower.name}`).json({ ...answer, ...(secret === undefined ? {} : { webhookSecret: secret }) });
  });

  router.get('/v1/followers', async (_request, response) => {
    const followers = await listFollowers(pool, actorOf(response));
    response.json({ followers: await mapBounded(followers, READS_AT_ONCE, (one) => answerOf(pool, epoch, one)) });
  });

  router.get('/v1/followers/:name', async (request, response) => void response.json(await answerOf(pool, epoch, await find(request, response))));

  router.delete('/v1/followers/:name', async (request, response) => {
    await removeFollower(deps, actorOf(response), nameOf(request));
    response.status(204).end();
  });

  router.get('/v1/followers/:name/snapshot', async (request, response) => {
    const follower = await find(request, response);
    const at = await positionOf(deps, textOf(request, 'at'));
    const lines = snapshotLines(deps, follower, { at, signal: until(response, stopping) });
    await sendLines(response, lines);
  });

  router.get('/v1/followers/:name/changes', async (request, response) => {
    const follower = await find(request, response);
    const after = textOf(request, 'after');
    const cursor = after === undefined ? undefined : parseCursor(epoch, after);
    if (flagOf(request, 'ack')) {
      if (cursor === undefined) throw new Problem(400, 'cursor-missing', 'ack=true acknowledges the cursor given as after=.');
      await acknowledge(pool, follower.id, { cursor, now: deps.now() });
    }
    const waitMs = waitOf(request);
    if (waitMs > 0 && waiting >= WAITING_MAX) throw new Problem(503, 'too-many-wait', `${WAITING_MAX} requests wait for changes already.`, { retryAfterS: 5 });
    if (waitMs > 0) waiting += 1;
    try {
      const page = await pageWithNews(deps, follower, { after: cursor, limit: limitOf(request), waitMs, signal: until(response, stopping) });
      response.type('application/x-ndjson').set('Cache-Control', 'no-store').send(page.entries.map(lineOf).join(''));
    } finally {
      if (waitMs > 0) waiting -= 1;
    }
  });

  router.post('/v1/followers/:name/ack', readJson, async (request, response) => {
    const follower = await find(request, response);
    const { cursor } = parseBody(ackCursor, request.body);
    const { place, heldPosition } = await acknowledge(pool, follower.id, { cursor: parseCursor(epoch, cursor), now: deps.now() });
    response.json({ cursor: placeCursor(epoch, place), position: heldPosition === null ? null : positionOutside(epoch, heldPosition) });
  });

  router.post('/v1/followers/:name/webhook/redeliver', async (request, response) => {
    const follower = await find(request, response);
    if (!(await redeliver(pool, follower.id))) throw new Problem(409, 'no-webhook', 'This follower has no webhook. It is given when the follower is made.');
    response.status(202).json(await answerOf(pool, epoch, follower));
  });

  return router;

  function find(request: Request, response: Response): Promise<Follower> {
    return findFollower(pool, actorOf(response), nameOf(request));
  }
}

const lineOf = (line: FollowerEntry | SnapshotLine) => `${JSON.stringify(line)}\n`;

function nameOf(request: Request): string {
  const parsed = followerName.safeParse(request.params['name']);
  if (!parsed.success) throw followerGone(String(request.params['name']));
  return parsed.data;
}

/** Aborts when the client has gone, or the service stops. */
function until(response: Response, stopping: AbortSignal): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return AbortSignal.any([gone.signal, stopping]);
}

/** Nothing is sent before the first lines were judged: what goes wrong until then is a problem of its own. */
async function sendLines(response: Response, lines: AsyncIterable<readonly SnapshotLine[]>): Promise<void> {
  for await (const some of lines) {
    if (!response.headersSent) response.type('application/x-ndjson').set('Cache-Control', 'no-store');
    if (!response.write(some.map(lineOf).join('')) && !response.destroyed && !(await untilDrained(response, { msMax: UNREAD_MS_MAX }))) response.destroy();
    if (response.destroyed) return;
  }
  response.end();
}

async function positionOf({ epoch, store }: Pick<RouteDeps, 'epoch' | 'store'>, text: string | undefined): Promise<Position | undefined> {
  if (text === undefined) return undefined;
  const inside = positionInside(epoch, text);
  if (inside.kind === 'otherEpoch') throw new Problem(410, 'position-of-another-log', 'This position is of a log that was rebuilt or moved since. Ask without at=.');
  if (inside.kind === 'malformed') throw new Problem(400, 'position-malformed', 'at= takes a position as answers give it.');
  if (inside.position > (await store.position())) throw new Problem(409, 'position-not-reached', 'The tables have not reached this position yet. Ask again in a moment.', { retryAfterS: 1 });
  return inside.position;
}

function flagOf(request: Request, name: string): boolean {
  const value = textOf(request, name);
  if (value !== undefined && value !== 'true' && value !== 'false') throw new Problem(400, 'flag-malformed', `${name}= takes true or false.`);
  return value === 'true';
}

function limitOf(request: Request): number {
  const value = textOf(request, 'limit');
  if (value === undefined) return LIMIT_DEFAULT;
  if (!/^\d{1,6}$/.test(value) || Number(value) < 1) throw new Problem(400, 'page-malformed', `limit= takes a whole number from 1 to ${LIMIT_MAX}.`);
  return Math.min(LIMIT_MAX, Number(value));
}

/** In milliseconds. */
function waitOf(request: Request): number {
  const value = textOf(request, 'wait');
  if (value === undefined) return 0;
  if (!/^\d{1,3}s$/.test(value)) throw new Problem(400, 'wait-malformed', `wait= takes seconds, such as 30s, up to ${WAIT_S_MAX}s.`);
  return Math.min(WAIT_S_MAX, Number(value.slice(0, -1))) * 1_000;
}
