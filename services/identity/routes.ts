import { Router, type Request, type Response } from 'express';
import type { Whoami } from '#schemas/api/identity.ts';
import { addUser as addUserBody, bindGitLabUser as bindGitLabUserBody, byRefreshToken, changePassword as changePasswordBody, changeUser as changeUserBody, login, makeToken as makeTokenBody } from '#schemas/commands/identity-commands.ts';
import type { KnownCallers } from '#shared/identity/known-callers.ts';
import { actorOf, mustBeKnown, requireAccess, type Access, type Credential } from '#shared/runtime/access.ts';
import { addressOf } from '#shared/runtime/limit-requests.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { parseBody, readJson } from '#shared/runtime/read-body.ts';
import type { RequestCounts } from '#shared/runtime/request-counts.ts';
import { addUser, changeUser, eraseUser, listUsers, nameOf, resetPassword } from './accounts.ts';
import { by, from } from './asked-by.ts';
import { bindGitLabUser, gitlabUsersOf, unbindEverywhere, unbindGitLabUser } from './gitlab-users.ts';
import { forgetGrantsOf, sweepGrants } from './grants.ts';
import { listTokens, makeToken, revokeToken } from './personal-tokens.ts';
import { gitlabSignInRoutes } from './gitlab-sign-in-routes.ts';
import type { GitLabSignInDeps } from './gitlab-sign-in.ts';
import { changePassword, makeTicket, refresh, signIn, signOut } from './sign-in.ts';
import { sourceIn } from './source-in.ts';

/** Of one address, whatever names it tries: the names have a bound of their own. An office behind one address fits in. */
const SIGN_INS_A_MINUTE_MAX = 60;
const MINUTE_MS = 60_000;
/** Those who keep our keys look again within it. */
const KEYS_SECONDS = 300;

export interface RouteDeps extends GitLabSignInDeps {
  readonly access: Access;
  readonly callers: Pick<KnownCallers, 'keys'>;
  readonly counts: RequestCounts;
}

export function identityRoutes(deps: RouteDeps): Router {
  const router = Router();
  router.get('/.well-known/jwks.json', async (_request, response) => {
    response.setHeader('Cache-Control', `public, max-age=${KEYS_SECONDS}`);
    response.json(await deps.callers.keys());
  });
  // Nothing of what is answered here may lie in a cache.
  router.use(['/v1/auth', '/v1/tokens', '/v1/users'], (_request, response, next) => { response.setHeader('Cache-Control', 'no-store'); next(); });
  signInRoutes(deps, router);
  gitlabSignInRoutes({ ...deps, countAddress: (request) => countAddress(deps, request) }, router);
  ownRoutes(deps, router);
  userRoutes(deps, router);
  return router;
}

function signInRoutes(deps: RouteDeps, router: Router): void {
  router.post('/v1/auth/login', readJson, async (request, response) => {
    await countAddress(deps, request);
    response.json(await signIn(deps, { ...parseBody(login, request.body), address: from(request) }));
  });
  router.post('/v1/auth/refresh', readJson, async (request, response) => {
    await countAddress(deps, request);
    response.json(await refresh(deps, { ...parseBody(byRefreshToken, request.body), address: from(request) }));
  });
  router.post('/v1/auth/logout', readJson, async (request, response) => {
    const userId = await signOut(deps, { ...parseBody(byRefreshToken, request.body), address: from(request) });
    if (userId !== undefined) await sweepGrants(deps, userId);
    response.status(204).end();
  });
}

/** What people do about themselves. */
function ownRoutes(deps: RouteDeps, router: Router): void {
  const isKnown = requireAccess(deps.access);
  router.get('/v1/whoami', isKnown, async (_request, response) => {
    const { actor, isSystemAdmin, scope, credential } = mustBeKnown(response);
    const user = actor.kind === 'user' ? { id: actor.id, name: await nameOf(deps, actor.id) ?? '' } : null;
    response.json({ kind: credential.kind, user, isSystemAdmin, scope } satisfies Whoami);
  });
  router.post('/v1/auth/password', isKnown, readJson, async (request, response) => {
    const { userId } = mustBeSession(response);
    await countAddress(deps, request);
    await changePassword(deps, userId, { ...parseBody(changePasswordBody, request.body), address: from(request) });
    response.status(204).end();
  });
  router.post('/v1/auth/tickets', isKnown, async (_request, response) => void response.status(201).json(await makeTicket(deps, mustBeSession(response).credential.id)));

  router.get('/v1/tokens', isKnown, async (_request, response) => void response.json({ tokens: await listTokens(deps, userOf(response)) }));
  router.post('/v1/tokens', isKnown, readJson, async (request, response) => {
    const { userId } = mustBeSession(response);
    response.status(201).json(await makeToken(deps, userId, { ...parseBody(makeTokenBody, request.body), by: by(request, response) }));
  });
  router.delete('/v1/tokens/:id', isKnown, async (request, response) => {
    await revokeToken(deps, userOf(response), { id: String(request.params['id']), by: by(request, response) });
    await sweepGrants(deps, userOf(response));
    response.status(204).end();
  });
}

