import { z } from 'zod';
import { tokenScope, UNKNOWN_USERS } from '../api/identity.ts';

/** By which people sign in. Lower case, so that no two look the same; an e-mail address may be one. */
export const userName = z.string().min(1).max(100).regex(/^[a-z0-9][a-z0-9._@+-]*$/, 'lower-case letters, digits and . _ @ + -')
  .refine((name) => !z.uuid().safeParse(name).success, 'no UUID: it could be taken for somebody\'s id');

/** As typed, to the last character; long ones are welcome. */
const givenPassword = z.string().min(1).max(1_000);
/** Twelve characters need no rules about which (OWASP ASVS 5, 6.2.1 asks for eight at least). */
const newPassword = z.string().min(12, 'at least 12 characters').max(1_000);

/** `POST /v1/auth/login`. A one-time password is good together with `newPassword` only. */
export const login = z.strictObject({ name: z.string().min(1).max(100), password: givenPassword, newPassword: newPassword.optional() });
/** `POST /v1/auth/refresh`, `POST /v1/auth/logout` */
export const byRefreshToken = z.strictObject({ refreshToken: z.string().min(1).max(200) });
/** `POST /v1/auth/password` */
export const changePassword = z.strictObject({ password: givenPassword, newPassword });

/** `POST /v1/users` */
export const addUser = z.strictObject({ name: userName, isSystemAdmin: z.boolean().default(false) });
/** `PATCH /v1/users/{id}` */
export const changeUser = z.strictObject({ isSystemAdmin: z.boolean().optional(), state: z.enum(['active', 'disabled']).optional() });

/** `PUT /v1/users/{id}/gitlab-users/{source}` */
export const bindGitLabUser = z.strictObject({ gitlabUserId: z.int().min(1).max(Number.MAX_SAFE_INTEGER) });

/** `PUT /v1/auth/providers/{source}`: the application that was registered in GitLab. Without a secret the one that is known stays. */
export const decideSignIn = z.strictObject({
  clientId: z.string().min(1).max(500).regex(/^[\x21-\x7e]*$/, 'no blanks'),
  clientSecret: z.string().min(1).max(1_000).regex(/^[\x21-\x7e]*$/, 'no blanks').optional(),
  unknownUsers: z.enum(UNKNOWN_USERS).default('refuse'),
  /** The scope `read_api` is asked for beside `openid`: a wider consent. */
  ownAccess: z.boolean().default(false),
});
/** `POST /v1/auth/gitlab/{source}/session`: the code is what the browser shows. */
export const finishSignIn = z.strictObject({ handle: z.string().min(1).max(200), code: z.string().max(100) });

/** `POST /v1/tokens` */
export const makeToken = z.strictObject({
  name: z.string().min(1).max(100).regex(/^[^\u0000-\u001f\u007f]*$/, 'no control characters'),
  scope: tokenScope.default('read'),
  expiresInDays: z.int().min(1).max(366).default(30),
});
