import type { RefChange } from '../git/record-push.ts';
import { countCommits, objectType, readCommits, readLog, readPathChanges, resolveCommit, type Commit } from '../git/repository.ts';
import { runGitText } from '../git/git-command.ts';
import { repositoryOf, type Instance } from '../instance.ts';
import { fullPathOf, namespaceOf } from '../state/paths.ts';
import type { Project, User } from '../state/records.ts';

/** A payload shows the newest commits only; the count beside them is exact. */
const COMMITS_SHOWN_MAX = 20;
const VISIBILITY_LEVELS = { private: 0, internal: 10, public: 20 };

export interface Pushed {
  project: Project;
  user: User | null;
  change: RefChange;
}

export async function pushPayload(instance: Instance, pushed: Pushed): Promise<Record<string, unknown>> {
  const { project, change } = pushed;
  const repository = repositoryOf(instance, project);
  const isDeleted = isZero(change.after);
  const found = isDeleted ? { commits: [], total: 0 } : await commitsOf(repository, project, change);
  return {
    object_kind: 'push',
    event_name: 'push',
    before: change.before,
    after: change.after,
    ref: change.ref,
    ref_protected: change.ref === `refs/heads/${project.defaultBranch}`,
    checkout_sha: isDeleted ? null : change.after,
    message: null,
    ...pusherFields(instance, pushed.user),
    project_id: project.id,
    project: projectFields(instance, project),
    commits: await shownCommits(instance, project, found.commits),
    total_commits_count: found.total,
    push_options: {},
    repository: repositoryFields(instance, project),
  };
}

export async function tagPushPayload(instance: Instance, pushed: Pushed): Promise<Record<string, unknown>> {
  const { project, change } = pushed;
  const repository = repositoryOf(instance, project);
  const isDeleted = isZero(change.after);
  const peeled = isDeleted ? null : await resolveCommit(repository, change.after);
  const isAnnotated = !isDeleted && (await objectType(repository, change.after)) === 'tag';
  const commits = peeled === null ? [] : await readCommits(repository, [peeled]);
  return {
    object_kind: 'tag_push',
    event_name: 'tag_push',
    before: change.before,
    after: change.after,
    ref: change.ref,
    ref_protected: false,
    checkout_sha: peeled,
    message: isAnnotated ? await tagMessage(repository, change.ref) : null,
    ...pusherFields(instance, pushed.user),
    project_id: project.id,
    project: projectFields(instance, project),
    commits: await shownCommits(instance, project, commits),
    total_commits_count: commits.length,
    push_options: {},
    repository: repositoryFields(instance, project),
  };
}

export function repositoryUpdatePayload(instance: Instance, about: { project: Project; user: User | null; changes: RefChange[] }): Record<string, unknown> {
  const { project, user, changes } = about;
  const { user_id, user_name, user_email, user_avatar } = pusherFields(instance, user);
  return {
    event_name: 'repository_update',
    user_id,
    user_name,
    user_email,
    user_avatar,
    project_id: project.id,
    project: projectFields(instance, project),
    changes: changes.map(({ before, after, ref }) => ({ before, after, ref })),
    refs: [...new Set(changes.map((change) => change.ref))],
  };
}

export function isZero(id: string): boolean {
  return /^0+$/.test(id);
}

/**
 * An update: before..after. A new branch: what the default branch has not. The first default branch: all of it.
 * History that a force push removed is not shown.
 */
async function commitsOf(repository: string, project: Project, change: RefChange): Promise<{ commits: Commit[]; total: number }> {
  const tips = [change.after];
  if (!isZero(change.before)) tips.push(`^${change.before}`);
  else if (change.ref !== `refs/heads/${project.defaultBranch}`) {
    const head = await resolveCommit(repository, `refs/heads/${project.defaultBranch}`);
    if (head !== null) tips.push(`^${head}`);
  }
  const [newest, total] = await Promise.all([readLog(repository, { tips, limit: COMMITS_SHOWN_MAX }), countCommits(repository, tips)]);
  return { commits: newest.reverse(), total };
}

async function shownCommits(instance: Instance, project: Project, commits: Commit[]): Promise<unknown[]> {
  if (commits.length === 0) return [];
  const changes = await readPathChanges(repositoryOf(instance, project), commits.map((commit) => commit.id));
  return commits.map((commit) => ({
    id: commit.id,
    message: commit.message,
    title: titleOf(commit.message),
    timestamp: commit.committedDate,
    url: `${webUrl(instance, project)}/-/commit/${commit.id}`,
    author: { name: commit.authorName, email: commit.authorEmail },
    ...(changes.get(commit.id) ?? { added: [], modified: [], removed: [] }),
  }));
}

export function titleOf(message: string): string {
  return message.split('\n', 1)[0] ?? '';
}

async function tagMessage(repository: string, ref: string): Promise<string> {
  return (await runGitText({ args: ['-C', repository, 'for-each-ref', '--format=%(contents)', ref] })).trimEnd();
}

export function webUrl(instance: Instance, project: Project): string {
  return `${instance.url()}/${fullPathOf(instance.state, project)}`;
}

export function sshUrl(instance: Instance, project: Project): string {
  return `git@${new URL(instance.url()).hostname}:${fullPathOf(instance.state, project)}.git`;
}

export function avatarUrl(user: User): string {
  return `https://secure.gravatar.com/avatar/${Buffer.from(user.email).toString('hex').slice(0, 32)}?s=80&d=identicon`;
}

function pusherFields(instance: Instance, user: User | null): { user_id: number | null; user_name: string; user_username: string; user_email: string; user_avatar: string | null } {
  const shown = user ?? instance.state.users.get(1) ?? null;
  return {
    user_id: shown?.id ?? null,
    user_name: shown?.name ?? '',
    user_username: shown?.username ?? '',
    user_email: shown?.publicEmail ?? '',
    user_avatar: shown ? avatarUrl(shown) : null,
  };
}

/** `namespace` is the display name of the last level, not a path. */
export function projectFields(instance: Instance, project: Project): Record<string, unknown> {
  const web = webUrl(instance, project);
  const ssh = sshUrl(instance, project);
  return {
    id: project.id,
    name: project.name,
    description: project.description ?? '',
    web_url: web,
    avatar_url: null,
    git_ssh_url: ssh,
    git_http_url: `${web}.git`,
    namespace: namespaceOf(instance.state, project).name,
    visibility_level: VISIBILITY_LEVELS[project.visibility],
    path_with_namespace: fullPathOf(instance.state, project),
    default_branch: project.isEmpty ? null : project.defaultBranch,
    ci_config_path: null,
    homepage: web,
    url: ssh,
    ssh_url: ssh,
    http_url: `${web}.git`,
  };
}

function repositoryFields(instance: Instance, project: Project): Record<string, unknown> {
  const web = webUrl(instance, project);
  return {
    name: project.name,
    url: sshUrl(instance, project),
    description: project.description ?? '',
    homepage: web,
    git_http_url: `${web}.git`,
    git_ssh_url: sshUrl(instance, project),
    visibility_level: VISIBILITY_LEVELS[project.visibility],
  };
}