/** For system admins; the table of policy.ts says so. */
function userRoutes(deps: RouteDeps, router: Router): void {
  const isKnown = requireAccess(deps.access);
  router.get('/v1/users', isKnown, async (_request, response) => void response.json({ users: await listUsers(deps) }));
  router.post('/v1/users', isKnown, readJson, async (request, response) => void response.status(201).json(await addUser(deps, { ...parseBody(addUserBody, request.body), by: by(request, response) })));
  router.patch('/v1/users/:id', isKnown, readJson, async (request, response) => {
    const user = await changeUser(deps, String(request.params['id']), { ...parseBody(changeUserBody, request.body), by: by(request, response) });
    await sweepGrants(deps, user.id);
    response.json(user);
  });
  router.delete('/v1/users/:id', isKnown, async (request, response) => {
    const id = String(request.params['id']);
    await unbindEverywhere(deps, id, actorOf(response));
    await eraseUser(deps, id, by(request, response));
    await forgetGrantsOf(deps, id);
    response.status(204).end();
  });
  router.get('/v1/users/:id/gitlab-users', isKnown, async (request, response) => void response.json({ gitlabUsers: await gitlabUsersOf(deps, String(request.params['id'])) }));
  router.put('/v1/users/:id/gitlab-users/:source', isKnown, readJson, async (request, response) => {
    const id = String(request.params['id']);
    const { gitlabUserId } = parseBody(bindGitLabUserBody, request.body);
    await forgetGrantsOf(deps, id, { sourceId: sourceIn(request), butOf: gitlabUserId });
    await bindGitLabUser(deps, id, { sourceId: sourceIn(request), gitlabUserId, actor: actorOf(response) });
    response.json({ gitlabUsers: await gitlabUsersOf(deps, id, [sourceIn(request)]) });
  });
  router.delete('/v1/users/:id/gitlab-users/:source', isKnown, async (request, response) => {
    const id = String(request.params['id']);
    // Before: after it, a command that is sent again would find nothing to do.
    await forgetGrantsOf(deps, id, { sourceId: sourceIn(request) });
    await unbindGitLabUser(deps, id, { sourceId: sourceIn(request), actor: actorOf(response) });
    response.json({ gitlabUsers: await gitlabUsersOf(deps, id, [sourceIn(request)]) });
  });
  router.post('/v1/users/:id/one-time-password', isKnown, async (request, response) => {
    const user = await resetPassword(deps, String(request.params['id']), by(request, response));
    // Also of who has a personal token that stands.
    await forgetGrantsOf(deps, user.id);
    response.json(user);
  });
}

/** @throws Problem 429 */
async function countAddress({ counts, now }: RouteDeps, request: Request): Promise<void> {
  const { count, endsAt } = await counts.count(`sign-ins ${addressOf(request)}`, MINUTE_MS);
  if (count <= SIGN_INS_A_MINUTE_MAX) return;
  const retryAfterS = Math.max(1, Math.ceil((endsAt.getTime() - now().getTime()) / 1_000));
  throw new Problem(429, 'too-many-sign-ins', `More than ${SIGN_INS_A_MINUTE_MAX} sign-ins within a minute from one address. Ask again in ${retryAfterS} s.`, { retryAfterS });
}

/** @throws Problem 403: a token must not make others, or outlive by them what it was made for */
function mustBeSession(response: Response): { readonly userId: string; readonly credential: Credential & { readonly kind: 'session' } } {
  const { actor, credential } = mustBeKnown(response);
  if (credential.kind !== 'session') throw new Problem(403, 'sign-in-needed', 'This is for somebody who signed in with name and password: POST /v1/auth/login.');
  return { userId: actor.id, credential };
}

/** @throws Problem 403 */
function userOf(response: Response): string {
  const { actor } = mustBeKnown(response);
  if (actor.kind !== 'user') throw new Problem(403, 'sign-in-needed', 'The engine\'s own access token is nobody\'s, and has no tokens. Sign in: POST /v1/auth/login.');
  return actor.id;
}
