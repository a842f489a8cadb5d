import { Router } from 'express';
import type { MemberList } from '#schemas/api/projects.ts';
import { onlyReadable } from '#shared/access/reading.ts';
import type { ProjectView } from '#shared/read-store/read-store.ts';
import { mustBeKnown } from '#shared/runtime/access.ts';
import { textOf } from '#shared/runtime/query-text.ts';
import { projectOf, stateOf } from './codebase-filter.ts';
import { summaryOf } from './codebase-routes.ts';
import { cursorOf, pageOf, placeAfter } from './cursor.ts';
import { limitOf } from './parameters.ts';
import { sendTagged } from './send-tagged.ts';
import type { QueryApiDeps } from './service.ts';

/** Codebases told with their project. What has more is read on by the link. */
const CODEBASES_MAX = 1_000;

/** Groups of codebases. */
export function projectRoutes({ store, people }: Pick<QueryApiDeps, 'store' | 'people'>): Router {
  const router = Router();

  router.get('/v1/projects', async (request, response) => {
    const limit = limitOf(request);
    const state = stateOf(textOf(request, 'state'));
    const [after = ''] = placeAfter(request, { values: 1 }) ?? [];
    const { readableBy } = onlyReadable(response);
    const found = await store.projects({ after, limit: limit + 1, ...(state === undefined ? {} : { states: [state] }), ...(readableBy === undefined ? {} : { person: readableBy }) });
    const { items, next } = pageOf(request, response, { found, limit, placeOf: ({ id }) => ({ last: [id] }) });
    response.json({ projects: items.map(projectSummaryOf), next });
  });

  router.get('/v1/projects/:id', async (request, response) => {
    const project = await projectOf(store, mustBeKnown(response), request.params['id']);
    const codebases = await store.codebases({ after: '', limit: CODEBASES_MAX, project: project.id, ...onlyReadable(response) });
    const last = codebases.at(-1);
    const address = `/v1/codebases?project=${project.id}&limit=${CODEBASES_MAX}`;
    const next = codebases.length === CODEBASES_MAX && last !== undefined ? `${address}&after=${cursorOf(address, { last: [last.id] })}` : null;
    if (next !== null) response.setHeader('Link', `<${next}>; rel="next"`);
    sendTagged(response, project.revision, { ...projectSummaryOf(project), codebases: codebases.map(summaryOf), next });
  });

  router.get('/v1/projects/:id/members', async (request, response) => {
    const project = await projectOf(store, mustBeKnown(response), request.params['id']);
    const found = await store.people(project.id);
    const names = await people.names(found.map(({ userId }) => userId));
    // Of who was erased nobody knows the name any more.
    sendTagged(response, project.revision, { members: found.map((one) => ({ ...one, name: names.get(one.userId) ?? null })) } satisfies MemberList);
  });

  return router;
}

/** Being in a project lets nobody read its codebases: those that the asker may not read are not counted either. */
function projectSummaryOf({ codebases, ...project }: ProjectView) {
  return { ...project, codebaseCount: codebases };
}
