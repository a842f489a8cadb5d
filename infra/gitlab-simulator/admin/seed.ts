import { GitFailed, runGit } from '../git/git-command.ts';
import { recordPush } from '../git/record-push.ts';
import { ApiError, empty, json } from '../http/answer.ts';
import type { Call, Route } from '../http/router.ts';
import { repositoryOf, type Instance } from '../instance.ts';
import { createProject, forkProject, importProject, slugOf, type NewProject } from '../state/create-project.ts';
import { createGroup, createToken, createUser } from '../state/create-user.ts';
import { findNamespaceByPath, findProjectByPath } from '../state/paths.ts';
import type { Namespace, Project, TokenKind, User } from '../state/records.ts';
import { visibilityFrom } from '../rest/project-changes.ts';
import { showGroup, showProject } from '../rest/shapes.ts';

/** Fills the instance without a hook firing, and changes it behind everybody's back. */
export function seedRoutes(instance: Instance): Route[] {
  return [
    { method: 'POST', pattern: '/users', endpoint: (call) => seedUser(instance, call) },
    { method: 'PATCH', pattern: '/users/:id', endpoint: (call) => changeUser(instance, call) },
    { method: 'POST', pattern: '/tokens', endpoint: (call) => seedToken(instance, call) },
    { method: 'PATCH', pattern: '/tokens/:id', endpoint: (call) => changeToken(instance, call) },
    { method: 'POST', pattern: '/groups', endpoint: (call) => seedGroup(instance, call) },
    { method: 'POST', pattern: '/members', endpoint: (call) => seedMember(instance, call) },
    { method: 'POST', pattern: '/projects', endpoint: (call) => seedProject(instance, call) },
    { method: 'POST', pattern: '/projects/:id/refs', endpoint: (call) => moveRef(instance, call) },
    { method: 'GET', pattern: '/projects/:id/repository', endpoint: (call) => json({ path: repositoryOf(instance, projectOf(instance, call.path['id'] ?? '')) }) },
  ];
}

function seedUser(instance: Instance, call: Call) {
  const { input } = call;
  const [email, name] = [input.text('email'), input.text('name')];
  const user = createUser(instance, {
    username: input.required('username'),
    isAdmin: input.flag('admin') ?? false,
    isBot: input.flag('bot') ?? false,
    isExternal: input.flag('external') ?? false,
    ...(email === undefined ? {} : { email }),
    ...(name === undefined ? {} : { name }),
  });
  if (!input.has('scopes')) return json({ ...user, token: null }, 201);
  const token = createToken(instance, { userId: user.id, scopes: input.list('scopes'), kind: (input.text('tokenKind') ?? 'personal') as TokenKind });
  return json({ ...user, token: token.secret, tokenId: token.id }, 201);
}

function changeUser(instance: Instance, call: Call) {
  const user = instance.state.users.get(Number(call.path['id']));
  if (!user) throw new ApiError(404, { error: 'no such user' });
  const state = (call.input.text('state') ?? user.state) as User['state'];
  return json(instance.state.users.put({ ...user, state, isAdmin: call.input.flag('admin') ?? user.isAdmin }));
}

