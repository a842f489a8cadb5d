import { rename, rm } from 'node:fs/promises';

import { runGit } from '../git/git-command.ts';
import { resolveCommit } from '../git/repository.ts';
import { ApiError, badRequest, forbidden, json, notFound, type Answer } from '../http/answer.ts';
import type { Input } from '../http/input.ts';
import type { Call, Route } from '../http/router.ts';
import { fireProjectEvent } from '../hooks/fire-system-events.ts';
import { repositoryOf, type Instance } from '../instance.ts';
import { accessToGroup, accessToProject, DEVELOPER, MAINTAINER, mayReadCode, OWNER } from '../state/access.ts';
import { createProject, forkProject, slugOf } from '../state/create-project.ts';
import { fullPathOf, fullPathOfNamespace, findNamespaceByPath, findProjectByPath, namespaceOf, rememberPath } from '../state/paths.ts';
import type { Namespace, Project, Visibility } from '../state/records.ts';
import { accessContext, findProject, findProjectAtLeast, requireUser } from './find.ts';
import { showProject } from './shapes.ts';

export function projectChangeRoutes(instance: Instance): Route[] {
  return [
    { method: 'POST', pattern: '/projects', endpoint: (call) => addProject(instance, call) },
    { method: 'PUT', pattern: '/projects/:id', endpoint: (call) => changeProject(instance, call) },
    { method: 'DELETE', pattern: '/projects/:id', endpoint: (call) => deleteProject(instance, call) },
    { method: 'POST', pattern: '/projects/:id/restore', endpoint: (call) => restoreProject(instance, call) },
    { method: 'POST', pattern: '/projects/:id/fork', endpoint: (call) => fork(instance, call) },
    { method: 'POST', pattern: '/projects/:id/archive', endpoint: (call) => setArchived(instance, call, true) },
    { method: 'POST', pattern: '/projects/:id/unarchive', endpoint: (call) => setArchived(instance, call, false) },
    { method: 'PUT', pattern: '/projects/:id/transfer', endpoint: (call) => transfer(instance, call) },
  ];
}

function shown(instance: Instance, call: Call, project: Project, status = 200): Answer {
  return json(showProject(instance, project, { access: accessToProject(accessContext(instance), call.caller, project) }), status);
}

/** Where a project may be made: the caller's own namespace, or a group in which he is a developer. */
function findNamespace(instance: Instance, call: Call, given: string | undefined): Namespace {
  const user = requireUser(call);
  const { namespaces } = instance.state;
  const own = namespaces.by('owner', (namespace) => namespace.ownerId).get(user.id)?.[0];
  const namespace = given === undefined ? own : /^\d+$/.test(given) ? namespaces.get(Number(given)) : findNamespaceByPath(instance.state, given);
  if (!namespace) throw badRequest({ namespace: ['is not valid'] });
  const isAllowed = namespace.ownerId === user.id || user.isAdmin || (namespace.kind === 'group' && accessToGroup(accessContext(instance), call.caller, namespace) >= DEVELOPER);
  if (!isAllowed) throw badRequest({ namespace: ['is not valid'], limit_reached: [] });
  return namespace;
}

async function addProject(instance: Instance, call: Call) {
  const user = requireUser(call);
  const { input } = call;
  const name = input.text('name') ?? input.text('path');
  if (name === undefined) throw new ApiError(400, { error: 'name, path are missing, at least one parameter must be provided' });
  const namespace = findNamespace(instance, call, input.text('namespace_id'));
  const path = input.text('path') ?? slugOf(name);
  refuseTaken(instance, namespace, path);
  const format = input.text('repository_object_format') ?? input.text('object_format') ?? 'sha1';
  if (format !== 'sha1' && format !== 'sha256') throw new ApiError(400, { error: 'repository_object_format does not have a valid value' });
  const project = await createProject(instance, {
    name,
    path,
    namespaceId: namespace.id,
    creatorId: user.id,
    visibility: visibilityFrom(input) ?? 'private',
    description: input.text('description') ?? null,
    defaultBranch: input.text('default_branch') ?? 'main',
    objectFormat: format,
    isWithReadme: input.flag('initialize_with_readme') === true,
  });
  fireProjectEvent(instance, 'project_create', project);
  return shown(instance, call, project, 201);
}

