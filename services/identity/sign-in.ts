import { randomUUID } from 'node:crypto';
import type { SignedIn } from '#schemas/api/identity.ts';
import { ACCESS_TOKEN_SECONDS, signAccessToken } from '#shared/identity/access-token.ts';
import { hashOfOpaque, makeOpaqueToken } from '#shared/identity/opaque-token.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { endSessionsOf, type AccountDeps, type UserRow } from './accounts.ts';
import { countGuess, forgetGuesses } from './guesses.ts';
import { objectionTo } from './judge-password.ts';
import { signingKey, type KeyDeps } from './keys.ts';
import { recorded } from './recording.ts';

/** Then they sign in again, however often they came. */
const SESSION_MS = 14 * 86_400_000;
/** For opening a socket right now. */
const TICKET_SECONDS = 30;

export interface SignInDeps extends AccountDeps, KeyDeps {
  readonly issuer: string;
  readonly logger: Logger;
}

/** From where: an address, of IPv6 the /56. */
interface From { readonly address: string | null }

export interface Login extends From { readonly name: string; readonly password: string; readonly newPassword?: string | undefined }

/**
 * The same answer, after as long a time, to a name that nobody has, a wrong password, somebody who is disabled, and a one-time
 * password that is over. @throws Problem 401, 403, 422, 429 | Unavailable
 */
export async function signIn(deps: SignInDeps, { name, password, newPassword, address }: Login): Promise<SignedIn> {
  deps.passwords.mustHaveRoom();
  await countGuess(deps, name);
  const [user] = await deps.query<UserRow>('select * from identity_users where name = $1', [name]);
  const isRight = await deps.passwords.isRight(password, user?.password_hash);
  if (user === undefined || !isRight || !isGood(user, deps.now())) {
    deps.logger.warn({ userId: user?.user_id }, 'a sign-in was refused');
    throw new Problem(401, 'sign-in-refused', 'The name or the password is wrong.', { about: user?.user_id });
  }
  await forgetGuesses(deps, name);
  if (newPassword !== undefined) await choosePassword(deps, user, { password, newPassword, address });
  else if (user.is_one_time) throw new Problem(403, 'password-to-be-chosen', 'This password is good once: send it again, together with "newPassword".', { about: user.user_id });
  deps.logger.info({ userId: user.user_id }, 'somebody signed in');
  return openSession(deps, user, { address });
}

const isGood = ({ state, is_one_time: isOneTime, password_expires_at: expiresAt }: UserRow, now: Date) => state === 'active' && (!isOneTime || expiresAt === null || expiresAt > now);

/** Of somebody who has just shown the one they have; other sign-ins of theirs end. @throws Problem 401, 422 */
async function choosePassword(deps: SignInDeps, user: UserRow, { password, newPassword, address }: From & { readonly password: string; readonly newPassword: string }): Promise<void> {
  const objection = objectionTo({ password: newPassword, before: password, name: user.name });
  if (objection !== undefined) throw objection;
  // At the hash that was looked at: a one-time password is good once, also for two who use it at the same time.
  const changed = await recorded(deps.query, {
    sql: 'update identity_users set password_hash = $3, is_one_time = false, password_expires_at = null where user_id = $1 and password_hash = $2 returning user_id',
    values: [user.user_id, user.password_hash, await deps.passwords.hash(newPassword)],
  }, { by: { actor: 'owner', address }, acts: ['password-changed'], about: 'user_id', at: deps.now() });
  if (changed.length === 0) throw new Problem(401, 'sign-in-refused', 'The name or the password is wrong.', { about: user.user_id });
  await endSessionsOf(deps, user.user_id, 'password was changed');
}

/** `POST /v1/auth/password`: guesses of the old one count like those at signing in. @throws Problem 401, 422, 429 */
export async function changePassword(deps: SignInDeps, userId: string, given: From & { readonly password: string; readonly newPassword: string }): Promise<void> {
  const [user] = await deps.query<UserRow>('select * from identity_users where user_id = $1', [userId]);
  if (user !== undefined) await countGuess(deps, user.name);
  if (user === undefined || !(await deps.passwords.isRight(given.password, user.password_hash))) throw new Problem(401, 'sign-in-refused', 'The old password is wrong.', { about: userId });
  await forgetGuesses(deps, user.name);
  await choosePassword(deps, user, given);
}

