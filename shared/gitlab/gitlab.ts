import type { GitLabProjectId, GitObjectFormat, ObjectId, RefName } from '#schemas/brand.ts';
import type { GitLabGroup, GroupsAsked, ListedProject, ListPage, ProjectsAsked } from './list-pages.ts';

/** How to reach one GitLab: the same for REST and git. */
export interface GitLabAccess {
  readonly baseUrl: string;
  readonly token: string;
  /** PEM of the authorities to trust beside the system's. */
  readonly caPem: string | undefined;
  readonly proxyUrl: string | undefined;
  /** For a GitLab that asks who connects: shown to it, never to the proxy. */
  readonly client?: ClientCertificate | undefined;
  /** Private addresses and ranges where it, or its proxy, may be. */
  readonly allowAddresses?: readonly string[] | undefined;
}

/** A certificate, with what stands between it and its authority, and its key without a passphrase; both PEM. */
export interface ClientCertificate { readonly certPem: string; readonly keyPem: string }

/** What a token says of itself. */
export interface TokenSelf {
  readonly name: string | null;
  readonly scopes: readonly string[];
  /** A day, `2027-01-31`; null when it never expires. */
  readonly expiresAt: string | null;
}

/** Whose token it is. The name is for the answer at hand: it belongs in no fact and no log line. */
export interface CurrentUser { readonly username: string; readonly isAdmin: boolean; readonly isBot: boolean }

/**
 * What GitLab said. `absent` is its 404: not there, or not for us to see. `refused` is its 401 or 403.
 * That it could not be asked (5xx, 429, time-outs, cut answers, network) is not an answer: methods throw Unavailable then.
 */
export type Answer<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'absent'; readonly detail: string }
  | { readonly kind: 'refused'; readonly status: 401 | 403; readonly detail: string };

/** GitLab will not do this, and no waiting heals it: a 4xx other than 401, 403, 404 and 429. */
export class GitLabRequestError extends Error {
  override readonly name = 'GitLabRequestError';
  readonly status: number;

  constructor(doing: string, status: number, detail: string) {
    super(`could not ${doing}: GitLab answered ${status}: ${detail}`);
    this.status = status;
  }
}

export interface GitLabProject {
  readonly id: GitLabProjectId;
  readonly path: string;
  readonly defaultBranch: string | null;
  readonly isEmpty: boolean;
  readonly isArchived: boolean;
  readonly visibility: string;
  /** Whom GitLab lets read the code beside the project's members. */
  readonly beyondMembers: BeyondMembers;
  readonly httpUrl: string;
  readonly objectFormat: GitObjectFormat;
  readonly forkedFrom: GitLabProjectId | null;
}

export type BeyondMembers = 'nobody' | 'signed-in' | 'everybody';

/** Somebody who reaches a project, by whatever way: with the highest of their levels. Ids only. */
export interface GitLabMember {
  readonly userId: number;
  readonly level: number;
  /** Neither blocked, nor waiting to be let in. */
  readonly isActive: boolean;
  /** A day, `2027-01-31`, at whose beginning it ends. */
  readonly expiresAt: string | null;
}

export interface RefHead { readonly ref: RefName; readonly commit: ObjectId }

export interface HeadCommit {
  readonly commit: ObjectId;
  /** None where GitLab names none: a first commit, or nobody knows. */
  readonly parents: readonly ObjectId[];
}

export interface WantedHook {
  readonly url: string;
  /** Plain secret for `X-Gitlab-Token`. */
  readonly token: string;
  /** Standard Webhooks secret (`whsec_…`); older GitLab ignores it silently: look at `isSigned` of the answer. */
  readonly signingToken: string;
}

export interface GitLabHook {
  readonly id: number;
  readonly url: string;
  /** It has a signing token: each of its deliveries is signed. */
  readonly isSigned: boolean;
  /** Whether GitLab speaks of signing at all (19.0). */
  readonly offersSigning: boolean;
  /** `executable`, `temporarily_disabled` or `disabled`; older GitLab does not say. */
  readonly alertStatus: string | null;
  readonly receivesPushes: boolean;
}

/** What we ask of a GitLab over REST. One per source; made by `openGitLab`. */
export interface GitLab {
  version(): Promise<Answer<string>>;
  /** Null when the token lives and is of a kind that does not tell: OAuth. Any scope may ask. */
  tokenSelf(): Promise<Answer<TokenSelf | null>>;
  currentUser(): Promise<Answer<CurrentUser>>;
  /** One page of the groups that the token's user is in (an administrator: all), subgroups too, oldest first. */
  groups(asked: GroupsAsked): Promise<Answer<ListPage<GitLabGroup>>>;
  /** One page of the projects of a group or of all that is seen, newest active first. */
  projects(asked: ProjectsAsked): Promise<Answer<ListPage<ListedProject>>>;
  project(idOrPath: GitLabProjectId | string): Promise<Answer<GitLabProject>>;
  /** Who reaches it: its own members, those of groups above it, and of groups that it is shared with, each once. */
  members(project: GitLabProjectId): Promise<Answer<readonly GitLabMember[]>>;
  /** One of them; null when GitLab found the project, and nobody of that id in it. */
  member(project: GitLabProjectId, userId: number): Promise<Answer<GitLabMember | null>>;
  /** The projects that the token's own user is a member of, by whatever way, at this level or a higher one: all of them, or no answer. */
  ownProjects(asked: { readonly minLevel: number }): Promise<Answer<readonly GitLabProjectId[]>>;
  /** Where a branch, or a tag peeled to its commit, points now. */
  head(project: GitLabProjectId, ref: RefName): Promise<Answer<HeadCommit>>;
  /** Every branch, and every tag (peeled) when asked for. */
  heads(project: GitLabProjectId, options: { readonly withTags: boolean }): Promise<Answer<readonly RefHead[]>>;
  hasCommit(project: GitLabProjectId, commit: ObjectId): Promise<Answer<boolean>>;
  hooks(project: GitLabProjectId): Promise<Answer<readonly GitLabHook[]>>;
  createHook(project: GitLabProjectId, hook: WantedHook): Promise<Answer<GitLabHook>>;
  updateHook(project: GitLabProjectId, hookId: number, hook: WantedHook): Promise<Answer<GitLabHook>>;
  /**
   * Has GitLab send a test push: a hook that it disabled is used again once that was answered well. Five a minute, and only
   * where there is a commit. @throws GitLabRequestError when the delivery failed
   */
  testHook(project: GitLabProjectId, hookId: number): Promise<Answer<null>>;
  /** Absent when it, or the project, is not there. */
  deleteHook(project: GitLabProjectId, hookId: number): Promise<Answer<void>>;
}

export type OpenGitLab = (access: GitLabAccess) => GitLab;
