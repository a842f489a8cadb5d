import { Router, type Request, type Response } from 'express';
import type { z } from 'zod';
import { codebaseId, projectId, sourceId, userId, type UserId } from '#schemas/brand.ts';
import { changeCodebase, changeSource, decideOpenProjects, nameProject, nothingMore, setMember } from '#schemas/commands/commands.ts';
import type { KnownCallers } from '#shared/identity/known-callers.ts';
import { undoUntil, type CodebaseState } from '#shared/lifecycles/codebase-state.ts';
import type { ProjectState } from '#shared/lifecycles/project-state.ts';
import { actorOf } from '#shared/runtime/access.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { idempotencyKeyOf, parseBody } from '#shared/runtime/read-body.ts';
import { onChangeCodebase, type ChangeCodebaseDeps, type CodebaseCommand } from './change-codebase.ts';
import { onChangeProject, onCreateProject, type ProjectCommand } from './change-project.ts';
import { onChangeSource, onOpenProjects, onRemoveSource, onRotateSecret, type ChangeSourceDeps } from './change-source.ts';
import type { Outcome } from './decide.ts';
import { ifMatchOf, tagOf } from './if-match.ts';
import type { KnownCodebases } from './known-codebases.ts';
import type { CommandContext } from './register-source.ts';

export interface LifecycleDeps extends ChangeCodebaseDeps, ChangeSourceDeps {
  readonly sources: ChangeCodebaseDeps['sources'] & ChangeSourceDeps['sources'];
  readonly codebases: Pick<KnownCodebases, 'forget'>;
  readonly people: Pick<KnownCallers, 'user'>;
}

/** What people decide about sources, projects and codebases that are there. Each answers with the ETag that it leads to. */
export function lifecycleRoutes(deps: LifecycleDeps): Router {
  const router = Router();
  projectRoutes(deps, router);
  codebaseRoutes(deps, router);
  sourceRoutes(deps, router);
  return router;
}

function projectRoutes(deps: LifecycleDeps, router: Router): void {
  router.post('/v1/projects', async (request, response) => {
    const { state } = await onCreateProject(deps, parseBody(nameProject, request.body), contextOf(request, response));
    response.status(201).location(`/v1/projects/${state.id}`);
    sendProject(response, state);
  });
  const change = async (request: Request, response: Response, command: () => ProjectCommand) => {
    const context = contextOf(request, response);
    const id = idOf(request, 'id', { schema: projectId, what: 'project' });
    const { state } = await onChangeProject(deps, id, { ...context, ifMatch: ifMatchOf(request), command: command() });
    sendProject(response, state);
  };
  const codebaseIn = (request: Request) => idOf(request, 'codebase', { schema: codebaseId, what: 'codebase' });
  router.patch('/v1/projects/:id', (request, response) => change(request, response, () => ({ kind: 'rename', name: parseBody(nameProject, request.body).name })));
  router.post('/v1/projects/:id/archive', (request, response) => change(request, response, only(request, { kind: 'archive' })));
  router.post('/v1/projects/:id/restore', (request, response) => change(request, response, only(request, { kind: 'restore' })));
  router.delete('/v1/projects/:id', (request, response) => change(request, response, only(request, { kind: 'remove' })));
  router.put('/v1/projects/:id/codebases/:codebase', (request, response) => change(request, response, only(request, { kind: 'add-codebase', codebase: codebaseIn(request) })));
  router.delete('/v1/projects/:id/codebases/:codebase', (request, response) => change(request, response, only(request, { kind: 'remove-codebase', codebase: codebaseIn(request) })));
  router.put('/v1/projects/:id/codebases/:codebase/readers', (request, response) => change(request, response, only(request, { kind: 'give-reading', codebase: codebaseIn(request) })));
  router.delete('/v1/projects/:id/codebases/:codebase/readers', (request, response) => change(request, response, only(request, { kind: 'take-reading', codebase: codebaseIn(request) })));
  router.put('/v1/projects/:id/members/:user', async (request, response) => {
    const { role } = parseBody(setMember, request.body);
    const user = await personOf(deps, request);
    await change(request, response, () => ({ kind: 'set-member', user, role }));
  });
  router.delete('/v1/projects/:id/members/:user', (request, response) => change(request, response, only(request, { kind: 'remove-member', user: userIn(request) })));
}

function userIn(request: Request): UserId {
  const parsed = userId.safeParse(request.params['user']);
  if (!parsed.success) throw new Problem(404, 'user-unknown', 'The id of a user is a UUID. GET /v1/projects/{id}/members lists who is in a project.');
  return parsed.data;
}

/** Of an id or a name: somebody who may sign in. @throws Problem 422 | Unavailable */
async function personOf({ people }: LifecycleDeps, request: Request): Promise<UserId> {
  const found = await people.user(String(request.params['user']));
  if (found === undefined) throw new Problem(422, 'user-unknown', `Nobody signs in by the name or id ${JSON.stringify(request.params['user'])}. A system admin adds them: tekai user add.`);
  return userId.parse(found.userId);
}