function seedToken(instance: Instance, call: Call) {
  const { input } = call;
  const userId = userIdFrom(instance, input.text('user'));
  const [name, secret, username, project] = [input.text('name'), input.text('secret'), input.text('username'), input.text('project')];
  const expiresAt = endOf(instance, call) ?? input.text('expiresAt');
  const token = createToken(instance, {
    userId,
    scopes: input.list('scopes'),
    kind: (input.text('kind') ?? 'personal') as TokenKind,
    ...(name === undefined ? {} : { name }),
    ...(secret === undefined ? {} : { secret }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(username === undefined ? {} : { username }),
    ...(project === undefined ? {} : { projectId: projectOf(instance, project).id }),
  });
  return json(token, 201);
}

/** As GitLab says it of an OAuth token: in seconds from now. */
function endOf(instance: Instance, { input }: Call): string | undefined {
  const seconds = input.whole('expiresInSeconds');
  return seconds === undefined ? undefined : new Date(instance.now().getTime() + seconds * 1_000).toISOString();
}

function changeToken(instance: Instance, call: Call) {
  const token = instance.state.tokens.get(Number(call.path['id']));
  if (!token) throw new ApiError(404, { error: 'no such token' });
  const { input } = call;
  const scopes = input.has('scopes') ? input.list('scopes') : token.scopes;
  return json(instance.state.tokens.put({ ...token, scopes, isRevoked: input.flag('revoked') ?? token.isRevoked, expiresAt: input.text('expiresAt') ?? token.expiresAt }));
}

function seedGroup(instance: Instance, call: Call) {
  const { input } = call;
  const name = input.required('name');
  const parent = input.text('parent');
  const group = createGroup(instance, {
    name,
    path: input.text('path') ?? slugOf(name),
    parentId: parent === undefined ? null : namespaceOfPath(instance, parent).id,
    visibility: visibilityFrom(input) ?? 'private',
    description: input.text('description') ?? '',
  });
  return json(showGroup(instance, group), 201);
}

function seedMember(instance: Instance, call: Call) {
  const { input } = call;
  const [project, group] = [input.text('project'), input.text('group')];
  const userId = userIdFrom(instance, input.required('user'));
  if (userId === null) throw new ApiError(400, { error: 'user is missing' });
  const sourceId = project === undefined ? namespaceOfPath(instance, group ?? '').id : projectOf(instance, project).id;
  const member = instance.state.members.insert({
    source: project === undefined ? 'group' : 'project',
    sourceId,
    userId,
    accessLevel: input.whole('accessLevel') ?? 30,
    expiresAt: input.text('expiresAt') ?? null,
    createdById: 1,
    createdAt: instance.now().toISOString(),
  });
  return json(member, 201);
}

/** Empty, from a repository on this machine (`import`), or as a fork (`forkOf`). */
async function seedProject(instance: Instance, call: Call) {
  const { input } = call;
  const name = input.text('name') ?? input.required('path');
  const namespace = input.text('namespace');
  const wanted: NewProject = {
    name,
    path: input.text('path') ?? slugOf(name),
    namespaceId: namespace === undefined ? ownNamespace(instance).id : namespaceOfPath(instance, namespace).id,
    creatorId: 1,
    visibility: visibilityFrom(input) ?? 'private',
    description: input.text('description') ?? null,
    defaultBranch: input.text('defaultBranch') ?? 'main',
    objectFormat: input.text('objectFormat') === 'sha256' ? 'sha256' : 'sha1',
    isWithReadme: input.flag('readme') ?? false,
  };
  return json(showProject(instance, await makeProject(instance, call, wanted), { access: 50 }), 201);
}

async function makeProject(instance: Instance, call: Call, wanted: NewProject): Promise<Project> {
  const [source, origin] = [call.input.text('import'), call.input.text('forkOf')];
  if (origin !== undefined) return forkProject(instance, projectOf(instance, origin), wanted);
  if (source !== undefined) return importProject(instance, wanted, source);
  return createProject(instance, wanted);
}

/** Moves, makes (`sha`) or removes (no `sha`) a ref; `hooks: false` is a push of which nobody hears. */
async function moveRef(instance: Instance, call: Call) {
  const project = projectOf(instance, call.path['id'] ?? '');
  const ref = call.input.required('ref');
  const sha = call.input.text('sha');
  const args = sha === undefined ? ['-d', ref] : [ref, sha];
  try {
    await recordPush(instance, { project, user: null, isSilent: call.input.flag('hooks') === false }, () => runGit({ args: ['-C', repositoryOf(instance, project), 'update-ref', ...args] }));
  } catch (error) {
    if (error instanceof GitFailed) throw new ApiError(400, { error: error.message });
    throw error;
  }
  return empty();
}

function userIdFrom(instance: Instance, given: string | undefined): number | null {
  if (given === undefined) return null;
  const user = /^\d+$/.test(given) ? instance.state.users.get(Number(given)) : instance.state.users.all().find((one) => one.username === given);
  if (!user) throw new ApiError(404, { error: `no user ${given}` });
  return user.id;
}

function projectOf(instance: Instance, given: string): Project {
  const project = /^\d+$/.test(given) ? instance.state.projects.get(Number(given)) : findProjectByPath(instance.state, given)?.project;
  if (!project) throw new ApiError(404, { error: `no project ${given}` });
  return project;
}

function namespaceOfPath(instance: Instance, given: string): Namespace {
  const namespace = /^\d+$/.test(given) ? instance.state.namespaces.get(Number(given)) : findNamespaceByPath(instance.state, given);
  if (!namespace) throw new ApiError(404, { error: `no namespace ${given}` });
  return namespace;
}

function ownNamespace(instance: Instance): Namespace {
  const namespace = instance.state.namespaces.all().find((one) => one.ownerId === 1);
  if (!namespace) throw new Error('root has no namespace');
  return namespace;
}
