import type { Commit } from '../git/repository.ts';
import { avatarUrl, sshUrl, titleOf, webUrl } from '../hooks/push-payload.ts';
import type { Instance } from '../instance.ts';
import { fullNameOfNamespace, fullPathOf, fullPathOfNamespace, namespaceOf } from '../state/paths.ts';
import type { Member, Namespace, Project, User } from '../state/records.ts';

/** Answers as GitLab shapes them: every field that a client might look at, also those that never change here. */

export function showUserBasic(instance: Instance, user: User): Record<string, unknown> {
  return {
    id: user.id,
    username: user.username,
    public_email: user.publicEmail ?? '',
    name: user.name,
    state: user.state,
    locked: false,
    avatar_url: avatarUrl(user),
    web_url: `${instance.url()}/${user.username}`,
  };
}

export function showUser(instance: Instance, user: User): Record<string, unknown> {
  return {
    ...showUserBasic(instance, user),
    created_at: user.createdAt,
    bio: '',
    location: '',
    linkedin: '',
    twitter: '',
    discord: '',
    website_url: '',
    github: '',
    job_title: '',
    pronouns: null,
    organization: '',
    bot: user.isBot,
    work_information: null,
    local_time: null,
    followers: 0,
    following: 0,
  };
}

export function showOwnUser(instance: Instance, user: User, isSeenByAdmin: boolean): Record<string, unknown> {
  return {
    ...showUser(instance, user),
    last_sign_in_at: user.createdAt,
    confirmed_at: user.createdAt,
    last_activity_on: user.createdAt.slice(0, 10),
    email: user.email,
    theme_id: 3,
    color_scheme_id: 1,
    projects_limit: 100_000,
    current_sign_in_at: user.createdAt,
    identities: [],
    can_create_group: true,
    can_create_project: true,
    two_factor_enabled: false,
    external: user.isExternal,
    private_profile: false,
    commit_email: user.email,
    ...(isSeenByAdmin ? { is_admin: user.isAdmin, note: '' } : {}),
  };
}

export function showNamespace(instance: Instance, namespace: Namespace): Record<string, unknown> {
  const fullPath = fullPathOfNamespace(instance.state, namespace);
  const web = namespace.kind === 'group' ? `${instance.url()}/groups/${fullPath}` : `${instance.url()}/${fullPath}`;
  return { id: namespace.id, name: namespace.name, path: namespace.path, kind: namespace.kind, full_path: fullPath, parent_id: namespace.parentId, avatar_url: null, web_url: web };
}

export function showProjectSimple(instance: Instance, project: Project): Record<string, unknown> {
  const namespace = namespaceOf(instance.state, project);
  const web = webUrl(instance, project);
  return {
    id: project.id,
    description: project.description,
    name: project.name,
    name_with_namespace: `${fullNameOfNamespace(instance.state, namespace)} / ${project.name}`,
    path: project.path,
    path_with_namespace: fullPathOf(instance.state, project),
    created_at: project.createdAt,
    default_branch: project.isEmpty ? null : project.defaultBranch,
    tag_list: project.topics,
    topics: project.topics,
    ssh_url_to_repo: sshUrl(instance, project),
    http_url_to_repo: `${web}.git`,
    web_url: web,
    readme_url: null,
    forks_count: instance.state.projects.by('fork', (other) => other.forkedFromId).get(project.id)?.length ?? 0,
    avatar_url: null,
    star_count: 0,
    last_activity_at: project.lastActivityAt,
    visibility: project.visibility,
    namespace: showNamespace(instance, namespace),
  };
}

export function showProject(instance: Instance, project: Project, seen: { access: number; statistics?: Record<string, number> }): Record<string, unknown> {
  const owner = instance.state.users.get(namespaceOf(instance.state, project).ownerId ?? 0);
  return {
    ...showProjectSimple(instance, project),
    container_registry_image_prefix: `registry.${new URL(instance.url()).hostname}/${fullPathOf(instance.state, project)}`,
    _links: projectLinks(instance, project),
    marked_for_deletion_at: project.markedForDeletionOn,
    marked_for_deletion_on: project.markedForDeletionOn,
    packages_enabled: true,
    empty_repo: project.isEmpty,
    archived: project.isArchived,
    ...(owner ? { owner: showUserBasic(instance, owner) } : {}),
    resolve_outdated_diff_discussions: false,
    repository_object_format: project.objectFormat,
    ...projectFeatures(project),
    creator_id: project.creatorId,
    ...forkFields(instance, project),
    import_url: project.importUrl,
    import_type: null,
    import_status: project.forkedFromId === null ? 'none' : 'finished',
    import_error: null,
    open_issues_count: 0,
    description_html: '',
    updated_at: project.updatedAt,
    shared_with_groups: sharedWith(instance, project),
    ...(seen.statistics ? { statistics: seen.statistics } : {}),
    permissions: { project_access: accessShown(seen.access), group_access: null },
  };
}

