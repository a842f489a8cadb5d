import { Branches, Commits, Metadata, PersonalAccessTokens, ProjectHooks, Projects, Tags, Users } from '@gitbeaker/rest';
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type { GitLabProjectId, ObjectId, RefName } from '#schemas/brand.ts';
import { refName } from '#schemas/brand.ts';
import { restBranch, restCommit, restCurrentUser, restGroup, restHook, restListedProject, restMember, restProject, restProjectNamed, restTag, restTokenSelf, restVersion } from '#schemas/gitlab/rest.ts';
import { createAddressGuard, type AddressGuard } from '#shared/addresses/address-guard.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { RestRefusal } from './gitbeaker-answer.ts';
import { createSourceDispatcher, type DispatcherBounds } from './source-dispatcher.ts';
import { groupOf, groupsQuery, listedProjectOf, listPage, projectsAddress } from './gitbeaker-lists.ts';
import { entriesOf } from './gitbeaker-pages.ts';
import { createGitbeakerRequester, REQUESTER_BOUNDS, sleepWithTimers, type RequesterBounds, type RequesterDeps } from './gitbeaker-requester.ts';
import { GitLabRequestError, type Answer, type BeyondMembers, type CurrentUser, type GitLab, type GitLabAccess, type GitLabHook, type GitLabMember, type GitLabProject, type HeadCommit, type OpenGitLab, type RefHead, type TokenSelf, type WantedHook } from './gitlab.ts';
import { redactionOf } from './redact.ts';
import type { RequestHolds } from './request-holds.ts';
import type { RequestPlaces } from './request-places.ts';
import { createSlots } from './slots.ts';

