import type { Row } from './journal.ts';

export type Visibility = 'private' | 'internal' | 'public';
export type UserState = 'active' | 'blocked' | 'deactivated';
export type TokenKind = 'personal' | 'oauth' | 'project' | 'group' | 'deploy';
export type ObjectFormat = 'sha1' | 'sha256';
export type MemberSource = 'project' | 'group';
export type HookOwner = 'project' | 'group' | 'system';
export type BranchFilterStrategy = 'wildcard' | 'regex' | 'all_branches';

export interface User extends Row {
  username: string;
  name: string;
  email: string;
  publicEmail: string | null;
  state: UserState;
  isAdmin: boolean;
  /** The user behind a project or group access token or a service account: git answers it 401 where a person gets 404. */
  isBot: boolean;
  isExternal: boolean;
  createdAt: string;
}

export interface Token extends Row {
  kind: TokenKind;
  name: string;
  secret: string;
  userId: number | null;
  /** Only a deploy token has these two: the exact Basic username, and the one project it opens. */
  username: string | null;
  projectId: number | null;
  scopes: string[];
  /** A day; of an OAuth token a moment, two hours after it was made. */
  expiresAt: string | null;
  isRevoked: boolean;
  createdAt: string;
  lastUsedAt: string | null;
}

/** Groups and the personal namespaces of users share one id space, as in GitLab. */
export interface Namespace extends Row {
  kind: 'group' | 'user';
  name: string;
  path: string;
  parentId: number | null;
  ownerId: number | null;
  description: string;
  visibility: Visibility;
  createdAt: string;
  updatedAt: string;
}

export interface Project extends Row {
  name: string;
  path: string;
  namespaceId: number;
  description: string | null;
  visibility: Visibility;
  /** What HEAD names; REST shows null while the repository is empty. */
  defaultBranch: string;
  isEmpty: boolean;
  isArchived: boolean;
  objectFormat: ObjectFormat;
  forkedFromId: number | null;
  creatorId: number;
  repositoryAccessLevel: 'enabled' | 'private' | 'disabled';
  isLfsEnabled: boolean;
  topics: string[];
  importUrl: string | null;
  markedForDeletionOn: string | null;
  createdAt: string;
  updatedAt: string;
  lastActivityAt: string;
}

export interface Member extends Row {
  source: MemberSource;
  sourceId: number;
  userId: number;
  accessLevel: number;
  expiresAt: string | null;
  createdById: number | null;
  createdAt: string;
}

/** A project or group that was shared with a group. */
export interface Share extends Row {
  target: MemberSource;
  targetId: number;
  groupId: number;
  accessLevel: number;
  expiresAt: string | null;
}

/** The full path a project had before a rename or a transfer. */
export interface Redirect extends Row {
  path: string;
  projectId: number;
}

export interface Hook extends Row {
  owner: HookOwner;
  ownerId: number | null;
  url: string;
  name: string | null;
  description: string | null;
  token: string | null;
  signingToken: string | null;
  flags: Record<string, boolean>;
  pushEventsBranchFilter: string;
  branchFilterStrategy: BranchFilterStrategy;
  isSslVerified: boolean;
  customTemplate: string | null;
  customHeaders: { key: string; value: string }[];
  urlVariables: { key: string; value: string }[];
  failures: number;
  backoffs: number;
  disabledUntil: string | null;
  createdAt: string;
}

/** One attempt to deliver, as the delivery log shows it. */
export interface Delivery extends Row {
  hookId: number;
  url: string;
  trigger: string;
  requestHeaders: Record<string, string>;
  requestBody: string;
  responseHeaders: Record<string, string>;
  responseBody: string;
  responseStatus: string;
  executionSeconds: number;
  idempotencyKey: string;
  eventHeader: string;
  eventUuid: string;
  projectId: number | null;
  isTest: boolean;
  createdAt: string;
}
