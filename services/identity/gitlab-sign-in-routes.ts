import type { Request, Router } from 'express';
import { decideSignIn as decideSignInBody, finishSignIn as finishSignInBody } from '#schemas/commands/identity-commands.ts';
import { requireAccess, type Access } from '#shared/runtime/access.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { parseBody, readJson } from '#shared/runtime/read-body.ts';
import { by, from } from './asked-by.ts';
import { beginSignIn, finishSignIn, returnFromGitLab, type GitLabSignInDeps } from './gitlab-sign-in.ts';
import { sendCode, sendFailure } from './sign-in-page.ts';
import { authProviders, decideSignIn, signInSettings, takeSignInBack } from './sign-in-settings.ts';
import { sourceIn } from './source-in.ts';

export interface GitLabSignInRouteDeps extends GitLabSignInDeps {
  readonly access: Access;
  /** Who tries too often is told so. @throws Problem 429 */
  countAddress(request: Request): Promise<void>;
}

/** Signing in by a GitLab, and what system admins decide about it. */
export function gitlabSignInRoutes(deps: GitLabSignInRouteDeps, router: Router): void {
  router.get('/v1/auth/providers', async (_request, response) => void response.json(await authProviders(deps)));
  router.post('/v1/auth/gitlab/:source', async (request, response) => {
    await deps.countAddress(request);
    response.status(201).json(await beginSignIn(deps, sourceIn(request)));
  });
  router.get('/v1/auth/gitlab/:source/callback', async (request, response) => {
    try {
      await deps.countAddress(request);
      sendCode(request, response, await returnFromGitLab(deps, sourceIn(request), { answer: new URL(request.originalUrl, deps.issuer).searchParams, address: from(request) }));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      sendFailure(request, response, error);
    }
  });
  router.post('/v1/auth/gitlab/:source/session', readJson, async (request, response) => {
    await deps.countAddress(request);
    response.json(await finishSignIn(deps, sourceIn(request), { ...parseBody(finishSignInBody, request.body), address: from(request) }));
  });

  const isKnown = requireAccess(deps.access);
  router.get('/v1/auth/providers/:source', isKnown, async (request, response) => void response.json(await signInSettings(deps, sourceIn(request))));
  router.put('/v1/auth/providers/:source', isKnown, readJson, async (request, response) => void response.json(await decideSignIn(deps, sourceIn(request), { ...parseBody(decideSignInBody, request.body), by: by(request, response) })));
  router.delete('/v1/auth/providers/:source', isKnown, async (request, response) => {
    await takeSignInBack(deps, sourceIn(request), by(request, response));
    response.status(204).end();
  });
}
