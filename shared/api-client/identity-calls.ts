import type { z } from 'zod';
import { authProviderList, gitlabUserList, madePersonalToken, personalTokenPage, signedIn, signInBegun, signInSettings, userPage, userSummary, userWithPassword, whoami, type AuthProviderList, type GitLabUserOf, type MadePersonalToken, type PersonalToken, type SignedIn, type SignInBegun, type SignInSettings, type UserSummary, type UserWithPassword, type Whoami } from '#schemas/api/identity.ts';
import type { addUser, changeUser, decideSignIn, finishSignIn, login, makeToken } from '#schemas/commands/identity-commands.ts';
import type { Requests } from './requests.ts';

/** Signing in, and who may. */
export interface IdentityCalls {
  signIn(body: z.input<typeof login>): Promise<SignedIn>;
  signOut(refreshToken: string): Promise<void>;
  whoami(): Promise<Whoami>;
  /** Of who signed in. */
  tokens(): Promise<readonly PersonalToken[]>;
  makeToken(body: z.input<typeof makeToken>): Promise<MadePersonalToken>;
  revokeToken(id: string): Promise<void>;
  users(): Promise<readonly UserSummary[]>;
  addUser(body: z.input<typeof addUser>): Promise<UserWithPassword>;
  changeUser(id: string, body: z.input<typeof changeUser>): Promise<UserSummary>;
  eraseUser(id: string): Promise<void>;
  bindGitLabUser(id: string, binding: GitLabUserOf): Promise<readonly GitLabUserOf[]>;
  unbindGitLabUser(id: string, sourceId: string): Promise<readonly GitLabUserOf[]>;
  resetPassword(id: string): Promise<UserWithPassword>;
  authProviders(): Promise<AuthProviderList['providers']>;
  signInSettings(sourceId: string): Promise<SignInSettings>;
  decideSignIn(sourceId: string, body: z.input<typeof decideSignIn>): Promise<SignInSettings>;
  takeSignInBack(sourceId: string): Promise<void>;
  beginSignIn(sourceId: string): Promise<SignInBegun>;
  finishSignIn(sourceId: string, body: z.input<typeof finishSignIn>): Promise<SignedIn>;
}

const part = encodeURIComponent;

export function createIdentityCalls({ ask, send }: Requests): IdentityCalls {
  return {
    signIn: (body) => ask(signedIn, 'POST', '/v1/auth/login', { body }),
    signOut: async (refreshToken) => void (await send('POST', '/v1/auth/logout', { body: { refreshToken } })),
    whoami: () => ask(whoami, 'GET', '/v1/whoami'),
    tokens: async () => (await ask(personalTokenPage, 'GET', '/v1/tokens')).tokens,
    makeToken: (body) => ask(madePersonalToken, 'POST', '/v1/tokens', { body }),
    revokeToken: async (id) => void (await send('DELETE', `/v1/tokens/${part(id)}`)),
    users: async () => (await ask(userPage, 'GET', '/v1/users')).users,
    addUser: (body) => ask(userWithPassword, 'POST', '/v1/users', { body }),
    changeUser: (id, body) => ask(userSummary, 'PATCH', `/v1/users/${part(id)}`, { body }),
    eraseUser: async (id) => void (await send('DELETE', `/v1/users/${part(id)}`)),
    bindGitLabUser: async (id, { sourceId, gitlabUserId }) => (await ask(gitlabUserList, 'PUT', `/v1/users/${part(id)}/gitlab-users/${part(sourceId)}`, { body: { gitlabUserId } })).gitlabUsers,
    unbindGitLabUser: async (id, sourceId) => (await ask(gitlabUserList, 'DELETE', `/v1/users/${part(id)}/gitlab-users/${part(sourceId)}`)).gitlabUsers,
    resetPassword: (id) => ask(userWithPassword, 'POST', `/v1/users/${part(id)}/one-time-password`, { body: {} }),
    authProviders: async () => (await ask(authProviderList, 'GET', '/v1/auth/providers')).providers,
    signInSettings: (id) => ask(signInSettings, 'GET', `/v1/auth/providers/${part(id)}`),
    decideSignIn: (id, body) => ask(signInSettings, 'PUT', `/v1/auth/providers/${part(id)}`, { body }),
    takeSignInBack: async (id) => void (await send('DELETE', `/v1/auth/providers/${part(id)}`)),
    beginSignIn: (id) => ask(signInBegun, 'POST', `/v1/auth/gitlab/${part(id)}`, { body: {} }),
    finishSignIn: (id, body) => ask(signedIn, 'POST', `/v1/auth/gitlab/${part(id)}/session`, { body }),
  };
}
