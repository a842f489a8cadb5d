import { projectId, sourceId } from '#schemas/brand.ts';
import type { CodebaseFilter, CodebaseView, ProjectView, ReadStore } from '#shared/read-store/read-store.ts';
import { Problem } from '#shared/runtime/problem.ts';

const STATES = ['active', 'archived', 'removed'] as const;

/** @throws Problem 404 */
export async function projectOf(store: ReadStore, id: string | undefined): Promise<ProjectView> {
  const parsed = projectId.safeParse(id);
  const project = parsed.success ? await store.project(parsed.data) : undefined;
  if (project === undefined) throw new Problem(404, 'project-unknown', `There is no project ${JSON.stringify(id)}. GET /v1/projects lists them; one created a moment ago may need a moment.`);
  return project;
}

/** `?project=`, `?source=` and `?state=` of a listing of codebases. @throws Problem 400, 404 */
export async function codebaseFilterOf(store: ReadStore, textOf: (name: string) => string | undefined): Promise<Partial<CodebaseFilter>> {
  const state: CodebaseView['state'] | undefined = stateOf(textOf('state'));
  const project = textOf('project') === undefined ? undefined : (await projectOf(store, textOf('project'))).id;
  const source = sourceId.safeParse(textOf('source'));
  if (!source.success && textOf('source') !== undefined) throw new Problem(400, 'filter-malformed', 'source= takes an id, a UUID.');
  return { ...(state === undefined ? {} : { states: [state] }), ...(project === undefined ? {} : { project }), ...(source.success ? { source: source.data } : {}) };
}

export function stateOf(given: string | undefined): (typeof STATES)[number] | undefined {
  const state = STATES.find((one) => one === given);
  if (given !== undefined && state === undefined) throw new Problem(400, 'filter-malformed', `state= takes one of ${STATES.join(', ')}; without it, what is not removed is listed.`);
  return state;
}
