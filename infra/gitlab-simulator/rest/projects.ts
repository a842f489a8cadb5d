import { runGitText } from '../git/git-command.ts';
import { ApiError, invalidParameter, json } from '../http/answer.ts';
import { idKeysetPage, isKeyset, offsetPage } from '../http/paging.ts';
import type { Call, Route } from '../http/router.ts';
import { repositoryOf, type Instance } from '../instance.ts';
import { accessToProject, maySeeProject, membersOfSource, REPORTER } from '../state/access.ts';
import { fullPathOf, namespaceOf } from '../state/paths.ts';
import type { Project } from '../state/records.ts';
import { accessContext, findProject } from './find.ts';
import { showProject, showProjectSimple } from './shapes.ts';

export function projectRoutes(instance: Instance): Route[] {
  return [
    { method: 'GET', pattern: '/projects', limit: 'projects_api', endpoint: (call) => listProjects(instance, call) },
    { method: 'GET', pattern: '/projects/:id', limit: 'project_api', endpoint: (call) => showOneProject(instance, call) },
    { method: 'GET', pattern: '/projects/:id/forks', endpoint: (call) => listForks(instance, call) },
  ];
}

/** `statistics` is a parameter of this list and of a single project; the lists of groups and forks do not know it. */
async function listProjects(instance: Instance, call: Call) {
  const visible = instance.state.projects.all().filter((project) => maySeeProject(accessContext(instance), call.caller, project));
  const page = pageOfProjects(instance, call, visible);
  if (page.kind !== 'json' || call.input.flag('statistics') !== true || call.input.flag('simple') === true || !call.caller) return page;
  const shown = page.body as Record<string, unknown>[];
  for (const one of shown) {
    const project = instance.state.projects.get(Number(one['id']));
    if (project && accessToProject(accessContext(instance), call.caller, project) >= REPORTER) one['statistics'] = await readStatistics(instance, project);
  }
  return page;
}

/** Filters, sorts and pages projects for every endpoint that lists them. */
export function pageOfProjects(instance: Instance, call: Call, projects: Project[]) {
  const matching = projects.filter(projectFilter(instance, call));
  const isSimple = call.input.flag('simple') === true || !call.caller;
  const show = (project: Project): unknown =>
    isSimple ? showProjectSimple(instance, project) : showProject(instance, project, { access: accessToProject(accessContext(instance), call.caller, project) });
  const orderBy = call.input.text('order_by') ?? 'created_at';
  if (isKeyset(call)) {
    if (orderBy !== 'id') throw new ApiError(405, { error: 'Keyset pagination is not yet available for this type of request' });
    return idKeysetPage(call, matching, show);
  }
  return offsetPage(call, sortProjects(call, matching, orderBy), show, 'Project');
}

function projectFilter(instance: Instance, call: Call): (project: Project) => boolean {
  const { input } = call;
  const [archived, isMember, isOwned] = [input.flag('archived'), input.flag('membership'), input.flag('owned')];
  const [visibility, search, minAccess] = [input.text('visibility'), input.text('search')?.toLowerCase(), minAccessFrom(call)];
  const [after, before] = [input.text('last_activity_after'), input.text('last_activity_before')];
  const [idAfter, idBefore] = [input.whole('id_after'), input.whole('id_before')];
  const isInNamespaces = input.flag('search_namespaces') === true;
  const userId = call.caller?.user?.id;
  return (project) => {
    if (archived !== undefined && project.isArchived !== archived) return false;
    if (visibility !== undefined && project.visibility !== visibility) return false;
    if (idAfter !== undefined && project.id <= idAfter) return false;
    if (idBefore !== undefined && project.id >= idBefore) return false;
    if (after !== undefined && new Date(project.lastActivityAt) < new Date(after)) return false;
    if (before !== undefined && new Date(project.lastActivityAt) > new Date(before)) return false;
    if (search !== undefined && !`${project.name} ${isInNamespaces ? fullPathOf(instance.state, project) : project.path}`.toLowerCase().includes(search)) return false;
    if (isOwned && namespaceOf(instance.state, project).ownerId !== userId && !isDirectMember(instance, project, { userId, access: 50 })) return false;
    if (isMember && membershipIn(instance, call, project) === 0) return false;
    return minAccess === undefined || !call.caller?.user || membershipIn(instance, call, project) >= minAccess;
  };
}