export function refuseTaken(instance: Instance, namespace: Namespace, path: string): void {
  if (!/^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.test(path) || /\.(git|atom)$/.test(path)) throw badRequest({ path: ["can contain only letters, digits, '_', '-' and '.'. Cannot start with '-', end in '.git' or end in '.atom'"] });
  const fullPath = `${fullPathOfNamespace(instance.state, namespace)}/${path}`;
  if (findProjectByPath(instance.state, fullPath)?.kind === 'current') throw badRequest({ name: ['has already been taken'], path: ['has already been taken'] });
}

export function visibilityFrom(input: Input): Visibility | undefined {
  const given = input.text('visibility');
  if (given === undefined || given === 'private' || given === 'internal' || given === 'public') return given;
  throw new ApiError(400, { error: 'visibility does not have a valid value' });
}

async function changeProject(instance: Instance, call: Call) {
  const before = findProjectAtLeast(instance, call, MAINTAINER);
  const { input } = call;
  const path = input.text('path') ?? before.path;
  const oldPath = fullPathOf(instance.state, before);
  const isMoved = path !== before.path;
  if (isMoved && accessToProject(accessContext(instance), call.caller, before) < OWNER) throw forbidden();
  if (isMoved) refuseTaken(instance, namespaceOf(instance.state, before), path);
  const defaultBranch = input.text('default_branch') ?? before.defaultBranch;
  if (defaultBranch !== before.defaultBranch) await changeHead(instance, before, defaultBranch);
  if (isMoved) rememberPath(instance.state, before);
  const access = input.text('repository_access_level') ?? before.repositoryAccessLevel;
  if (access !== 'enabled' && access !== 'private' && access !== 'disabled') throw new ApiError(400, { error: 'repository_access_level does not have a valid value' });
  const latest = instance.state.projects.get(before.id) ?? before;
  const project = instance.state.projects.put({
    ...latest,
    path,
    defaultBranch,
    name: input.text('name') ?? before.name,
    description: input.text('description') ?? before.description,
    visibility: visibilityFrom(input) ?? before.visibility,
    isArchived: input.flag('archived') ?? before.isArchived,
    isLfsEnabled: input.flag('lfs_enabled') ?? before.isLfsEnabled,
    topics: input.has('topics') ? input.list('topics') : before.topics,
    repositoryAccessLevel: access,
    updatedAt: instance.now().toISOString(),
  });
  // One of the two, never both.
  if (isMoved) fireProjectEvent(instance, 'project_rename', project, oldPath);
  else fireProjectEvent(instance, 'project_update', project);
  return shown(instance, call, project);
}

async function changeHead(instance: Instance, project: Project, branch: string): Promise<void> {
  const repository = repositoryOf(instance, project);
  if (!project.isEmpty && (await resolveCommit(repository, `refs/heads/${branch}`)) === null) throw badRequest({ base: [`Could not set the default branch. Do you have a branch named '${branch}' in your repository?`] });
  await runGit({ args: ['-C', repository, 'symbolic-ref', 'HEAD', `refs/heads/${branch}`] });
}

/** Marked first and gone thirty days later, or at once where the instance is set so, or by `permanently_remove` on a marked one. */
async function deleteProject(instance: Instance, call: Call) {
  const project = findProjectAtLeast(instance, call, OWNER);
  const isDelayed = instance.state.settings().isDeletionDelayed;
  const isFinal = call.input.flag('permanently_remove') === true;
  if (isFinal && isDelayed && project.markedForDeletionOn === null) throw badRequest('Project must be marked for deletion first.');
  if (isFinal && call.input.text('full_path') !== fullPathOf(instance.state, project)) throw badRequest('`full_path` is incorrect. You must enter the complete path for the project.');
  if (isDelayed && !isFinal) {
    if (project.markedForDeletionOn !== null) throw badRequest('Project has been already marked for deletion');
    markForDeletion(instance, project);
  } else await destroyProject(instance, project);
  return json({ message: '202 Accepted' }, 202);
}

