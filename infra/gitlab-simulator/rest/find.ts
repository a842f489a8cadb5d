import type { Instance } from '../instance.ts';
import { ApiError, forbidden, notFound, unauthorized } from '../http/answer.ts';
import type { Call } from '../http/router.ts';
import { accessToGroup, accessToProject, mayReadCode, maySeeGroup, maySeeProject, type AccessContext } from '../state/access.ts';
import { findNamespaceByPath, findProjectByPath } from '../state/paths.ts';
import type { Namespace, Project, User } from '../state/records.ts';

export function accessContext(instance: Instance): AccessContext {
  return { state: instance.state, now: () => instance.now() };
}

/** The person or bot asking, for endpoints that nobody anonymous may use. */
export function requireUser(call: Call): User {
  if (!call.caller?.user) throw unauthorized();
  return call.caller.user;
}

export function requireAdmin(call: Call): User {
  const user = requireUser(call);
  if (!user.isAdmin) throw forbidden();
  return user;
}

/** The project of `/projects/:id`, if the caller may see it. A path it had before leads on to its number. */
export function findProject(instance: Instance, call: Call): Project {
  const given = call.path['id'] ?? '';
  const project = /^\d+$/.test(given) ? instance.state.projects.get(Number.parseInt(given, 10)) : projectByPath(instance, call, given);
  if (!project || !maySeeProject(accessContext(instance), call.caller, project)) throw notFound('Project');
  return project;
}

function projectByPath(instance: Instance, call: Call, fullPath: string): Project | undefined {
  const target = findProjectByPath(instance.state, fullPath);
  if (target?.kind !== 'moved' || !maySeeProject(accessContext(instance), call.caller, target.project)) return target?.kind === 'current' ? target.project : undefined;
  if (call.method !== 'GET' && call.method !== 'HEAD') throw new ApiError(405, { message: 'Non GET methods are not allowed for moved projects' });
  const [prefix = ''] = call.url.pathname.split('/projects/');
  const rest = call.url.pathname.slice(`${prefix}/projects/`.length).split('/').slice(1);
  const location = [`${call.url.origin}${prefix}/projects/${target.project.id}`, ...rest].join('/') + call.url.search;
  throw new ApiError(302, `This resource has been moved temporarily to ${location}.`, { Location: location });
}

export function findProjectWithCode(instance: Instance, call: Call): Project {
  const project = findProject(instance, call);
  if (!mayReadCode(accessContext(instance), call.caller, project)) throw call.caller ? forbidden() : unauthorized();
  return project;
}

export function findProjectAtLeast(instance: Instance, call: Call, access: number): Project {
  const project = findProject(instance, call);
  requireUser(call);
  if (accessToProject(accessContext(instance), call.caller, project) < access) throw forbidden();
  return project;
}

export function findGroup(instance: Instance, call: Call, given = call.path['id'] ?? ''): Namespace {
  const group = /^\d+$/.test(given) ? instance.state.namespaces.get(Number.parseInt(given, 10)) : findNamespaceByPath(instance.state, given);
  if (group?.kind !== 'group' || !maySeeGroup(accessContext(instance), call.caller, group)) throw notFound('Group');
  return group;
}

export function findGroupAtLeast(instance: Instance, call: Call, access: number): Namespace {
  const group = findGroup(instance, call);
  requireUser(call);
  if (accessToGroup(accessContext(instance), call.caller, group) < access) throw forbidden();
  return group;
}
