import { z } from 'zod';
import { allowAddresses } from '../addresses.ts';
import { gitlabProjectId, refName, sourceId } from '../brand.ts';
import { followedRefs } from '../events/codebase-registered.ts';
import { projectName } from '../events/project-created.ts';
import { memberRole } from '../events/project-member-added.ts';
import { openProjectsReadBy } from '../events/source-open-projects-decided.ts';

/** How to reach a GitLab, and be let in. */
const sourceAccess = {
  baseUrl: z.url({ protocol: /^https?$/ }).max(2_000).transform((url) => url.replace(/\/+$/, '')),
  /** A GitLab access token; never returned. */
  token: z.string().min(1).max(1_000),
  /** Authorities to trust beside the system's. */
  caPem: z.string().max(200_000).optional(),
  /** For a GitLab that asks who connects. The key has no passphrase; never returned. */
  clientCertPem: z.string().max(100_000).optional(),
  clientKeyPem: z.string().max(20_000).optional(),
  /** May hold a login; never returned. */
  proxyUrl: z.url({ protocol: /^https?$/ }).max(2_000).optional(),
  /** Where it, or its proxy, may be beside the public network: private ranges, `10.0.0.0/8`. */
  allowAddresses: allowAddresses.optional(),
};

/** `POST /v1/source-checks`: registers nothing. */
export const checkSource = z.strictObject(sourceAccess);
export type CheckSource = z.infer<typeof checkSource>;

/** `POST /v1/sources` */
export const registerSource = z.strictObject({
  name: z.string().min(1).max(200).regex(/^[^\u0000-\u001f\u007f]*$/, 'no control characters').optional(),
  ...sourceAccess,
  /** Registered also when GitLab cannot be reached now. A token that GitLab refuses is never taken. */
  acceptUnreachable: z.boolean().optional(),
  /** Secrets of webhooks that exist already; made at random when absent. */
  webhookToken: z.string().min(16).max(500).optional(),
  signingToken: z.string().regex(/^whsec_[A-Za-z0-9+/]{43}=$/, 'whsec_ and 32 bytes in base64').optional(),
});
export type RegisterSource = z.infer<typeof registerSource>;

/** `PUT /v1/projects/{id}/members/{user}` */
export const setMember = z.strictObject({ role: memberRole });

/** `POST /v1/codebases` */
export const registerCodebase = z.strictObject({
  sourceId,
  /** Its id, or its full path. */
  gitlabProject: z.union([gitlabProjectId, z.string().min(1).max(1_000)]),
  followed: followedRefs.default({ branches: ['*'], tags: [] }),
});
export type RegisterCodebase = z.infer<typeof registerCodebase>;

/** `POST /v1/codebases/{id}/syncs`: without a ref, every followed one. */
export const requestSync = z.strictObject({ ref: refName.optional() });
export type RequestSync = z.infer<typeof requestSync>;

/** `PATCH /v1/sources/{id}`: what is not named stays; null takes an authority, a proxy or a client certificate (and its key) away. */
export const changeSource = z.strictObject({
  name: registerSource.shape.name,
  token: registerSource.shape.token.optional(),
  caPem: z.string().max(200_000).nullable().optional(),
  clientCertPem: z.string().max(100_000).nullable().optional(),
  /** Stays when only the certificate is renewed. */
  clientKeyPem: z.string().max(20_000).optional(),
  proxyUrl: z.url({ protocol: /^https?$/ }).max(2_000).nullable().optional(),
  /** All of them, in place of those before. */
  allowAddresses: allowAddresses.optional(),
  /** Changed also when GitLab cannot be reached with it now. A token that GitLab refuses is never taken. */
  acceptUnreachable: registerSource.shape.acceptUnreachable,
});
export type ChangeSource = z.infer<typeof changeSource>;

/** `PUT /v1/sources/{id}/open-projects` */
export const decideOpenProjects = z.strictObject({ readBy: openProjectsReadBy });

/** `PATCH /v1/codebases/{id}` */
export const changeCodebase = z.strictObject({ followed: followedRefs });
export type ChangeCodebase = z.infer<typeof changeCodebase>;

/** `POST /v1/projects`, `PATCH /v1/projects/{id}` */
export const nameProject = z.strictObject({ name: projectName });

/** Commands that are all said by their address: archive, restore, remove, add and remove a codebase. */
export const nothingMore = z.strictObject({});
