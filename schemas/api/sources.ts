import { z } from 'zod';
import { codebaseId, gitlabProjectId, sourceId } from '../brand.ts';
import { apiTime } from './receipt.ts';

const tokenKind = z.enum(['personal', 'project', 'group', 'oauth', 'deploy', 'unknown']);
/** A day, `2027-01-31`. Null: never, or GitLab does not say. */
const expiryDay = z.string().nullable();

/** What is kept of the last check; null before the first. An engine of before does not say. */
export const sourceToken = z.object({
  /** Null for tokens so short that four letters would tell much of them. */
  lastFour: z.string().nullable(),
  kind: tokenKind,
  scopes: z.array(z.string()).nullable(),
  expiresAt: expiryDay,
  checkedAt: apiTime,
});

/** In `GET /v1/sources/{id}`: how close the looks at its refs can be within the budget of requests. Null until the first look. */
export const sourcePolling = z.object({
  /** A push without a webhook is found within so many seconds: of a codebase active in the last hour, and of a quiet one. */
  activeBoundSeconds: z.int(),
  idleBoundSeconds: z.int(),
  requestsPerMinute: z.int(),
  /** What the wanted pace would take. Above the budget the bounds are stretched. */
  wantedPerMinute: z.int(),
  /** Who reads what is learnt within so many seconds, also when no webhook tells; null until it was reckoned. */
  readersBoundSeconds: z.int().nullable(),
  /** What active people read is learnt within `boundSeconds`, of those who are asked by their own token; null where nobody is. An engine of before does not say. */
  people: z.object({ active: z.int().min(0), asked: z.int().min(0), boundSeconds: z.int() }).nullable().default(null),
  /** GitLab asked for a pause, or does not answer: no look before this. */
  heldUntil: apiTime.nullable(),
  heldReason: z.string().nullable(),
});

/** `GET /v1/sources/{id}` */
export const sourceDetail = z.object({
  id: sourceId, name: z.string(), baseUrl: z.string(), registeredAt: apiTime,
  /** Of what people decided about it: `If-Match: "<revision>"`. */
  revision: z.int().min(0),
  token: sourceToken.nullable().default(null),
  check: z.object({ state: z.enum(['ok', 'refused', 'unreachable', 'unknown']) }).default({ state: 'unknown' }),
  /** Of one source: how soon things are learnt of it. Not in the list. */
  polling: sourcePolling.nullish(),
});

/** `GET /v1/sources` */
export const sourceList = z.object({ sources: z.array(sourceDetail) });
export type SourceAnswer = z.infer<typeof sourceDetail>;

/** `POST /v1/sources` */
export const sourceRegistered = z.object({ id: sourceId, webhookUrl: z.string() });
export type SourceRegisteredAnswer = z.infer<typeof sourceRegistered>;

const known = z.enum(['yes', 'no', 'unknown']);

/** `POST /v1/source-checks`, `GET /v1/sources/{id}/check`: what a GitLab says of a credential now. */
export const sourceCheck = z.object({
  state: z.enum(['ok', 'refused', 'unreachable']),
  /** In words for people: what was found, and what to do. */
  detail: z.string(),
  gitlab: z.object({ version: z.string().nullable() }),
  token: z.object({
    kind: tokenKind,
    name: z.string().nullable(),
    /** Null when GitLab does not say. */
    scopes: z.array(z.string()).nullable(),
    expiresAt: expiryDay,
    /** Whose it is. Shown here and kept nowhere. */
    user: z.object({ username: z.string(), isAdmin: z.boolean() }).nullable(),
  }),
  can: z.object({
    readApi: known,
    readRepository: known,
    /** `depends`: it may where it is a Maintainer. */
    makeHooks: z.enum(['yes', 'no', 'depends']),
  }),
  advice: z.array(z.object({ code: z.string(), detail: z.string() })),
});
export type SourceCheck = z.infer<typeof sourceCheck>;

/** `GET /v1/sources/{id}/gitlab/groups?search=&after=&limit=`: asked of GitLab now. */
export const gitlabGroupPage = z.object({
  groups: z.array(z.object({ id: z.int(), path: z.string(), name: z.string(), visibility: z.string() })),
  /** For `after`; null at the end. */
  next: z.string().nullable(),
});
export type GitLabGroupPage = z.infer<typeof gitlabGroupPage>;

/** `GET /v1/sources/{id}/gitlab/projects?group=&after=&limit=`: asked of GitLab now, newest active first. */
export const gitlabProjectPage = z.object({
  projects: z.array(z.object({
    id: gitlabProjectId,
    path: z.string(),
    name: z.string(),
    isArchived: z.boolean(),
    isEmpty: z.boolean(),
    lastActivityAt: z.string().nullable(),
    /** Null where GitLab does not say: always, below a group. */
    repositoryBytes: z.int().nullable(),
    /** 20 Reporter, 40 Maintainer and so on; null by no membership that GitLab names here. */
    accessLevel: z.int().nullable(),
    defaultBranch: z.string().nullable(),
    visibility: z.string(),
    /** False: the repository is switched off in the project. */
    hasRepository: z.boolean(),
    /** Null when nobody registered it. */
    codebaseId: codebaseId.nullable(),
  })),
  /** For `after`; null at the end. */
  next: z.string().nullable(),
});
export type GitLabProjectPage = z.infer<typeof gitlabProjectPage>;

const placeOfHook = z.object({ where: z.string(), triggers: z.array(z.string()) });

/** `GET /v1/sources/{id}/manual-hook`: for a webhook made by hand, of a project, or of a group or all of GitLab, which tell of members too. The one answer that holds these secrets. */
export const manualHook = z.object({ url: z.string(), secretToken: z.string(), signingToken: z.string(), ...placeOfHook.shape, group: placeOfHook, system: placeOfHook });
export type ManualHook = z.infer<typeof manualHook>;

/** `PATCH`, `DELETE /v1/sources/{id}`: which of its settings were changed, never to what. */
export const sourceChangedAnswer = z.object({
  id: sourceId, name: z.string(), state: z.enum(['active', 'removed']), revision: z.int().min(0), changed: z.array(z.enum(['name', 'token', 'ca', 'client', 'proxy', 'addresses', 'webhook-secret'])),
});
export type SourceChangedAnswer = z.infer<typeof sourceChangedAnswer>;
