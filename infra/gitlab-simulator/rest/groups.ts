import { ApiError, badRequest, json } from '../http/answer.ts';
import { isKeyset, offsetPage } from '../http/paging.ts';
import type { Call, Route } from '../http/router.ts';
import { fireGroupEvent } from '../hooks/fire-system-events.ts';
import type { Instance } from '../instance.ts';
import { accessToGroup, effectiveMembersOfGroup, maySeeGroup, maySeeProject, OWNER, sharesOf } from '../state/access.ts';
import { createGroup } from '../state/create-user.ts';
import { descendantsOf, findNamespaceByPath, fullPathOfNamespace, projectsIn, rememberPath } from '../state/paths.ts';
import type { Namespace, Project } from '../state/records.ts';
import { accessContext, findGroup, findGroupAtLeast, requireUser } from './find.ts';
import { destroyProject, visibilityFrom } from './project-changes.ts';
import { pageOfProjects } from './projects.ts';
import { showGroup, showNamespace } from './shapes.ts';

export function groupRoutes(instance: Instance): Route[] {
  return [
    { method: 'GET', pattern: '/groups', limit: 'groups_api', endpoint: (call) => listGroups(instance, call) },
    { method: 'POST', pattern: '/groups', endpoint: (call) => addGroup(instance, call) },
    { method: 'GET', pattern: '/groups/:id', limit: 'group_api', endpoint: (call) => json(showGroup(instance, findGroup(instance, call))) },
    { method: 'PUT', pattern: '/groups/:id', endpoint: (call) => changeGroup(instance, call) },
    { method: 'DELETE', pattern: '/groups/:id', endpoint: (call) => deleteGroup(instance, call) },
    { method: 'POST', pattern: '/groups/:id/transfer', endpoint: (call) => transferGroup(instance, call) },
    { method: 'GET', pattern: '/groups/:id/projects', limit: 'group_projects_api', endpoint: (call) => listGroupProjects(instance, call) },
    { method: 'GET', pattern: '/groups/:id/subgroups', endpoint: (call) => listSubgroups(instance, call) },
    { method: 'GET', pattern: '/groups/:id/descendant_groups', endpoint: (call) => pageOfGroups(instance, call, descendantsOf(instance.state, findGroup(instance, call))) },
    { method: 'GET', pattern: '/namespaces', endpoint: (call) => listNamespaces(instance, call) },
  ];
}

/** A person also sees the private groups above what he is a member of; a list of the groups he reached is what `membership` narrows to. */
function listGroups(instance: Instance, call: Call) {
  const all = instance.state.namespaces.all().filter((namespace) => namespace.kind === 'group');
  const topOnly = call.input.flag('top_level_only') === true;
  return pageOfGroups(instance, call, topOnly ? all.filter((group) => group.parentId === null) : all);
}

function pageOfGroups(instance: Instance, call: Call, groups: Namespace[]) {
  const context = accessContext(instance);
  const search = call.input.text('search')?.toLowerCase();
  const minAccess = call.input.flag('owned') ? OWNER : call.input.whole('min_access_level');
  const user = call.caller?.user;
  const matching = groups.filter((group) => {
    if (!maySeeGroup(context, call.caller, group)) return false;
    if (search !== undefined && !`${group.name} ${group.path}`.toLowerCase().includes(search)) return false;
    if (call.input.flag('membership') && !effectiveMembersOfGroup(context, group).some(({ member }) => member.userId === user?.id)) return false;
    return minAccess === undefined || accessToGroup(context, call.caller, group) >= minAccess;
  });
  // By name for those who are not signed in is all that GitLab pages by key.
  if (isKeyset(call) && call.caller) throw new ApiError(405, { error: 'Keyset pagination is not yet available for this type of request' });
  return offsetPage(call, sortGroups(call, matching), (group) => showGroup(instance, group), 'Group');
}

function sortGroups(call: Call, groups: Namespace[]): Namespace[] {
  const orderBy = call.input.text('order_by') ?? 'name';
  if (!['name', 'path', 'id'].includes(orderBy)) throw new ApiError(400, { error: 'order_by does not have a valid value' });
  const sign = call.input.text('sort') === 'desc' ? -1 : 1;
  const keyOf = (group: Namespace): string | number => (orderBy === 'id' ? group.id : orderBy === 'path' ? group.path : group.name.toLowerCase());
  return [...groups].sort((a, b) => sign * (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : a.id - b.id));
}

function listSubgroups(instance: Instance, call: Call) {
  const group = findGroup(instance, call);
  return pageOfGroups(instance, call, instance.state.namespaces.all().filter((namespace) => namespace.parentId === group.id));
}

/** With shared projects unless told otherwise: they belong to others. */
function listGroupProjects(instance: Instance, call: Call) {
  const group = findGroup(instance, call);
  const groups = call.input.flag('include_subgroups') ? [group, ...descendantsOf(instance.state, group)] : [group];
  const found = new Map<number, Project>();
  for (const one of groups) for (const project of projectsIn(instance.state, one.id)) found.set(project.id, project);
  if (call.input.flag('with_shared') ?? true) {
    for (const project of instance.state.projects.all()) {
      if (sharesOf(accessContext(instance), 'project', project.id).some((share) => share.groupId === group.id)) found.set(project.id, project);
    }
  }
  const visible = [...found.values()].filter((project) => maySeeProject(accessContext(instance), call.caller, project));
  return pageOfProjects(instance, call, visible);
}

