import { randomUUID } from 'node:crypto';

import type { RefChange } from '../git/record-push.ts';
import type { Instance } from '../instance.ts';
import type { Project, User } from '../state/records.ts';
import { isZero, pushPayload, repositoryUpdatePayload, tagPushPayload, type Pushed } from './push-payload.ts';

export interface PushAsSeen {
  project: Project;
  user: User | null;
  changes: RefChange[];
}

/** Tells project, group and system hooks of one push: an event per branch and tag, and one `repository_update` for all. */
export async function firePushHooks(instance: Instance, push: PushAsSeen): Promise<void> {
  const eventUuid = randomUUID();
  const everybody = { project: true, groups: true, system: true };
  for (const change of withinLimit(push.changes, instance.state.settings().pushEventHooksLimit)) {
    const pushed: Pushed = { project: push.project, user: push.user, change };
    if (change.ref.startsWith('refs/heads/')) {
      const payload = await pushPayload(instance, pushed);
      const branch = change.ref.slice('refs/heads/'.length);
      instance.hooks.fire({ trigger: 'push_hooks', flag: 'push_events', eventHeader: 'Push Hook', payload, project: push.project, branch }, everybody, eventUuid);
    } else {
      const payload = await tagPushPayload(instance, pushed);
      instance.hooks.fire({ trigger: 'tag_push_hooks', flag: 'tag_push_events', eventHeader: 'Tag Push Hook', payload, project: push.project, branch: null }, everybody, eventUuid);
    }
  }
  const payload = repositoryUpdatePayload(instance, push);
  const occurrence = { trigger: 'repository_update_hooks', flag: 'repository_update_events', eventHeader: 'System Hook', payload, project: push.project, branch: null };
  instance.hooks.fire(occurrence, { project: false, groups: false, system: true }, eventUuid);
}

/** A group of (branch or tag) and (created, updated, removed) with more refs than the limit sends nothing for any of them. */
export function withinLimit(changes: RefChange[], limit: number): RefChange[] {
  const groups = new Map<string, RefChange[]>();
  for (const change of changes) {
    const kind = change.ref.startsWith('refs/heads/') ? 'branch' : change.ref.startsWith('refs/tags/') ? 'tag' : null;
    if (kind === null) continue;
    const action = isZero(change.before) ? 'created' : isZero(change.after) ? 'removed' : 'updated';
    const key = `${kind} ${action}`;
    groups.set(key, [...(groups.get(key) ?? []), change]);
  }
  return [...groups.values()].filter((group) => group.length <= limit).flat();
}