/** Of somebody who has just shown who they are. */
export async function openSession(deps: SignInDeps, user: UserRow, { address }: From): Promise<SignedIn> {
  const [sessionId, now] = [randomUUID(), deps.now()];
  const refresh = makeOpaqueToken('refresh');
  await recorded(deps.query, {
    before: 'session as (insert into identity_sessions (session_id, user_id, created_at, expires_at) values ($1, $2, $3, $4) returning session_id),',
    sql: 'insert into identity_refresh_tokens (hash, session_id, issued_at) select $5, session_id, $3 from session returning session_id',
    values: [sessionId, user.user_id, now, new Date(now.getTime() + SESSION_MS), refresh.hash],
  }, { by: { actor: { kind: 'user', id: user.user_id }, address }, acts: ['signed-in'], about: 'session_id', at: now });
  return answer(deps, { user, sessionId, refreshToken: refresh.token });
}

async function answer(deps: SignInDeps, { user, sessionId, refreshToken }: { readonly user: UserRow; readonly sessionId: string; readonly refreshToken: string }): Promise<SignedIn> {
  const accessToken = await signAccessToken({ userId: user.user_id, sessionId }, { ...(await signingKey(deps)), issuer: deps.issuer, now: deps.now(), tokenId: randomUUID() });
  return { accessToken, expiresInSeconds: ACCESS_TOKEN_SECONDS, refreshToken, user: { id: user.user_id, name: user.name, isSystemAdmin: user.is_system_admin } };
}

/** Each is good once. One that comes a second time was stolen, or its successor was: then the whole sign-in ends. @throws Problem 401 */
export async function refresh(deps: SignInDeps, { refreshToken, address }: From & { readonly refreshToken: string }): Promise<SignedIn> {
  const refused = new Problem(401, 'refresh-refused', 'This refresh token is not good any more. Sign in again.');
  const hash = hashOfOpaque('refresh', refreshToken);
  if (hash === undefined) throw refused;
  const next = makeOpaqueToken('refresh');
  const [user] = await deps.query<UserRow & { session_id: string }>(`with used as (
      update identity_refresh_tokens r set used_at = $2 from identity_sessions s join identity_users u using (user_id)
      where r.hash = $1 and r.used_at is null and s.session_id = r.session_id and s.revoked_at is null and s.expires_at > $2 and u.state = 'active'
      returning s.session_id, u.*),
    given as (insert into identity_refresh_tokens (hash, session_id, issued_at) select $3, session_id, $2 from used)
    select * from used`, [hash, deps.now(), next.hash]);
  if (user !== undefined) return answer(deps, { user, sessionId: user.session_id, refreshToken: next.token });
  const [ended] = await recorded<{ session_id: string; user_id: string }>(deps.query, {
    sql: `update identity_sessions s set revoked_at = $2, revoked_why = 'a refresh token came twice'
      from identity_refresh_tokens r where r.hash = $1 and r.used_at is not null and s.session_id = r.session_id and s.revoked_at is null returning s.session_id, s.user_id`,
    values: [hash, deps.now()],
  }, { by: { actor: 'nobody', address }, acts: ['sign-in-ended'], about: 'user_id', at: deps.now() });
  if (ended !== undefined) deps.logger.warn({ userId: ended.user_id, sessionId: ended.session_id }, 'a refresh token came twice: the sign-in was ended');
  throw refused;
}

/** Says nothing of whether there was one. @returns who did, when they had not yet */
export async function signOut({ query, now }: SignInDeps, { refreshToken, address }: From & { readonly refreshToken: string }): Promise<string | undefined> {
  const hash = hashOfOpaque('refresh', refreshToken);
  if (hash === undefined) return undefined;
  const [ended] = await recorded<{ user_id: string }>(query, {
    sql: `update identity_sessions s set revoked_at = $2, revoked_why = 'signed out' from identity_refresh_tokens r where r.hash = $1 and s.session_id = r.session_id and s.revoked_at is null returning s.session_id, s.user_id`,
    values: [hash, now()],
  }, { by: { actor: 'owner', address }, acts: ['signed-out'], about: 'session_id', at: now() });
  return ended?.user_id;
}

export async function makeTicket({ query, now }: SignInDeps, sessionId: string): Promise<{ readonly ticket: string; readonly expiresInSeconds: number }> {
  const { token, hash } = makeOpaqueToken('ticket');
  await query('insert into identity_tickets (hash, session_id, expires_at) values ($1, $2, $3)', [hash, sessionId, new Date(now().getTime() + TICKET_SECONDS * 1_000)]);
  return { ticket: token, expiresInSeconds: TICKET_SECONDS };
}

/** What is over by itself. */
export async function sweepSessions({ query, now }: Pick<SignInDeps, 'query' | 'now'>): Promise<void> {
  await query('delete from identity_tickets where expires_at <= $1', [now()]);
  await query('delete from identity_sessions where expires_at <= $1', [now()]);
}
