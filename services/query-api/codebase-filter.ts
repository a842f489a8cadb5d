import { projectId, sourceId } from '#schemas/brand.ts';
import { projectUnknown } from '#shared/access/guard.ts';
import { onlyReadableBy } from '#shared/access/reading.ts';
import type { CodebaseFilter, CodebaseView, ProjectView, ReadStore } from '#shared/read-store/read-store.ts';
import type { Principal } from '#shared/runtime/access.ts';
import { Problem } from '#shared/runtime/problem.ts';

const STATES = ['active', 'archived', 'removed'] as const;

/** Of one that they are not in, people are told what they would be told of none. @throws Problem 404 */
export async function projectOf(store: ReadStore, principal: Principal, id: string | undefined): Promise<ProjectView> {
  const parsed = projectId.safeParse(id);
  const { readableBy } = onlyReadableBy(principal);
  const isTheirs = readableBy === undefined || (parsed.success && (await store.roleOf(parsed.data, readableBy)) !== undefined);
  const project = parsed.success && isTheirs ? await store.project(parsed.data, readableBy) : undefined;
  if (project === undefined) throw projectUnknown(id ?? '');
  return project;
}

/** `?project=`, `?source=` and `?state=` of a listing of codebases, and what of them may be shown. @throws Problem 400, 404 */
export async function codebaseFilterOf(store: ReadStore, principal: Principal, textOf: (name: string) => string | undefined): Promise<Partial<CodebaseFilter>> {
  const state: CodebaseView['state'] | undefined = stateOf(textOf('state'));
  const project = textOf('project') === undefined ? undefined : (await projectOf(store, principal, textOf('project'))).id;
  const source = sourceId.safeParse(textOf('source'));
  if (!source.success && textOf('source') !== undefined) throw new Problem(400, 'filter-malformed', 'source= takes an id, a UUID.');
  return { ...onlyReadableBy(principal), ...(state === undefined ? {} : { states: [state] }), ...(project === undefined ? {} : { project }), ...(source.success ? { source: source.data } : {}) };
}

export function stateOf(given: string | undefined): (typeof STATES)[number] | undefined {
  const state = STATES.find((one) => one === given);
  if (given !== undefined && state === undefined) throw new Problem(400, 'filter-malformed', `state= takes one of ${STATES.join(', ')}; without it, what is not removed is listed.`);
  return state;
}
