import { GitFailed, runGit } from '../git/git-command.ts';
import { recordPush } from '../git/record-push.ts';
import { mergedInto, readBranches, type NamedCommit } from '../git/repository.ts';
import { ApiError, badRequest, empty, json, notFound } from '../http/answer.ts';
import { isKeyset, offsetPage, tokenKeysetPage } from '../http/paging.ts';
import type { Call, Route } from '../http/router.ts';
import { webUrl } from '../hooks/push-payload.ts';
import { repositoryOf, type Instance } from '../instance.ts';
import { accessToProject, DEVELOPER, MAINTAINER } from '../state/access.ts';
import type { Project } from '../state/records.ts';
import { accessContext, findProjectAtLeast, findProjectWithCode } from './find.ts';
import { showCommit } from './shapes.ts';
import { commitOf, refsOf, viewOf, type RepositoryView } from './view.ts';

export function branchRoutes(instance: Instance): Route[] {
  return [
    { method: 'GET', pattern: '/projects/:id/repository/branches', endpoint: (call) => listBranches(instance, call) },
    { method: 'GET', pattern: '/projects/:id/repository/branches/:branch', endpoint: (call) => showOneBranch(instance, call) },
    { method: 'POST', pattern: '/projects/:id/repository/branches', endpoint: (call) => createBranch(instance, call) },
    { method: 'DELETE', pattern: '/projects/:id/repository/branches/:branch', endpoint: (call) => deleteBranch(instance, call) },
  ];
}

async function listBranches(instance: Instance, call: Call) {
  const project = findProjectWithCode(instance, call);
  const view = viewOf(instance, project);
  const search = call.input.text('search');
  const refs = await refsOf(view, 'refs/heads/');
  const matching = new Map([...refs].filter(([ref]) => search === undefined || matchesSearch(ref.slice('refs/heads/'.length), search)));
  const branches = await readBranches(view.repository, matching);
  branches.sort((a, b) => (a.name < b.name ? -1 : 1));
  const show = await branchShower(instance, call, view);
  if (isKeyset(call)) return tokenKeysetPage(call, branches, { tokenOf: (branch) => branch.name, show });
  return offsetPage(call, branches, show);
}

/** `^begin` and `end$` anchor, else it is a part of the name. */
function matchesSearch(name: string, search: string): boolean {
  if (search.startsWith('^')) return name.startsWith(search.slice(1));
  if (search.endsWith('$')) return name.endsWith(search.slice(0, -1));
  return name.toLowerCase().includes(search.toLowerCase());
}

async function showOneBranch(instance: Instance, call: Call) {
  const project = findProjectWithCode(instance, call);
  const view = viewOf(instance, project);
  const ref = `refs/heads/${call.path['branch'] ?? ''}`;
  const id = (await refsOf(view, ref)).get(ref);
  if (id === undefined) throw notFound('Branch');
  const [branch] = await readBranches(view.repository, new Map([[ref, id]]));
  if (!branch) throw notFound('Branch');
  return json((await branchShower(instance, call, view))(branch));
}

async function branchShower(instance: Instance, call: Call, view: RepositoryView): Promise<(branch: NamedCommit) => unknown> {
  const { project } = view;
  const head = await commitOf(view, undefined);
  const merged = head === null ? new Set<string>() : await mergedInto(view.repository, head);
  const canPush = accessToProject(accessContext(instance), call.caller, project) >= DEVELOPER;
  return ({ name, commit }) => {
    const isDefault = name === project.defaultBranch;
    return {
      name,
      commit: showCommit(instance, project, commit),
      merged: !isDefault && merged.has(`refs/heads/${name}`),
      protected: isDefault,
      developers_can_push: false,
      developers_can_merge: false,
      can_push: canPush,
      default: isDefault,
      web_url: `${webUrl(instance, project)}/-/tree/${encodeURIComponent(name).replaceAll('%2F', '/')}`,
    };
  };
}

async function createBranch(instance: Instance, call: Call) {
  const project = findProjectAtLeast(instance, call, DEVELOPER);
  const name = call.input.required('branch');
  const view = viewOf(instance, project);
  const from = await commitOf(view, call.input.required('ref'));
  if (from === null) throw badRequest('Invalid reference name: ' + call.input.required('ref'));
  const ref = `refs/heads/${name}`;
  if ((await refsOf(view, ref)).has(ref)) throw badRequest('Branch already exists');
  await updateRef(instance, { call, project, args: [ref, from] });
  const [branch] = await readBranches(view.repository, new Map([[ref, from]]));
  if (!branch) throw notFound('Branch');
  return json((await branchShower(instance, call, viewOf(instance, project)))(branch), 201);
}

async function deleteBranch(instance: Instance, call: Call) {
  const project = findProjectAtLeast(instance, call, DEVELOPER);
  const ref = `refs/heads/${call.path['branch'] ?? ''}`;
  if (!(await refsOf(viewOf(instance, project), ref)).has(ref)) throw notFound('Branch');
  if (call.path['branch'] === project.defaultBranch) {
    if (accessToProject(accessContext(instance), call.caller, project) < MAINTAINER) throw new ApiError(403, { message: '403 Forbidden' });
    throw new ApiError(405, { message: 'Cannot remove HEAD branch' });
  }
  await updateRef(instance, { call, project, args: ['-d', ref] });
  return empty();
}

/** A change of refs over REST goes through the same post-receive work as a push, so the hooks fire. */
async function updateRef(instance: Instance, change: { call: Call; project: Project; args: string[] }): Promise<void> {
  const { call, project, args } = change;
  try {
    await recordPush(instance, { project, user: call.caller?.user ?? null }, () => runGit({ args: ['-C', repositoryOf(instance, project), 'update-ref', ...args] }));
  } catch (error) {
    if (error instanceof GitFailed) throw badRequest(`Branch name is invalid`);
    throw error;
  }
}