function markForDeletion(instance: Instance, project: Project): void {
  rememberPath(instance.state, project);
  const suffix = `-deletion_scheduled-${project.id}`;
  const now = instance.now().toISOString();
  instance.state.projects.put({ ...project, name: project.name + suffix, path: project.path + suffix, markedForDeletionOn: now.slice(0, 10), updatedAt: now });
}

export async function destroyProject(instance: Instance, project: Project): Promise<void> {
  const { state } = instance;
  fireProjectEvent(instance, 'project_destroy', project);
  state.projects.remove(project.id);
  for (const hook of state.hooks.all()) if (hook.owner === 'project' && hook.ownerId === project.id) state.hooks.remove(hook.id);
  for (const member of state.members.all()) if (member.source === 'project' && member.sourceId === project.id) state.members.remove(member.id);
  for (const share of state.shares.all()) if (share.target === 'project' && share.targetId === project.id) state.shares.remove(share.id);
  const repository = repositoryOf(instance, project);
  await rename(repository, `${repository}.gone`);
  instance.inBackground(() => rm(`${repository}.gone`, { recursive: true, force: true }));
}

function restoreProject(instance: Instance, call: Call) {
  const project = findProjectAtLeast(instance, call, OWNER);
  if (project.markedForDeletionOn === null) throw badRequest('Project has not been marked for deletion');
  const suffix = `-deletion_scheduled-${project.id}`;
  const restored = instance.state.projects.put({ ...project, name: project.name.replace(suffix, ''), path: project.path.replace(suffix, ''), markedForDeletionOn: null });
  return shown(instance, call, restored, 201);
}

async function fork(instance: Instance, call: Call) {
  const origin = findProject(instance, call);
  const user = requireUser(call);
  if (!mayReadCode(accessContext(instance), call.caller, origin)) throw notFound('Project');
  const { input } = call;
  const namespace = findNamespace(instance, call, input.text('namespace_id') ?? input.text('namespace_path') ?? input.text('namespace'));
  const path = input.text('path') ?? origin.path;
  if (findProjectByPath(instance.state, `${fullPathOfNamespace(instance.state, namespace)}/${path}`)?.kind === 'current') {
    throw new ApiError(409, { message: { name: ['has already been taken'], path: ['has already been taken'], base: ['Project namespace name has already been taken'] } });
  }
  const made = { name: input.text('name') ?? origin.name, path, namespaceId: namespace.id, creatorId: user.id, visibility: visibilityFrom(input) ?? origin.visibility };
  const project = await forkProject(instance, origin, made);
  fireProjectEvent(instance, 'project_create', project);
  return shown(instance, call, project, 201);
}

function setArchived(instance: Instance, call: Call, isArchived: boolean) {
  const project = findProjectAtLeast(instance, call, OWNER);
  return shown(instance, call, instance.state.projects.put({ ...project, isArchived, updatedAt: instance.now().toISOString() }), 201);
}

function transfer(instance: Instance, call: Call) {
  const before = findProjectAtLeast(instance, call, OWNER);
  const namespace = findNamespace(instance, call, call.input.required('namespace'));
  refuseTaken(instance, namespace, before.path);
  const oldPath = fullPathOf(instance.state, before);
  rememberPath(instance.state, before);
  const project = instance.state.projects.put({ ...before, namespaceId: namespace.id, updatedAt: instance.now().toISOString() });
  fireProjectEvent(instance, 'project_transfer', project, oldPath);
  return shown(instance, call, project);
}
