import { Router } from 'express';
import type { ProjectView } from '#shared/read-store/read-store.ts';
import { projectOf, stateOf } from './codebase-filter.ts';
import { summaryOf } from './codebase-routes.ts';
import { cursorOf, pageOf, placeAfter } from './cursor.ts';
import { limitOf, textOf } from './parameters.ts';
import { sendTagged } from './send-tagged.ts';
import type { QueryApiDeps } from './service.ts';

/** Codebases told with their project. What has more is read on by the link. */
const CODEBASES_MAX = 1_000;

/** Groups of codebases. */
export function projectRoutes({ store }: Pick<QueryApiDeps, 'store'>): Router {
  const router = Router();

  router.get('/v1/projects', async (request, response) => {
    const limit = limitOf(request);
    const state = stateOf(textOf(request, 'state'));
    const [after = ''] = placeAfter(request, { values: 1 }) ?? [];
    const found = await store.projects({ after, limit: limit + 1, ...(state === undefined ? {} : { states: [state] }) });
    const { items, next } = pageOf(request, response, { found, limit, placeOf: ({ id }) => ({ last: [id] }) });
    response.json({ projects: items.map(projectSummaryOf), next });
  });

  router.get('/v1/projects/:id', async (request, response) => {
    const project = await projectOf(store, request.params['id']);
    const codebases = await store.codebases({ after: '', limit: CODEBASES_MAX, project: project.id });
    const last = codebases.at(-1);
    const address = `/v1/codebases?project=${project.id}&limit=${CODEBASES_MAX}`;
    const next = codebases.length === CODEBASES_MAX && last !== undefined ? `${address}&after=${cursorOf(address, { last: [last.id] })}` : null;
    if (next !== null) response.setHeader('Link', `<${next}>; rel="next"`);
    sendTagged(response, project.revision, { ...projectSummaryOf(project), codebases: codebases.map(summaryOf), next });
  });

  return router;
}

function projectSummaryOf({ codebases, ...project }: ProjectView) {
  return { ...project, codebaseCount: codebases };
}
