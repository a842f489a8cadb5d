import { z } from 'zod';
import { apiTime } from './receipt.ts';

/** What a token may be used for; each includes those before it. Never more than its owner may. */
export const TOKEN_SCOPES = ['read', 'write', 'admin'] as const;
export const tokenScope = z.enum(TOKEN_SCOPES);
export type TokenScope = z.infer<typeof tokenScope>;

/** `POST /v1/auth/login`, `POST /v1/auth/refresh` */
export const signedIn = z.object({
  accessToken: z.string(),
  /** Of the access token. */
  expiresInSeconds: z.int(),
  /** Good once: it is answered with the next one. */
  refreshToken: z.string(),
  user: z.object({ id: z.uuid(), name: z.string(), isSystemAdmin: z.boolean() }),
});
export type SignedIn = z.infer<typeof signedIn>;

/** `GET /v1/whoami` */
export const whoami = z.object({
  kind: z.enum(['engine-token', 'session', 'personal-token']),
  /** Null of the engine's own token, which is nobody's. */
  user: z.object({ id: z.uuid(), name: z.string() }).nullable(),
  isSystemAdmin: z.boolean(),
  scope: tokenScope,
});
export type Whoami = z.infer<typeof whoami>;

export const userSummary = z.object({
  id: z.uuid(), name: z.string(), isSystemAdmin: z.boolean(), state: z.enum(['active', 'disabled']),
  /** They have not chosen a password of their own yet. */
  hasOneTimePassword: z.boolean(),
  createdAt: apiTime,
});
export type UserSummary = z.infer<typeof userSummary>;

/** `GET /v1/users` */
export const userPage = z.object({ users: z.array(userSummary) });

/** `POST /v1/users`, `POST /v1/users/{id}/one-time-password`: the password is shown here and nowhere else. */
export const userWithPassword = userSummary.extend({ oneTimePassword: z.string(), passwordExpiresAt: apiTime });
export type UserWithPassword = z.infer<typeof userWithPassword>;

export const personalToken = z.object({ id: z.string(), name: z.string(), scope: tokenScope, createdAt: apiTime, expiresAt: apiTime, lastUsedAt: apiTime.nullable() });
export type PersonalToken = z.infer<typeof personalToken>;

/** `GET /v1/tokens`: those of who asks. */
export const personalTokenPage = z.object({ tokens: z.array(personalToken) });

/** `POST /v1/tokens`: the token is shown here and nowhere else. */
export const madePersonalToken = personalToken.extend({ token: z.string() });
export type MadePersonalToken = z.infer<typeof madePersonalToken>;

/** `POST /v1/auth/tickets`: opens one WebSocket, where no header can be sent. */
export const socketTicket = z.object({ ticket: z.string(), expiresInSeconds: z.int() });

/** What becomes of a GitLab user whom nobody here is: refused, or made a user here, never an admin. */
export const UNKNOWN_USERS = ['refuse', 'create'] as const;
export type UnknownUsers = (typeof UNKNOWN_USERS)[number];

/** `GET /v1/auth/providers`: what a sign-in page needs, and no more. */
export const authProviderList = z.object({ providers: z.array(z.object({ id: z.uuid(), name: z.string(), kind: z.literal('gitlab') })) });
export type AuthProviderList = z.infer<typeof authProviderList>;

/** `GET`, `PUT /v1/auth/providers/{source}`. The secret of the application is never shown. */
export const signInSettings = z.object({
  sourceId: z.uuid(), clientId: z.string(), unknownUsers: z.enum(UNKNOWN_USERS),
  /** People are asked, too, whether their own token may say what they read there. An engine of before does not. */
  ownAccess: z.boolean().default(false),
  /** People who let us; and of whom that is over, because GitLab takes it no longer or it was lost, until they sign in again. */
  grants: z.object({ good: z.int().min(0), over: z.int().min(0) }).default({ good: 0, over: 0 }),
  /** To be registered in GitLab, exactly so. */
  redirectUri: z.string(),
  changedAt: apiTime,
});
export type SignInSettings = z.infer<typeof signInSettings>;

/** `POST /v1/auth/gitlab/{source}` */
export const signInBegun = z.object({
  /** For a browser. */
  url: z.string(),
  /** For who began it, and nobody else. */
  handle: z.string(),
  expiresInSeconds: z.int(),
});
export type SignInBegun = z.infer<typeof signInBegun>;

/** Who somebody is in a GitLab. */
export const gitlabUserOf = z.object({ sourceId: z.uuid(), gitlabUserId: z.int().min(1) });
export type GitLabUserOf = z.infer<typeof gitlabUserOf>;

/** `GET /v1/users/{id}/gitlab-users`, and what changes it answers. */
export const gitlabUserList = z.object({ gitlabUsers: z.array(gitlabUserOf) });