export interface GitbeakerOptions {
  readonly bounds?: Partial<RequesterBounds & DispatcherBounds>;
  /** Undefined: public addresses, and those of the source. */
  readonly addresses?: AddressGuard | undefined;
  /** Undefined: those of this process. */
  readonly places?: RequestPlaces | undefined;
  /** Undefined: whoever was asked for a pause keeps it alone. */
  readonly holds?: RequestHolds | undefined;
  readonly now?: () => Date;
  readonly random?: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Requests under way to one source: far below what GitLab's Puma serves, so that people keep theirs. */
export const REQUESTS_IN_FLIGHT_MAX = 10;
/** Sources with open connections. Beyond it the oldest is closed and opened again when asked for. */
const SOURCES_OPEN_MAX = 256;
/** What of a refusal is worth quoting. */
const DETAIL_LENGTH_MAX = 500;
const BRANCH = 'refs/heads/';
const TAG = 'refs/tags/';

/** Everything but pushes off: what a hook made by hand may have switched on. */
const HOOK_FLAGS = {
  pushEvents: true, tagPushEvents: true, enableSslVerification: true,
  // Unfiltered: a filter goes stale with the next rename, and GitLab keeps the old one unless told.
  pushEventsBranchFilter: '', branchFilterStrategy: 'all_branches',
  mergeRequestsEvents: false, issuesEvents: false, confidentialIssuesEvents: false, noteEvents: false, confidentialNoteEvents: false,
  jobEvents: false, pipelineEvents: false, wikiPageEvents: false, deploymentEvents: false, featureFlagEvents: false, releasesEvents: false,
  milestoneEvents: false, emojiEvents: false, resourceAccessTokenEvents: false, resourceDeployTokenEvents: false,
} as const;

/** Opens sources once each: connections and the bound on requests are shared by whoever asks with the same access. */
export function createGitbeakerOpener(options: GitbeakerOptions = {}): OpenGitLab {
  const opened = new Map<string, GitLab>();
  return (access) => {
    const key = createHash('sha256').update(JSON.stringify([access.baseUrl, access.token, access.caPem, access.proxyUrl, access.client?.certPem, access.client?.keyPem, access.allowAddresses])).digest('hex');
    // Behind the others: who is asked for least often is closed first, and people who are asked by their own tokens close no source.
    const gitlab = opened.get(key) ?? createGitbeakerGitLab(access, options);
    opened.delete(key);
    opened.set(key, gitlab);
    for (const oldest of opened.keys()) {
      if (opened.size <= SOURCES_OPEN_MAX) break;
      opened.delete(oldest);
    }
    return gitlab;
  };
}

/**
 * GitLab over REST by gitbeaker's resource classes and our own transport. The token goes as `Authorization: Bearer`:
 * GitLab takes personal, group, project and OAuth tokens that way (PRIVATE-TOKEN answers 401 to OAuth), and every tool
 * between here and there knows to keep that header out of traces and redirects (gitlab.md 3.1, 8.6).
 */
export function createGitbeakerGitLab(access: GitLabAccess, options: GitbeakerOptions = {}): GitLab {
  const host = access.baseUrl.replace(/\/+$/, '');
  const dependency = `gitlab ${new URL(host).origin}`;
  const bounds = { connectMs: 5_000, idleMs: 30_000, ...REQUESTER_BOUNDS, ...options.bounds };
  const requesterFn = createGitbeakerRequester({
    dependency,
    dispatcher: createSourceDispatcher(access, bounds, options.addresses ?? createAddressGuard({ allowed: [] })),
    takePlace: placeOf(host, options.places),
    pause: pauseOf(access, options.holds),
    redact: redactionOf(access),
    hasProxy: access.proxyUrl !== undefined,
    bounds,
    now: options.now ?? (() => new Date()),
    random: options.random ?? Math.random,
    sleep: options.sleep ?? sleepWithTimers,
  });
  // No time-out and no limiters of gitbeaker's own: one clock over all pages, one bucket a resource (8.3, 8.6).
  const resource = { host, oauthToken: access.token, requesterFn, queryTimeout: null, rateLimits: {} };
  const api: Api = {
    dependency,
    metadata: new Metadata(resource), projects: new Projects(resource), branches: new Branches(resource),
    tags: new Tags(resource), commits: new Commits(resource), hooks: new ProjectHooks(resource),
    tokens: new PersonalAccessTokens(resource), users: new Users(resource),
  };
  return {
    version: () => versionOf(api),
    tokenSelf: () => tokenSelfOf(api),
    currentUser: () => currentUserOf(api),
    groups: (asked) => answerTo('list the groups', () =>
      listPage({ ...listOf(api), endpoint: 'groups', query: groupsQuery(asked), after: asked.after, limit: asked.limit }, (entry) => groupOf(parsed(api, restGroup, entry)))),
    projects: (asked) => answerTo(asked.group === undefined ? 'list the projects' : `list the projects of group ${asked.group}`, () =>
      listPage({ ...listOf(api), ...projectsAddress(asked), after: asked.after, limit: asked.limit }, (entry) => listedProjectOf(parsed(api, restListedProject, entry)))),
    project: (idOrPath) => projectOf(api, idOrPath),
    members: (project) => membersOf(api, project),
    member: (project, userId) => memberOf(api, project, userId),
    ownProjects: ({ minLevel }) => ownProjectsOf(api, minLevel),
    head: (project, ref) => headOf(api, project, ref),
    heads: (project, wanted) => headsOf(api, project, wanted),
    hasCommit: (project, commit) => hasCommit(api, project, commit),
    hooks: (project) => hooksOf(api, project),
    createHook: (project, hook) => writeHook(api, access, hook, `create a webhook of project ${project}`, (fields) => api.hooks.add(project, hook.url, fields)),
    updateHook: (project, hookId, hook) =>
      writeHook(api, access, hook, `update webhook ${hookId} of project ${project}`, (fields) => api.hooks.edit(project, hookId, hook.url, fields)),
    testHook: (project, hookId) => answerTo(`test webhook ${hookId} of project ${project}`, async () => {
      await api.hooks.requester.post(`${project}/hooks/${hookId}/test/push_events`);
      return null;
    }),
    deleteHook: (project, hookId) => answerTo(`delete webhook ${hookId} of project ${project}`, async () => void (await api.hooks.remove(project, hookId))),
  };
}

/** One GitLab is one address, whoever asks it. Without places of several processes each access has its own. */
function placeOf(host: string, places: RequestPlaces | undefined): RequesterDeps['takePlace'] {
  if (places !== undefined) return (signal) => places.take(new URL(host).origin, signal);
  const slots = createSlots(REQUESTS_IN_FLIGHT_MAX);
  return (signal) => slots.take(signal);
}

/** GitLab throttles by user: so a pause is that of one token at one address. Named by a digest (I9). */
function pauseOf({ baseUrl, token }: GitLabAccess, holds: RequestHolds | undefined): RequesterDeps['pause'] {
  if (holds === undefined) return { leftMs: async () => 0, hold: () => undefined };
  const whom = createHash('sha256').update(JSON.stringify([new URL(baseUrl).origin, token])).digest('base64url');
  return { leftMs: () => holds.leftMs(whom), hold: (ms) => holds.hold(whom, ms) };
}

interface Api {
  readonly dependency: string;
  readonly metadata: Metadata;
  readonly projects: Projects;
  readonly branches: Branches;
  readonly tags: Tags;
  readonly commits: Commits;
  readonly hooks: ProjectHooks;
  readonly tokens: PersonalAccessTokens;
  readonly users: Users;
}

/** Of a resource whose endpoints begin at the root of the API. */
const listOf = (api: Api) => ({ dependency: api.dependency, requester: api.projects.requester });

async function tokenSelfOf(api: Api): Promise<Answer<TokenSelf | null>> {
  try {
    const answer = await answerTo('have the token tell of itself', async () => parsed(api, restTokenSelf, (await api.tokens.requester.get('personal_access_tokens/self')).body));
    return mapped(answer, ({ name, scopes, expires_at: expiresAt }) => ({ name: name ?? null, scopes, expiresAt: expiresAt ?? null }));
  } catch (fault) {
    // "This endpoint requires token type to be a personal access token": it lives, and is an OAuth token.
    if (fault instanceof GitLabRequestError && fault.status === 400) return { kind: 'ok', value: null };
    throw fault;
  }
}

async function currentUserOf(api: Api): Promise<Answer<CurrentUser>> {
  const answer = await answerTo('ask whose token it is', async () => parsed(api, restCurrentUser, (await api.users.requester.get('user')).body));
  return mapped(answer, (user) => ({ username: user.username, isAdmin: user.is_admin === true, isBot: user.bot === true }));
}

async function versionOf(api: Api): Promise<Answer<string>> {
  const asked = await answerTo('read the version', async () => parsed(api, restVersion, await api.metadata.show()));
  const answer = asked.kind !== 'absent' ? asked
    : await answerTo('read the version', async () => parsed(api, restVersion, (await api.metadata.requester.get('version')).body));
  return mapped(answer, ({ version }) => version);
}

async function projectOf(api: Api, idOrPath: GitLabProjectId | string): Promise<Answer<GitLabProject>> {
  const answer = await answerTo(`read project ${idOrPath}`, async () => parsed(api, restProject, await api.projects.show(idOrPath)));
  return mapped(answer, (project) => {
    if (typeof idOrPath === 'number' && project.id !== idOrPath) throw new Unavailable(api.dependency, `answered project ${project.id} when asked for ${idOrPath}`);
    return {
      id: project.id,
      path: project.path_with_namespace,
      defaultBranch: project.default_branch ?? null,
      isEmpty: project.empty_repo,
      isArchived: project.archived ?? false,
      visibility: project.visibility,
      beyondMembers: beyondMembersOf(project),
      httpUrl: project.http_url_to_repo,
      objectFormat: project.repository_object_format ?? 'sha1',
      forkedFrom: project.forked_from_project?.id ?? null,
    };
  });
}

/** A repository for members only is one whatever the project's visibility says; what GitLab does not tell of is taken for that. */
function beyondMembersOf({ visibility, repository_access_level: access }: z.output<typeof restProject>): BeyondMembers {
  if (access !== 'enabled') return 'nobody';
  return visibility === 'public' ? 'everybody' : visibility === 'internal' ? 'signed-in' : 'nobody';
}

async function membersOf(api: Api, project: GitLabProjectId): Promise<Answer<readonly GitLabMember[]>> {
  return answerTo(`list the members of project ${project}`, async () => {
    const members: GitLabMember[] = [];
    for await (const entry of entriesOf({ ...listOf(api), endpoint: `projects/${project}/members/all`, query: {} })) {
      members.push(asMember(parsed(api, restMember, entry)));
    }
    return members;
  });
}

const asMember = ({ id, access_level: level, state, expires_at: expiresAt, membership_state: membership }: z.output<typeof restMember>): GitLabMember =>
  ({ userId: id, level, isActive: state === 'active' && (membership ?? 'active') === 'active', expiresAt: expiresAt ?? null });

/** What GitLab says of a row that it does not find, and of nothing else: of a project "404 Project Not Found", of an address "404 Not Found". */
const NO_SUCH_MEMBER = '404 Not found';

async function memberOf(api: Api, project: GitLabProjectId, userId: number): Promise<Answer<GitLabMember | null>> {
  const answer = await answerTo(`look for user ${userId} among the members of project ${project}`, async () =>
    asMember(parsed(api, restMember, (await api.projects.requester.get(`projects/${project}/members/all/${userId}`)).body)));
  if (answer.kind === 'absent' && answer.detail === NO_SUCH_MEMBER) return { kind: 'ok', value: null };
  if (answer.kind === 'ok' && answer.value.userId !== userId) throw new Unavailable(api.dependency, 'answered another member than was asked for');
  return answer;
}

async function ownProjectsOf(api: Api, minLevel: number): Promise<Answer<readonly GitLabProjectId[]>> {
  return answerTo('list the projects that the token\'s user is in', async () => {
    const projects: GitLabProjectId[] = [];
    // By id: what is made or moved meanwhile moves nothing, and no offset is too far (gitlab.md 3.3).
    const query = { membership: 'true', min_access_level: String(minLevel), simple: 'true', pagination: 'keyset', order_by: 'id', sort: 'asc' };
    for await (const entry of entriesOf({ ...listOf(api), endpoint: 'projects', query })) projects.push(parsed(api, restProjectNamed, entry).id);
    return projects;
  });
}

async function headOf(api: Api, project: GitLabProjectId, ref: RefName): Promise<Answer<HeadCommit>> {
  const doing = `read ${ref} of project ${project}`;
  if (ref.startsWith(BRANCH)) {
    const name = ref.slice(BRANCH.length);
    const answer = await answerTo(doing, async () => named(api, name, parsed(api, restBranch, await api.branches.show(project, name))));
    return mapped(answer, (branch) => headCommit(branch.commit));
  }
  if (!ref.startsWith(TAG)) throw new TypeError(`${ref} is neither a branch nor a tag: only those can be followed`);

  const name = ref.slice(TAG.length);
  const answer = await answerTo(doing, async () => named(api, name, parsed(api, restTag, await api.tags.show(project, name))));
  if (answer.kind !== 'ok') return answer;
  const { commit } = answer.value;
  return commit ? { kind: 'ok', value: headCommit(commit) } : { kind: 'absent', detail: `${ref} names no commit` };
}

const headCommit = ({ id, parent_ids: parents }: z.infer<typeof restBranch>['commit']): HeadCommit => ({ commit: id, parents: parents ?? [] });

async function headsOf(api: Api, project: GitLabProjectId, { withTags }: { readonly withTags: boolean }): Promise<Answer<readonly RefHead[]>> {
  const heads: RefHead[] = [];
  const { dependency } = api;
  return answerTo(`list the refs of project ${project}`, async () => {
    const branches = entriesOf({ dependency, requester: api.branches.requester, endpoint: `projects/${project}/repository/branches`, query: { pagination: 'keyset' } });
    for await (const entry of branches) {
      const { name, commit } = parsed(api, restBranch, entry);
      heads.push({ ref: refName.parse(BRANCH + name), commit: commit.id });
    }
    if (!withTags) return heads;

    const tags = entriesOf({ dependency, requester: api.tags.requester, endpoint: `projects/${project}/repository/tags`, query: {} });
    for await (const entry of tags) {
      const { name, commit } = parsed(api, restTag, entry);
      // A tag of a blob or a tree has no commit to peel to.
      if (commit) heads.push({ ref: refName.parse(TAG + name), commit: commit.id });
    }
    return heads;
  });
}

async function hasCommit(api: Api, project: GitLabProjectId, commit: ObjectId): Promise<Answer<boolean>> {
  const answer = await answerTo(`read commit ${commit} of project ${project}`, async () => parsed(api, restCommit, await api.commits.show(project, commit)));
  // "404 Commit Not Found" is about the commit; "404 Project Not Found" about all of it.
  if (answer.kind === 'absent' && /\bcommit\b/i.test(answer.detail)) return { kind: 'ok', value: false };
  return mapped(answer, ({ id }) => id === commit);
}

async function hooksOf(api: Api, project: GitLabProjectId): Promise<Answer<readonly GitLabHook[]>> {
  return answerTo(`list the webhooks of project ${project}`, async () => {
    const hooks: GitLabHook[] = [];
    // This resource's prefix is `projects` already (gitlab.md 8.2).
    const entries = entriesOf({ dependency: api.dependency, requester: api.hooks.requester, endpoint: `${project}/hooks`, query: {} });
    for await (const entry of entries) hooks.push(hookOf(parsed(api, restHook, entry)));
    return hooks;
  });
}

async function writeHook(api: Api, access: GitLabAccess, hook: WantedHook, doing: string, write: (fields: object) => Promise<unknown>): Promise<Answer<GitLabHook>> {
  const redact = redactionOf(access, [hook.token, hook.signingToken]);
  // Both secrets each time: a changed URL resets the one, and whether it resets the other is written nowhere (gitlab.md 1.2).
  const fields = { ...HOOK_FLAGS, token: hook.token, signingToken: hook.signingToken };
  return answerTo(doing, async () => hookOf(parsed(api, restHook, await write(fields))), redact);
}

function hookOf(hook: z.output<typeof restHook>): GitLabHook {
  const isFiltered = (hook.push_events_branch_filter ?? '') !== '' && hook.branch_filter_strategy !== 'all_branches';
  return {
    id: hook.id,
    url: hook.url,
    isSigned: hook.signing_token_present === true,
    offersSigning: typeof hook.signing_token_present === 'boolean',
    alertStatus: hook.alert_status ?? null,
    receivesPushes: hook.push_events && !isFiltered,
  };
}

/** GitLab's refusals as answers. @throws Unavailable, GitLabRequestError */
async function answerTo<T>(doing: string, ask: () => Promise<T>, redact: (text: string) => string = (text) => text): Promise<Answer<T>> {
  try {
    return { kind: 'ok', value: await ask() };
  } catch (fault) {
    if (!(fault instanceof RestRefusal)) throw fault;
    // Cut last: half a secret is not recognised any more.
    const detail = redact(fault.message).slice(0, DETAIL_LENGTH_MAX);
    if (fault.status === 404 || fault.status === 410) return { kind: 'absent', detail };
    if (fault.status === 401 || fault.status === 403) return { kind: 'refused', status: fault.status, detail };
    throw new GitLabRequestError(doing, fault.status, detail);
  }
}

/** What was asked for, checked. The values stay out of the message: they are whatever came, secrets included. */
function parsed<T extends z.ZodType>(api: Api, schema: T, body: unknown): z.output<T> {
  if (body instanceof Blob) throw new Unavailable(api.dependency, `answered ${body.type || 'an untyped body'} where JSON was due; is there a login page or a proxy before it?`);
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const places = result.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.') || 'the answer'}: ${issue.code}`);
  throw new Unavailable(api.dependency, `answered something else than was asked for (${places.join('; ')})`);
}

function named<T extends { name: string }>(api: Api, name: string, answered: T): T {
  if (answered.name === name) return answered;
  throw new Unavailable(api.dependency, `answered a ref of another name than was asked for; does a proxy decode paths?`);
}

function mapped<T, U>(answer: Answer<T>, map: (value: T) => U): Answer<U> {
  return answer.kind === 'ok' ? { kind: 'ok', value: map(answer.value) } : answer;
}
