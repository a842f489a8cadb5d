import { isReachable, objectType, readRefs, resolveCommit, zeroId, type Refs } from '../git/repository.ts';
import { notFound } from '../http/answer.ts';
import { repositoryOf, type Instance } from '../instance.ts';
import type { Project } from '../state/records.ts';

/** A repository as REST shows it now: with a lag fault, as it was before the last push. */
export interface RepositoryView {
  project: Project;
  repository: string;
  /** Null: as the repository really is. */
  lagging: Refs | null;
}

export function viewOf(instance: Instance, project: Project): RepositoryView {
  const lag = instance.lags.get(project.id);
  if (lag && instance.now().getTime() >= lag.until) instance.lags.delete(project.id);
  return { project, repository: repositoryOf(instance, project), lagging: instance.lags.get(project.id)?.refs ?? null };
}

/** Refs under a prefix, or the one ref that has exactly that name. */
export async function refsOf(view: RepositoryView, prefix: string): Promise<Refs> {
  const refs = view.lagging ?? (await readRefs(view.repository, prefix));
  return new Map([...refs].filter(([ref]) => ref === prefix || ref.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`)));
}

/** The commit of a branch, tag or id; the default branch without one. */
export async function commitOf(view: RepositoryView, revision: string | undefined): Promise<string | null> {
  const wanted = revision ?? `refs/heads/${view.project.defaultBranch}`;
  if (!view.lagging) return resolveCommit(view.repository, wanted);
  const named = view.lagging.get(wanted) ?? view.lagging.get(`refs/heads/${wanted}`) ?? view.lagging.get(`refs/tags/${wanted}`);
  if (named !== undefined) return resolveCommit(view.repository, named);
  if (!/^[0-9a-f]{4,64}$/.test(wanted)) return null;
  const found = await resolveCommit(view.repository, wanted);
  return found !== null && (await isReachable(view.repository, found, [...view.lagging.values()])) ? found : null;
}

export async function requireCommit(view: RepositoryView, revision: string | undefined, what = 'Commit'): Promise<string> {
  const id = await commitOf(view, revision);
  if (id === null) throw notFound(what);
  return id;
}

export async function isObject(view: RepositoryView, id: string, type: string): Promise<boolean> {
  const length = zeroId(view.project.objectFormat).length;
  return id.length === length && /^[0-9a-f]+$/.test(id) && (await objectType(view.repository, id)) === type;
}
