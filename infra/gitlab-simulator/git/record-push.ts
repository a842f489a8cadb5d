import { repositoryOf, type Instance } from '../instance.ts';
import { firePushHooks } from '../hooks/fire-push-hooks.ts';
import type { Project, User } from '../state/records.ts';
import { runGit } from './git-command.ts';
import { readRefs, zeroId, type Refs } from './repository.ts';

export interface RefChange {
  ref: string;
  before: string;
  after: string;
}

export interface Pusher {
  project: Project;
  user: User | null;
  isSilent?: boolean;
}

/** Does something to a repository's refs and tells the hooks what became different, as GitLab's post-receive job does. */
export async function recordPush<T>(instance: Instance, pusher: Pusher, work: () => Promise<T>): Promise<T> {
  return instance.locks.run(pusher.project.id, async () => {
    const repository = repositoryOf(instance, pusher.project);
    const before = await readRefs(repository);
    const result = await work();
    const after = await readRefs(repository);
    const changes = changesBetween(before, after, pusher.project.objectFormat);
    if (changes.length > 0) await settleChanges(instance, pusher, { before, after, changes });
    return result;
  });
}

export function changesBetween(before: Refs, after: Refs, objectFormat: string): RefChange[] {
  const zero = zeroId(objectFormat);
  const changes: RefChange[] = [];
  for (const [ref, id] of after) {
    const old = before.get(ref) ?? zero;
    if (old !== id) changes.push({ ref, before: old, after: id });
  }
  for (const [ref, id] of before) if (!after.has(ref)) changes.push({ ref, before: id, after: zero });
  return changes;
}

async function settleChanges(instance: Instance, pusher: Pusher, seen: { before: Refs; after: Refs; changes: RefChange[] }): Promise<void> {
  const lag = instance.faults.takeLag(pusher.project.id);
  if (lag) instance.lags.set(pusher.project.id, { until: instance.now().getTime() + lag.milliseconds, refs: seen.before });
  const project = await refreshProject(instance, pusher.project.id, seen.after);
  if (!project || pusher.isSilent) return;
  instance.inBackground(() => firePushHooks(instance, { project, user: pusher.user, changes: seen.changes }));
}

/** The first branch that comes to an empty repository becomes its default branch, `main` and `master` before others. */
export async function refreshProject(instance: Instance, projectId: number, refs: Refs): Promise<Project | undefined> {
  const project = instance.state.projects.get(projectId);
  if (!project) return undefined;
  const heads = [...refs.keys()].filter((ref) => ref.startsWith('refs/heads/')).map((ref) => ref.slice('refs/heads/'.length));
  let defaultBranch = project.defaultBranch;
  if (project.isEmpty && heads.length > 0 && !heads.includes(defaultBranch)) {
    defaultBranch = ['main', 'master'].find((name) => heads.includes(name)) ?? heads[0] ?? defaultBranch;
    await runGit({ args: ['-C', repositoryOf(instance, project), 'symbolic-ref', 'HEAD', `refs/heads/${defaultBranch}`] });
  }
  const now = instance.now().toISOString();
  return instance.state.projects.put({ ...project, defaultBranch, isEmpty: heads.length === 0, lastActivityAt: now, updatedAt: now });
}