function codebaseRoutes(deps: LifecycleDeps, router: Router): void {
  const change = async (request: Request, response: Response, command: () => CodebaseCommand) => {
    const context = contextOf(request, response);
    const id = idOf(request, 'id', { schema: codebaseId, what: 'codebase' });
    const outcome = await onChangeCodebase(deps, id, { ...context, ifMatch: ifMatchOf(request), command: command() });
    deps.codebases.forget(id);
    sendCodebase(response, outcome);
  };
  router.patch('/v1/codebases/:id', (request, response) => change(request, response, () => ({ kind: 'follow', ...parseBody(changeCodebase, request.body) })));
  router.post('/v1/codebases/:id/archive', (request, response) => change(request, response, only(request, { kind: 'archive' })));
  router.post('/v1/codebases/:id/restore', (request, response) => change(request, response, only(request, { kind: 'restore' })));
  router.delete('/v1/codebases/:id', (request, response) => change(request, response, only(request, { kind: 'remove' })));
}

function sourceRoutes(deps: LifecycleDeps, router: Router): void {
  router.patch('/v1/sources/:id', async (request, response) => {
    const context = contextOf(request, response);
    const id = idOf(request, 'id', { schema: sourceId, what: 'source' });
    const { state, fact } = await onChangeSource(deps, id, { ...context, ifMatch: ifMatchOf(request), body: parseBody(changeSource, request.body) });
    response.setHeader('ETag', tagOf(state.revision));
    response.json({ id, name: state.name, state: state.standing, revision: state.revision, changed: fact?.type === 'source.changed' ? fact.data.changed : [] });
  });
  router.put('/v1/sources/:id/open-projects', async (request, response) => {
    const context = contextOf(request, response);
    const id = idOf(request, 'id', { schema: sourceId, what: 'source' });
    const { state } = await onOpenProjects(deps, id, { ...context, ifMatch: ifMatchOf(request), ...parseBody(decideOpenProjects, request.body) });
    response.setHeader('ETag', tagOf(state.revision));
    response.json({ id, name: state.name, state: state.standing, revision: state.revision, changed: [] });
  });
  router.post('/v1/sources/:id/rotate-secret', async (request, response) => {
    const context = contextOf(request, response);
    parseBody(nothingMore, request.body);
    const id = idOf(request, 'id', { schema: sourceId, what: 'source' });
    const { state } = await onRotateSecret(deps, id, { ...context, ifMatch: ifMatchOf(request) });
    response.setHeader('ETag', tagOf(state.revision));
    response.json({ id, name: state.name, state: state.standing, revision: state.revision, changed: ['webhook-secret'] });
  });
  router.delete('/v1/sources/:id', async (request, response) => {
    const context = contextOf(request, response);
    parseBody(nothingMore, request.body);
    const id = idOf(request, 'id', { schema: sourceId, what: 'source' });
    const { state } = await onRemoveSource(deps, id, { ...context, ifMatch: ifMatchOf(request) });
    response.setHeader('ETag', tagOf(state.revision));
    response.json({ id, name: state.name, state: state.standing, revision: state.revision, changed: [] });
  });
}

/** A command that its address says whole: a body, if there is one, is an empty object. */
function only<Command>(request: Request, command: Command): () => Command {
  return () => { parseBody(nothingMore, request.body); return command; };
}

function idOf<T>(request: Request, name: string, { schema, what }: { schema: z.ZodType<T>; what: 'project' | 'codebase' | 'source' }): T {
  const parsed = schema.safeParse(request.params[name]);
  if (!parsed.success) throw new Problem(404, `${what}-unknown`, `The id of a ${what} is a UUID. GET /v1/${what}s lists them.`);
  return parsed.data;
}

export function contextOf(request: Request, response: Response): CommandContext {
  return { actor: actorOf(response), key: idempotencyKeyOf(request) };
}

function sendProject(response: Response, { id, name, standing, revision }: ProjectState): void {
  response.setHeader('ETag', tagOf(revision));
  response.json({ id, name, state: standing, revision });
}

function sendCodebase(response: Response, { state, fact }: Outcome<CodebaseState>): void {
  const { revision, standing, followed, registration, removal } = state;
  // What has GitLab looked at: the syncs that follow from it can be watched.
  const cause = fact?.type === 'codebase.restored' || fact?.type === 'codebase.changed' ? fact.id : null;
  response.setHeader('ETag', tagOf(revision));
  response.json({
    id: registration.data.codebaseId, state: standing, followed, revision, cause, syncs: cause === null ? null : `/v1/syncs?cause=${cause}`,
    undoUntil: removal === undefined ? null : undoUntil(removal.time),
  });
}