/** An administrator sees everything, but is a member only where he was made one. */
function membershipIn(instance: Instance, call: Call, project: Project): number {
  const user = call.caller?.user;
  if (!user) return 0;
  const asPerson = { token: call.caller!.token, user: { ...user, isAdmin: false } };
  return accessToProject(accessContext(instance), asPerson, project);
}

/** Of a list: GitLab has its authorised projects by it, of an administrator too. */
const MIN_ACCESS_LEVELS = [5, 10, 15, 20, 25, 30, 40, 50];

function minAccessFrom(call: Call): number | undefined {
  const level = call.input.whole('min_access_level');
  if (level !== undefined && !MIN_ACCESS_LEVELS.includes(level)) throw invalidParameter('min_access_level does not have a valid value');
  return level;
}

function isDirectMember(instance: Instance, project: Project, who: { userId: number | undefined; access: number }): boolean {
  return membersOfSource(accessContext(instance), 'project', project.id).some((member) => member.userId === who.userId && member.accessLevel >= who.access);
}

function sortProjects(call: Call, projects: Project[], orderBy: string): Project[] {
  const keys: Record<string, (project: Project) => string | number> = {
    id: (project) => project.id,
    name: (project) => project.name.toLowerCase(),
    path: (project) => project.path,
    created_at: (project) => project.createdAt,
    updated_at: (project) => project.updatedAt,
    last_activity_at: (project) => project.lastActivityAt,
  };
  const keyOf = keys[orderBy];
  if (!keyOf) throw new ApiError(400, { error: 'order_by does not have a valid value' });
  const sign = call.input.text('sort') === 'asc' ? 1 : -1;
  return [...projects].sort((a, b) => {
    const [left, right] = [keyOf(a), keyOf(b)];
    return sign * (left === right ? a.id - b.id : left < right ? -1 : 1);
  });
}

async function showOneProject(instance: Instance, call: Call) {
  const project = findProject(instance, call);
  const access = accessToProject(accessContext(instance), call.caller, project);
  if (!call.caller) return json(showProjectSimple(instance, project));
  if (call.input.flag('statistics') !== true || access < REPORTER) return json(showProject(instance, project, { access }));
  return json(showProject(instance, project, { access, statistics: await readStatistics(instance, project) }));
}

async function readStatistics(instance: Instance, project: Project): Promise<Record<string, number>> {
  const repository = repositoryOf(instance, project);
  const counts = await runGitText({ args: ['-C', repository, 'count-objects', '-v'] });
  const kibibytes = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(counts)?.[1] ?? 0);
  const repositorySize = (kibibytes('size') + kibibytes('size-pack')) * 1_024;
  const commitCount = project.isEmpty ? 0 : Number(await runGitText({ args: ['-C', repository, 'rev-list', '--count', '--all'] }));
  return {
    commit_count: commitCount,
    storage_size: repositorySize,
    repository_size: repositorySize,
    wiki_size: 0,
    lfs_objects_size: 0,
    job_artifacts_size: 0,
    pipeline_artifacts_size: 0,
    packages_size: 0,
    snippets_size: 0,
    uploads_size: 0,
    container_registry_size: 0,
  };
}

function listForks(instance: Instance, call: Call) {
  const origin = findProject(instance, call);
  const forks = instance.state.projects.all().filter((project) => project.forkedFromId === origin.id && maySeeProject(accessContext(instance), call.caller, project));
  return pageOfProjects(instance, call, forks);
}
