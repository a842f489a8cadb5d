import type { Namespace, Project } from './records.ts';
import type { State } from './state.ts';

/** Where a path leads: to the project that has it, or to one that had it. */
export type PathTarget = { kind: 'current'; project: Project } | { kind: 'moved'; project: Project };

export function fullPathOfNamespace(state: State, namespace: Namespace): string {
  const parent = namespace.parentId === null ? undefined : state.namespaces.get(namespace.parentId);
  return parent ? `${fullPathOfNamespace(state, parent)}/${namespace.path}` : namespace.path;
}

export function fullNameOfNamespace(state: State, namespace: Namespace): string {
  const parent = namespace.parentId === null ? undefined : state.namespaces.get(namespace.parentId);
  return parent ? `${fullNameOfNamespace(state, parent)} / ${namespace.name}` : namespace.name;
}

export function namespaceOf(state: State, project: Project): Namespace {
  const namespace = state.namespaces.get(project.namespaceId);
  if (!namespace) throw new Error(`project ${project.id} lies in namespace ${project.namespaceId}, which does not exist`);
  return namespace;
}

export function fullPathOf(state: State, project: Project): string {
  return `${fullPathOfNamespace(state, namespaceOf(state, project))}/${project.path}`;
}

/** The group itself first, then its parent, up to the root. */
export function lineOfGroup(state: State, group: Namespace): Namespace[] {
  const line: Namespace[] = [];
  for (let at: Namespace | undefined = group; at; at = at.parentId === null ? undefined : state.namespaces.get(at.parentId)) line.push(at);
  return line;
}

/** The groups above a project, nearest first; none for a project of a person. */
export function groupsAbove(state: State, project: Project): Namespace[] {
  const namespace = namespaceOf(state, project);
  return namespace.kind === 'group' ? lineOfGroup(state, namespace) : [];
}

export function descendantsOf(state: State, group: Namespace): Namespace[] {
  const children = state.namespaces.by('parent', (namespace) => namespace.parentId);
  const found: Namespace[] = [];
  const waiting = [...(children.get(group.id) ?? [])];
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    found.push(next);
    waiting.push(...(children.get(next.id) ?? []));
  }
  return found;
}

export function projectsIn(state: State, namespaceId: number): Project[] {
  return state.projects.by('namespace', (project) => project.namespaceId).get(namespaceId) ?? [];
}

export function findNamespaceByPath(state: State, fullPath: string): Namespace | undefined {
  const wanted = fullPath.toLowerCase();
  const last = wanted.slice(wanted.lastIndexOf('/') + 1);
  const candidates = state.namespaces.by('path', (namespace) => namespace.path.toLowerCase()).get(last) ?? [];
  return candidates.find((namespace) => fullPathOfNamespace(state, namespace).toLowerCase() === wanted);
}

/** Paths are compared without case, as GitLab's routes are. A path in use again leads to its new owner, not to the old one. */
export function findProjectByPath(state: State, fullPath: string): PathTarget | undefined {
  const wanted = fullPath.toLowerCase();
  const last = wanted.slice(wanted.lastIndexOf('/') + 1);
  const candidates = state.projects.by('path', (project) => project.path.toLowerCase()).get(last) ?? [];
  const current = candidates.find((project) => fullPathOf(state, project).toLowerCase() === wanted);
  if (current) return { kind: 'current', project: current };
  const redirects = state.redirects.by('path', (redirect) => redirect.path.toLowerCase()).get(wanted) ?? [];
  const moved = redirects.map((redirect) => state.projects.get(redirect.projectId)).findLast((project) => project !== undefined);
  return moved ? { kind: 'moved', project: moved } : undefined;
}

/** Remembers the path a project is about to lose. */
export function rememberPath(state: State, project: Project): void {
  state.redirects.insert({ path: fullPathOf(state, project), projectId: project.id });
}
