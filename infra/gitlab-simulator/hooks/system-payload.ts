import type { Instance } from '../instance.ts';
import { effectiveMembersOfProject, roleName } from '../state/access.ts';
import { fullPathOf, fullPathOfNamespace, namespaceOf } from '../state/paths.ts';
import type { Namespace, Project, User } from '../state/records.ts';

/** Seconds, as XML schema dates: where REST shows milliseconds, these payloads do not. */
function showTime(iso: string): string {
  return iso.replace(/\.\d+Z$/, 'Z');
}

export function projectPayload(instance: Instance, eventName: string, project: Project, oldPath?: string): Record<string, unknown> {
  const owners = ownersOf(instance, project);
  const owner = owners[0];
  return {
    event_name: eventName,
    created_at: showTime(project.createdAt),
    updated_at: showTime(project.updatedAt),
    name: project.name,
    path: project.path,
    path_with_namespace: fullPathOf(instance.state, project),
    project_id: project.id,
    project_namespace_id: project.namespaceId,
    owner_name: owner?.name ?? '',
    owner_email: owner?.email ?? '',
    owners: owners.map(({ name, email }) => ({ name, email })),
    project_visibility: project.visibility,
    ...(oldPath === undefined ? {} : { old_path_with_namespace: oldPath }),
  };
}

function ownersOf(instance: Instance, project: Project): User[] {
  const namespace = namespaceOf(instance.state, project);
  const own = instance.state.users.get(namespace.ownerId ?? 0);
  if (own) return [own];
  const members = effectiveMembersOfProject({ state: instance.state, now: () => instance.now() }, project).filter(({ accessLevel }) => accessLevel >= 50);
  return members.flatMap(({ member }) => instance.state.users.get(member.userId) ?? []);
}

export function groupPayload(instance: Instance, eventName: string, group: Namespace, old?: { path: string; fullPath: string }): Record<string, unknown> {
  return {
    event_name: eventName,
    created_at: showTime(group.createdAt),
    updated_at: showTime(group.updatedAt),
    name: group.name,
    path: group.path,
    full_path: fullPathOfNamespace(instance.state, group),
    group_id: group.id,
    ...(old === undefined ? {} : { old_path: old.path, old_full_path: old.fullPath }),
  };
}

export function subgroupPayload(instance: Instance, eventName: string, group: Namespace, parent: Namespace): Record<string, unknown> {
  return {
    ...groupPayload(instance, eventName, group),
    parent_group_id: parent.id,
    parent_name: parent.name,
    parent_path: parent.path,
    parent_full_path: fullPathOfNamespace(instance.state, parent),
  };
}

export interface Membership {
  userId: number;
  accessLevel: number;
  project: Project | null;
  group: Namespace | null;
  expiresAt: string | null;
}

/** Roles are words here, numbers in REST. */
export function memberPayload(instance: Instance, eventName: string, membership: Membership): Record<string, unknown> {
  const user = instance.state.users.get(membership.userId);
  const now = showTime(instance.now().toISOString());
  const person = { user_id: membership.userId, user_name: user?.name ?? '', user_username: user?.username ?? '', user_email: user?.email ?? '' };
  const { project, group } = membership;
  if (project) {
    return {
      created_at: now,
      updated_at: now,
      event_name: eventName,
      access_level: roleName(membership.accessLevel),
      project_id: project.id,
      project_name: project.name,
      project_path: project.path,
      project_path_with_namespace: fullPathOf(instance.state, project),
      project_visibility: project.visibility,
      ...person,
    };
  }
  return {
    created_at: now,
    updated_at: now,
    event_name: eventName,
    group_access: roleName(membership.accessLevel),
    group_id: group?.id ?? null,
    group_name: group?.name ?? '',
    group_path: group?.path ?? '',
    group_plan: null,
    expires_at: membership.expiresAt,
    ...person,
  };
}
