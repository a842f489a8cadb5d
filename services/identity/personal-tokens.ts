import { randomUUID } from 'node:crypto';
import type { MadePersonalToken, PersonalToken, TokenScope } from '#schemas/api/identity.ts';
import { makeOpaqueToken } from '#shared/identity/opaque-token.ts';
import type { Query } from '#shared/postgres/query.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { recorded, type By } from './recording.ts';

const TOKENS_MAX = 100;
const DAY_MS = 86_400_000;

interface TokenDeps { readonly query: Query; now(): Date }
interface TokenRow { readonly token_id: string; readonly name: string; readonly scope: TokenScope; readonly created_at: Date; readonly expires_at: Date; readonly last_used_at: Date | null }

const STANDING = 'user_id = $1 and revoked_at is null and expires_at > $2';

export async function listTokens({ query, now }: TokenDeps, userId: string): Promise<PersonalToken[]> {
  return (await query<TokenRow>(`select * from identity_tokens where ${STANDING} order by created_at`, [userId, now()])).map(tokenOf);
}

/** Shown once; what is kept is its digest. @throws Problem 409 */
export async function makeToken(deps: TokenDeps, userId: string, { name, scope, expiresInDays, by }: { readonly name: string; readonly scope: TokenScope; readonly expiresInDays: number; readonly by: By }): Promise<MadePersonalToken> {
  if ((await listTokens(deps, userId)).length >= TOKENS_MAX) throw new Problem(409, 'too-many-tokens', `A person has ${TOKENS_MAX} tokens at most. Revoke one that is not used: DELETE /v1/tokens/{id}.`);
  const { token, hash } = makeOpaqueToken('personal');
  const now = deps.now();
  const [row] = await recorded<TokenRow>(deps.query, {
    sql: 'insert into identity_tokens (token_id, hash, user_id, name, scope, created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7) returning *',
    values: [randomUUID(), hash, userId, name, scope, now, new Date(now.getTime() + expiresInDays * DAY_MS)],
  }, { by, acts: ['token-made'], about: 'token_id', at: now });
  if (row === undefined) throw new Error('a token was not made');
  return { ...tokenOf(row), token };
}

/** @throws Problem 404 */
export async function revokeToken({ query, now }: TokenDeps, userId: string, { id, by }: { readonly id: string; readonly by: By }): Promise<void> {
  const done = await recorded(query, { sql: `update identity_tokens set revoked_at = $2 where ${STANDING} and token_id = $3 returning token_id`, values: [userId, now(), id] }, { by, acts: ['token-revoked'], about: 'token_id', at: now() });
  if (done.length === 0) throw new Problem(404, 'token-unknown', 'There is no such token of yours. GET /v1/tokens lists them.');
}

const tokenOf = (row: TokenRow): PersonalToken => ({
  id: row.token_id, name: row.name, scope: row.scope, createdAt: row.created_at.toISOString(), expiresAt: row.expires_at.toISOString(), lastUsedAt: row.last_used_at?.toISOString() ?? null,
});