function listNamespaces(instance: Instance, call: Call) {
  const user = requireUser(call);
  const search = call.input.text('search')?.toLowerCase() ?? '';
  const mine = instance.state.namespaces
    .all()
    .filter((namespace) => user.isAdmin || namespace.ownerId === user.id || (namespace.kind === 'group' && accessToGroup(accessContext(instance), call.caller, namespace) > 0))
    .filter((namespace) => namespace.path.toLowerCase().includes(search));
  return offsetPage(call, mine, (namespace) => showNamespace(instance, namespace));
}

function addGroup(instance: Instance, call: Call) {
  const user = requireUser(call);
  const { input } = call;
  const [name, path] = [input.required('name'), input.required('path')];
  const parentId = input.whole('parent_id') ?? null;
  if (parentId !== null) findGroupAtLeast(instance, { ...call, path: { id: String(parentId) } }, 40);
  if (!/^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.test(path)) throw new ApiError(400, { message: 'Failed to save group {:path=>["can contain only letters, digits, \'_\', \'-\' and \'.\'"]}' });
  refuseTakenPath(instance, parentId, path);
  const group = createGroup(instance, { name, path, parentId, visibility: visibilityFrom(input) ?? 'private', description: input.text('description') ?? '' });
  const now = instance.now().toISOString();
  // Whoever makes a group owns it.
  instance.state.members.insert({ source: 'group', sourceId: group.id, userId: user.id, accessLevel: OWNER, expiresAt: null, createdById: user.id, createdAt: now });
  fireGroupEvent(instance, 'group_create', group);
  return json(showGroup(instance, group), 201);
}

function refuseTakenPath(instance: Instance, parentId: number | null, path: string): void {
  const parent = parentId === null ? undefined : instance.state.namespaces.get(parentId);
  const fullPath = parent ? `${fullPathOfNamespace(instance.state, parent)}/${path}` : path;
  if (findNamespaceByPath(instance.state, fullPath)) throw new ApiError(400, { message: 'Failed to save group {:path=>["has already been taken"]}' });
}

/** One event for a renamed group; of the projects below it, whose paths all change, nothing is said. */
function changeGroup(instance: Instance, call: Call) {
  const before = findGroupAtLeast(instance, call, OWNER);
  const { input } = call;
  const path = input.text('path') ?? before.path;
  const old = { path: before.path, fullPath: fullPathOfNamespace(instance.state, before) };
  const isMoved = path !== before.path;
  if (isMoved) {
    refuseTakenPath(instance, before.parentId, path);
    rememberPathsBelow(instance, before);
  }
  const group = instance.state.namespaces.put({
    ...before,
    path,
    name: input.text('name') ?? before.name,
    description: input.text('description') ?? before.description,
    visibility: visibilityFrom(input) ?? before.visibility,
    updatedAt: instance.now().toISOString(),
  });
  if (isMoved) fireGroupEvent(instance, 'group_rename', group, old);
  return json(showGroup(instance, group));
}

function rememberPathsBelow(instance: Instance, group: Namespace): void {
  for (const one of [group, ...descendantsOf(instance.state, group)]) for (const project of projectsIn(instance.state, one.id)) rememberPath(instance.state, project);
}

/** Moves a group under another, or to the top without one. No event tells of it. */
function transferGroup(instance: Instance, call: Call) {
  const before = findGroupAtLeast(instance, call, OWNER);
  const parentId = call.input.whole('group_id') ?? null;
  if (parentId !== null) findGroupAtLeast(instance, { ...call, path: { id: String(parentId) } }, OWNER);
  if ([before, ...descendantsOf(instance.state, before)].some((group) => group.id === parentId)) throw badRequest('Transfer failed: Group is already a parent of that group.');
  refuseTakenPath(instance, parentId, before.path);
  rememberPathsBelow(instance, before);
  return json(showGroup(instance, instance.state.namespaces.put({ ...before, parentId, updatedAt: instance.now().toISOString() })), 201);
}

async function deleteGroup(instance: Instance, call: Call) {
  const group = findGroupAtLeast(instance, call, OWNER);
  for (const one of [...descendantsOf(instance.state, group).reverse(), group]) {
    for (const project of [...projectsIn(instance.state, one.id)]) await destroyProject(instance, project);
    fireGroupEvent(instance, 'group_destroy', one);
    for (const hook of instance.state.hooks.all()) if (hook.owner === 'group' && hook.ownerId === one.id) instance.state.hooks.remove(hook.id);
    for (const member of instance.state.members.all()) if (member.source === 'group' && member.sourceId === one.id) instance.state.members.remove(member.id);
    for (const share of instance.state.shares.all()) if (share.groupId === one.id) instance.state.shares.remove(share.id);
    instance.state.namespaces.remove(one.id);
  }
  return json({ message: '202 Accepted' }, 202);
}
