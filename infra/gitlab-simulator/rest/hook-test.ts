import { randomUUID } from 'node:crypto';

import { readLog, resolveCommit } from '../git/repository.ts';
import { ApiError, invalidParameter, json, type Answer } from '../http/answer.ts';
import { memberPayload, projectPayload } from '../hooks/system-payload.ts';
import { pushPayload, tagPushPayload } from '../hooks/push-payload.ts';
import { repositoryOf, type Instance } from '../instance.ts';
import { projectsIn } from '../state/paths.ts';
import type { Hook, Project } from '../state/records.ts';

export interface HookTest {
  hook: Hook;
  trigger: string;
  project: Project | null;
}

const COMMITS_OF_TEST = 3;
const TRIGGERS: Record<string, { trigger: string; eventHeader: string }> = {
  push_events: { trigger: 'push_hooks', eventHeader: 'Push Hook' },
  tag_push_events: { trigger: 'tag_push_hooks', eventHeader: 'Tag Push Hook' },
  merge_requests_events: { trigger: 'merge_request_hooks', eventHeader: 'Merge Request Hook' },
  issues_events: { trigger: 'issue_hooks', eventHeader: 'Issue Hook' },
  note_events: { trigger: 'note_hooks', eventHeader: 'Note Hook' },
  job_events: { trigger: 'job_hooks', eventHeader: 'Job Hook' },
  pipeline_events: { trigger: 'pipeline_hooks', eventHeader: 'Pipeline Hook' },
  wiki_page_events: { trigger: 'wiki_page_hooks', eventHeader: 'Wiki Page Hook' },
  releases_events: { trigger: 'release_hooks', eventHeader: 'Release Hook' },
  member_events: { trigger: 'member_hooks', eventHeader: 'Member Hook' },
  project_events: { trigger: 'project_hooks', eventHeader: 'Project Hook' },
};

/** Sends real-looking data at once, also to a disabled hook: a 2xx revives it. */
export async function testHook(instance: Instance, test: HookTest): Promise<Answer> {
  const known = TRIGGERS[test.trigger];
  if (!known) throw invalidParameter('trigger does not have a valid value');
  const project = test.project ?? projectsIn(instance.state, test.hook.ownerId ?? 0)[0] ?? null;
  const payload = await testPayload(instance, test.trigger, project);
  const delivery = await deliver(instance, test.hook, { ...known, payload, project });
  const status = Number(delivery.responseStatus);
  if (status >= 200 && status < 400) return json({ message: '201 Created' }, 201);
  throw new ApiError(422, { message: Number.isNaN(status) ? delivery.responseBody : `Hook executed successfully but returned HTTP ${status} ${delivery.responseBody}`.trim() });
}

/** POST /hooks/:id does not create: it fires the system hook with a made-up project_create. */
export async function executeSystemHook(instance: Instance, hook: Hook): Promise<Answer> {
  const payload = {
    event_name: 'project_create',
    name: 'Ruby',
    path: 'ruby',
    project_id: 1,
    owner_name: 'Someone',
    owner_email: 'example@gitlabhq.com',
  };
  await deliver(instance, hook, { trigger: 'system_hooks', eventHeader: 'System Hook', payload, project: null });
  return json(payload, 201);
}

function deliver(instance: Instance, hook: Hook, what: { trigger: string; eventHeader: string; payload: Record<string, unknown>; project: Project | null }) {
  const { project, ...rest } = what;
  return instance.hooks.deliverNow({ ...rest, hookId: hook.id, projectId: project?.id ?? null, idempotencyKey: randomUUID(), eventUuid: randomUUID(), isTest: true });
}

async function testPayload(instance: Instance, trigger: string, project: Project | null): Promise<Record<string, unknown>> {
  if (!project) throw new ApiError(422, { message: 'Ensure the group has a project with commits.' });
  switch (trigger) {
    case 'push_events':
    case 'tag_push_events':
      return testPush(instance, trigger, project);
    case 'member_events':
      return memberPayload(instance, 'user_add_to_group', { userId: 1, accessLevel: 40, group: instance.state.namespaces.get(project.namespaceId) ?? null, project: null, expiresAt: null });
    case 'project_events':
      return projectPayload(instance, 'project_create', project);
    default:
      return { object_kind: trigger.replace(/s?_events$/, ''), project: { id: project.id } };
  }
}

/** The last three commits of the default branch, dressed up as a push that never happened. */
async function testPush(instance: Instance, trigger: string, project: Project): Promise<Record<string, unknown>> {
  const repository = repositoryOf(instance, project);
  const head = await resolveCommit(repository, `refs/heads/${project.defaultBranch}`);
  if (head === null) throw new ApiError(422, { message: 'Ensure the project has at least one commit.' });
  const commits = await readLog(repository, { tips: [head], limit: COMMITS_OF_TEST });
  const before = commits.at(-1)?.id ?? head;
  const user = instance.state.users.get(1) ?? null;
  if (trigger === 'tag_push_events') return tagPushPayload(instance, { project, user, change: { ref: 'refs/tags/v1.0.0', before, after: head } });
  return pushPayload(instance, { project, user, change: { ref: `refs/heads/${project.defaultBranch}`, before, after: head } });
}