function projectLinks(instance: Instance, project: Project): Record<string, string> {
  const self = `${instance.url()}/api/v4/projects/${project.id}`;
  return {
    self,
    issues: `${self}/issues`,
    merge_requests: `${self}/merge_requests`,
    repo_branches: `${self}/repository/branches`,
    labels: `${self}/labels`,
    events: `${self}/events`,
    members: `${self}/members`,
    cluster_agents: `${self}/cluster_agents`,
  };
}

function projectFeatures(project: Project): Record<string, unknown> {
  return {
    issues_enabled: true,
    merge_requests_enabled: true,
    wiki_enabled: true,
    jobs_enabled: true,
    snippets_enabled: true,
    container_registry_enabled: true,
    service_desk_enabled: false,
    can_create_merge_request_in: true,
    issues_access_level: 'enabled',
    repository_access_level: project.repositoryAccessLevel,
    merge_requests_access_level: 'enabled',
    forking_access_level: 'enabled',
    wiki_access_level: 'enabled',
    builds_access_level: 'enabled',
    emails_disabled: false,
    emails_enabled: true,
    shared_runners_enabled: true,
    lfs_enabled: project.isLfsEnabled,
    mirror: false,
    public_jobs: true,
    ci_config_path: null,
    ci_default_git_depth: 20,
    only_allow_merge_if_pipeline_succeeds: false,
    request_access_enabled: true,
    merge_method: 'merge',
    squash_option: 'default_off',
    external_authorization_classification_label: '',
  };
}

function forkFields(instance: Instance, project: Project): Record<string, unknown> {
  const origin = project.forkedFromId === null ? undefined : instance.state.projects.get(project.forkedFromId);
  return origin ? { forked_from_project: showProjectSimple(instance, origin), mr_default_target_self: false } : {};
}

function sharedWith(instance: Instance, project: Project): unknown[] {
  const shares = instance.state.shares.by('target', (share) => `${share.target}:${share.targetId}`).get(`project:${project.id}`) ?? [];
  return shares.flatMap((share) => {
    const group = instance.state.namespaces.get(share.groupId);
    if (!group) return [];
    return [{ group_id: group.id, group_name: group.name, group_full_path: fullPathOfNamespace(instance.state, group), group_access_level: share.accessLevel, expires_at: share.expiresAt }];
  });
}

function accessShown(access: number): { access_level: number; notification_level: number } | null {
  return access === 0 ? null : { access_level: access, notification_level: 3 };
}

export function showGroup(instance: Instance, group: Namespace): Record<string, unknown> {
  const fullPath = fullPathOfNamespace(instance.state, group);
  return {
    id: group.id,
    web_url: `${instance.url()}/groups/${fullPath}`,
    name: group.name,
    path: group.path,
    description: group.description,
    visibility: group.visibility,
    share_with_group_lock: false,
    require_two_factor_authentication: false,
    two_factor_grace_period: 48,
    project_creation_level: 'developer',
    auto_devops_enabled: null,
    subgroup_creation_level: 'maintainer',
    emails_disabled: false,
    emails_enabled: true,
    mentions_disabled: null,
    lfs_enabled: true,
    archived: false,
    default_branch: null,
    default_branch_protection: 2,
    avatar_url: null,
    request_access_enabled: true,
    full_name: fullNameOfNamespace(instance.state, group),
    full_path: fullPath,
    created_at: group.createdAt,
    parent_id: group.parentId,
    organization_id: 1,
    shared_runners_setting: 'enabled',
    marked_for_deletion_on: null,
  };
}

export function showMember(instance: Instance, shown: { member: Member; accessLevel: number }): Record<string, unknown> {
  const { member, accessLevel } = shown;
  const user = instance.state.users.get(member.userId);
  const creator = member.createdById === null ? undefined : instance.state.users.get(member.createdById);
  if (!user) throw new Error(`member ${member.id} names user ${member.userId}, who does not exist`);
  return {
    ...showUserBasic(instance, user),
    access_level: accessLevel,
    created_at: member.createdAt,
    ...(creator ? { created_by: showUserBasic(instance, creator) } : {}),
    expires_at: member.expiresAt,
    group_saml_identity: null,
    group_scim_identity: null,
    membership_state: 'active',
  };
}

/** `2026-01-02T03:04:05.000+00:00`: milliseconds and offset, where git gives seconds. */
function showDate(gitDate: string): string {
  return gitDate.replace(/^(.{19})/, '$1.000').replace(/Z$/, '+00:00');
}

export function showCommit(instance: Instance, project: Project, commit: Commit): Record<string, unknown> {
  return {
    id: commit.id,
    short_id: commit.id.slice(0, 8),
    created_at: showDate(commit.committedDate),
    parent_ids: commit.parentIds,
    title: titleOf(commit.message),
    message: commit.message,
    author_name: commit.authorName,
    author_email: commit.authorEmail,
    authored_date: showDate(commit.authoredDate),
    committer_name: commit.committerName,
    committer_email: commit.committerEmail,
    committed_date: showDate(commit.committedDate),
    trailers: {},
    extended_trailers: {},
    web_url: `${webUrl(instance, project)}/-/commit/${commit.id}`,
  };
}
