import { groupsAbove, lineOfGroup } from '../state/paths.ts';
import type { Hook, Namespace, Project } from '../state/records.ts';
import type { State } from '../state/state.ts';

/** Something that hooks are told of. */
export interface Occurrence {
  /** Trigger in GitLab's words: `push_hooks`, `tag_push_hooks`, `member_hooks`, ... */
  trigger: string;
  /** The flag that a hook must have set to hear of it; null for what every system hook hears. */
  flag: string | null;
  /** X-Gitlab-Event on project and group hooks; system hooks always say `System Hook`. */
  eventHeader: string;
  payload: Record<string, unknown>;
  project: Project | null;
  /** The branch of a push event, for branch filters. */
  branch: string | null;
}

/** Which kinds of hooks hear of an occurrence. */
export type Audience = { project: boolean; groups: boolean; system: boolean };

export interface Listener {
  hook: Hook;
  eventHeader: string;
}

export function hooksOf(state: State, owner: Hook['owner'], ownerId: number | null): Hook[] {
  return state.hooks.by('owner', (hook) => `${hook.owner}:${hook.ownerId ?? ''}`).get(`${owner}:${ownerId ?? ''}`) ?? [];
}

/** `group` where the occurrence is a group's own; else the groups are those above the project. */
export function listenersTo(state: State, occurrence: Occurrence, heard: Audience & { group?: Namespace }): Listener[] {
  const { project } = occurrence;
  const groups = heard.group ? lineOfGroup(state, heard.group) : project ? groupsAbove(state, project) : [];
  const own = heard.project && project ? hooksOf(state, 'project', project.id) : [];
  const grouped = heard.groups ? groups.flatMap((group) => hooksOf(state, 'group', group.id)) : [];
  const system = heard.system ? hooksOf(state, 'system', null) : [];
  const { flag } = occurrence;
  return [
    ...[...own, ...grouped].filter((hook) => flag !== null && hook.flags[flag]).map((hook) => ({ hook, eventHeader: occurrence.eventHeader })),
    ...system.filter((hook) => flag === null || !(flag in hook.flags) || hook.flags[flag]).map((hook) => ({ hook, eventHeader: 'System Hook' })),
  ].filter(({ hook }) => occurrence.branch === null || letsBranchPass(hook, occurrence.branch));
}

export function letsBranchPass(hook: Hook, branch: string): boolean {
  const filter = hook.pushEventsBranchFilter;
  if (filter === '') return true;
  switch (hook.branchFilterStrategy) {
    case 'all_branches':
      return true;
    case 'wildcard': {
      const pattern = filter.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*');
      return new RegExp(`^${pattern}$`, 's').test(branch);
    }
    case 'regex':
      return new RegExp(filter).test(branch);
    default:
      return hook.branchFilterStrategy satisfies never;
  }
}
