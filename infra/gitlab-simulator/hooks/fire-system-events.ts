import { randomUUID } from 'node:crypto';

import type { Instance } from '../instance.ts';
import type { Namespace, Project, User } from '../state/records.ts';
import { groupPayload, memberPayload, projectPayload, subgroupPayload, type Membership } from './system-payload.ts';

/** Of these, group hooks hear only creation and destruction; the rest is told to system hooks alone. */
const PROJECT_EVENTS_OF_GROUPS = ['project_create', 'project_destroy'];

export function fireProjectEvent(instance: Instance, eventName: string, project: Project, oldPath?: string): void {
  const payload = projectPayload(instance, eventName, project, oldPath);
  const eventUuid = randomUUID();
  fireToSystem(instance, payload, { eventUuid, project });
  if (!PROJECT_EVENTS_OF_GROUPS.includes(eventName)) return;
  const occurrence = { trigger: 'project_hooks', flag: 'project_events', eventHeader: 'Project Hook', payload, project, branch: null };
  instance.hooks.fire(occurrence, { project: false, groups: true, system: false }, eventUuid);
}

export function fireGroupEvent(instance: Instance, eventName: string, group: Namespace, old?: { path: string; fullPath: string }): void {
  const eventUuid = randomUUID();
  fireToSystem(instance, groupPayload(instance, eventName, group, old), { eventUuid, project: null });
  const parent = group.parentId === null ? undefined : instance.state.namespaces.get(group.parentId);
  if (!parent || eventName === 'group_rename') return;
  const payload = subgroupPayload(instance, eventName.replace('group_', 'subgroup_'), group, parent);
  const occurrence = { trigger: 'subgroup_hooks', flag: 'subgroup_events', eventHeader: 'Subgroup Hook', payload, project: null, branch: null };
  instance.hooks.fire(occurrence, { project: false, groups: true, system: false, group: parent }, eventUuid);
}

/** Only rows that are a membership themselves are told of; what follows from them for others is not. */
export function fireMemberEvent(instance: Instance, verb: 'add' | 'update' | 'remove', membership: Membership): void {
  const eventUuid = randomUUID();
  const names = membership.project
    ? { add: 'user_add_to_team', update: 'user_update_for_team', remove: 'user_remove_from_team' }
    : { add: 'user_add_to_group', update: 'user_update_for_group', remove: 'user_remove_from_group' };
  const payload = memberPayload(instance, names[verb], membership);
  fireToSystem(instance, payload, { eventUuid, project: membership.project });
  if (!membership.group) return;
  const occurrence = { trigger: 'member_hooks', flag: 'member_events', eventHeader: 'Member Hook', payload, project: null, branch: null };
  instance.hooks.fire(occurrence, { project: false, groups: true, system: false, group: membership.group }, eventUuid);
}

export function fireUserEvent(instance: Instance, eventName: string, user: User, more: Record<string, unknown> = {}): void {
  const time = instance.now().toISOString().replace(/\.\d+Z$/, 'Z');
  const payload = { event_name: eventName, created_at: time, updated_at: time, name: user.name, email: user.email, username: user.username, user_id: user.id, ...more };
  fireToSystem(instance, payload, { eventUuid: randomUUID(), project: null });
}

function fireToSystem(instance: Instance, payload: Record<string, unknown>, about: { eventUuid: string; project: Project | null }): void {
  const occurrence = { trigger: 'system_hooks', flag: null, eventHeader: 'System Hook', payload, project: about.project, branch: null };
  instance.hooks.fire(occurrence, { project: false, groups: false, system: true }, about.eventUuid);
}
