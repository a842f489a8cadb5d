import { randomUUID } from 'node:crypto';
import type { UserSummary, UserWithPassword } from '#schemas/api/identity.ts';
import type { Query } from '#shared/postgres/query.ts';
import { Problem } from '#shared/runtime/problem.ts';
import type { Passwords } from './passwords.ts';
import { randomLetters } from './random-letters.ts';
import { recorded, type By } from './recording.ts';

/** A one-time password goes from hand to hand: it must be used soon. */
const ONE_TIME_MS = 7 * 86_400_000;
const USERS_MAX = 10_000;

export interface AccountDeps { readonly query: Query; readonly passwords: Passwords; now(): Date }

export interface UserRow {
  readonly user_id: string;
  readonly name: string;
  readonly password_hash: string;
  readonly is_one_time: boolean;
  readonly password_expires_at: Date | null;
  readonly is_system_admin: boolean;
  readonly state: 'active' | 'disabled';
  readonly created_at: Date;
}

/** 120 random bits in 24 characters that nobody mistakes for others. */
const makeOneTimePassword = () => randomLetters(24);

/** The first one, with the password that was printed; undefined when there is somebody already. */
export async function addFirstAdmin({ query, passwords, now }: AccountDeps): Promise<{ readonly name: string; readonly password: string } | undefined> {
  if ((await query('select 1 from identity_users limit 1')).length > 0) return undefined;
  const password = makeOneTimePassword();
  const made = await recorded(query, {
    sql: `insert into identity_users (user_id, name, password_hash, is_one_time, password_expires_at, is_system_admin, created_at)
      select $1, 'admin', $2, true, $3, true, $4 where not exists (select 1 from identity_users) on conflict do nothing returning user_id`,
    values: [randomUUID(), await passwords.hash(password), new Date(now().getTime() + ONE_TIME_MS), now()],
  }, { by: { actor: 'engine', address: null }, acts: ['user-made', 'user-admin-given'], about: 'user_id', at: now() });
  return made.length === 0 ? undefined : { name: 'admin', password };
}

/** @throws Problem 409 when the name is taken */
export async function addUser({ query, passwords, now }: AccountDeps, { name, isSystemAdmin, by }: { readonly name: string; readonly isSystemAdmin: boolean; readonly by: By }): Promise<UserWithPassword> {
  const password = makeOneTimePassword();
  const expiresAt = new Date(now().getTime() + ONE_TIME_MS);
  const [row] = await recorded<UserRow>(query, {
    sql: `insert into identity_users (user_id, name, password_hash, is_one_time, password_expires_at, is_system_admin, created_at)
      values ($1, $2, $3, true, $4, $5, $6) on conflict (name) do nothing returning *`,
    values: [randomUUID(), name, await passwords.hash(password), expiresAt, isSystemAdmin, now()],
  }, { by, acts: ['user-made', ...(isSystemAdmin ? ['user-admin-given'] : [])], about: 'user_id', at: now() });
  if (row === undefined) throw new Problem(409, 'name-taken', `There is a user ${name} already.`);
  return { ...summaryOf(row), oneTimePassword: password, passwordExpiresAt: expiresAt.toISOString() };
}

/** Somebody who signs in elsewhere: their password is one that nobody knows. Undefined when the name is taken. */
export async function addUserWithoutPassword({ query, passwords, now }: AccountDeps, name: string, by: By): Promise<UserRow | undefined> {
  const [row] = await recorded<UserRow>(query, {
    sql: `insert into identity_users (user_id, name, password_hash, is_one_time, password_expires_at, is_system_admin, created_at)
      values ($1, $2, $3, false, null, false, $4) on conflict (name) do nothing returning *`,
    values: [randomUUID(), name, await passwords.hash(makeOneTimePassword()), now()],
  }, { by, acts: ['user-made'], about: 'user_id', at: now() });
  return row;
}

/** For who forgot theirs: the old one is worth nothing from here on, and they are signed out everywhere. @throws Problem 404 */
export async function resetPassword(deps: AccountDeps, id: string, by: By): Promise<UserWithPassword> {
  const password = makeOneTimePassword();
  const expiresAt = new Date(deps.now().getTime() + ONE_TIME_MS);
  const [row] = await recorded<UserRow>(deps.query, {
    sql: 'update identity_users set password_hash = $2, is_one_time = true, password_expires_at = $3 where user_id = $1 returning *',
    values: [id, await deps.passwords.hash(password), expiresAt],
  }, { by, acts: ['password-reset'], about: 'user_id', at: deps.now() });
  if (row === undefined) throw noUser(id);
  await endSessionsOf(deps, id, 'password was reset');
  return { ...summaryOf(row), oneTimePassword: password, passwordExpiresAt: expiresAt.toISOString() };
}

interface UserChange { readonly isSystemAdmin?: boolean | undefined; readonly state?: UserRow['state'] | undefined }

/** There may be no admin left: whoever can read the state folder makes another. @throws Problem 404 */
export async function changeUser(deps: AccountDeps, id: string, { isSystemAdmin, state, by }: UserChange & { readonly by: By }): Promise<UserSummary> {
  const [row] = await recorded<UserRow>(deps.query, {
    sql: 'update identity_users set is_system_admin = coalesce($2, is_system_admin), state = coalesce($3, state) where user_id = $1 returning *',
    values: [id, isSystemAdmin ?? null, state ?? null],
  }, { by, acts: actsOf({ isSystemAdmin, state }), about: 'user_id', at: deps.now() });
  if (row === undefined) throw noUser(id);
  if (row.state === 'disabled') await endSessionsOf(deps, id, 'user was disabled');
  return summaryOf(row);
}

function actsOf({ isSystemAdmin, state }: UserChange): string[] {
  const admin = isSystemAdmin === undefined ? [] : [isSystemAdmin ? 'user-admin-given' : 'user-admin-taken'];
  return [...admin, ...(state === undefined ? [] : [state === 'disabled' ? 'user-disabled' : 'user-enabled'])];
}

/** Their name is gone, all they had signed in with, and where they came from; facts and audit entries keep an id that is nobody's. @throws Problem 404 */
export async function eraseUser({ query, now }: AccountDeps, id: string, by: By): Promise<void> {
  const erased = await recorded(query, {
    before: 'forgotten as (update identity_audit set address = null where (actor_id = $1 or target = $1) and address is not null),',
    sql: 'delete from identity_users where user_id = $1 returning user_id', values: [id],
  }, { by, acts: ['user-erased'], about: 'user_id', at: now() });
  if (erased.length === 0) throw noUser(id);
}

export async function listUsers({ query }: AccountDeps): Promise<UserSummary[]> {
  return (await query<UserRow>('select * from identity_users order by name limit $1', [USERS_MAX])).map(summaryOf);
}

export async function nameOf({ query }: Pick<AccountDeps, 'query'>, id: string): Promise<string | undefined> {
  return (await query<{ name: string }>('select name from identity_users where user_id = $1', [id]))[0]?.name;
}

export async function endSessionsOf({ query, now }: Pick<AccountDeps, 'query' | 'now'>, userId: string, why: string): Promise<void> {
  await query('update identity_sessions set revoked_at = $2, revoked_why = $3 where user_id = $1 and revoked_at is null', [userId, now(), why]);
}

const noUser = (id: string) => new Problem(404, 'user-unknown', `There is no user ${JSON.stringify(id)}. GET /v1/users lists them.`);

function summaryOf(row: UserRow): UserSummary {
  return { id: row.user_id, name: row.name, isSystemAdmin: row.is_system_admin, state: row.state, hasOneTimePassword: row.is_one_time, createdAt: row.created_at.toISOString() };
}
