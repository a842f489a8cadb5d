import { z } from 'zod';
import { codebaseId } from '../brand.ts';

/** `POST /v1/source-checks`: what a GitLab says to a token, before anything is kept. */
export const sourceCheck = z.object({
  state: z.enum(['ok', 'refused', 'unreachable']),
  /** What was tried, what was wrong, what to do. */
  detail: z.string(),
  gitlab: z.object({ version: z.string().nullable() }),
  token: z.object({
    kind: z.enum(['personal', 'project', 'group', 'oauth', 'deploy', 'unknown']),
    name: z.string().nullable(),
    scopes: z.array(z.string()).nullable(),
    expiresAt: z.string().nullable(),
    user: z.object({ username: z.string(), isAdmin: z.boolean() }).nullable(),
  }),
  can: z.object({
    readApi: z.enum(['yes', 'no', 'unknown']),
    readRepository: z.enum(['yes', 'no', 'unknown']),
    makeHooks: z.enum(['yes', 'no', 'depends']),
  }),
  advice: z.array(z.object({ code: z.string(), detail: z.string() })),
});
export type SourceCheck = z.infer<typeof sourceCheck>;

/** `GET /v1/sources/{id}/gitlab/groups` */
export const gitlabGroupPage = z.object({
  groups: z.array(z.object({ id: z.int(), path: z.string(), name: z.string(), visibility: z.string() })),
  next: z.string().nullable(),
});
export type GitlabGroup = z.infer<typeof gitlabGroupPage>['groups'][number];

/** `GET /v1/sources/{id}/gitlab/projects`, newest-active first. */
export const gitlabProjectPage = z.object({
  projects: z.array(z.object({
    id: z.int(), path: z.string(), name: z.string(),
    isArchived: z.boolean(), isEmpty: z.boolean(), lastActivityAt: z.string().nullable(),
    /** Null: GitLab does not tell. */
    repositoryBytes: z.number().nullable(),
    accessLevel: z.number().nullable(),
    defaultBranch: z.string().nullable(), visibility: z.string(),
    /** False: the repository is switched off in the project. */
    hasRepository: z.boolean(),
    /** Of the codebase that it is here already. */
    codebaseId: codebaseId.nullable(),
  })),
  next: z.string().nullable(),
});
export type GitlabProject = z.infer<typeof gitlabProjectPage>['projects'][number];

/** `GET /v1/sources/{id}/manual-hook`: what a person enters in GitLab who makes the webhook by hand. */
export const manualHook = z.object({
  url: z.string(), secretToken: z.string(), signingToken: z.string(),
  triggers: z.array(z.string()), where: z.string(),
});
export type ManualHook = z.infer<typeof manualHook>;
