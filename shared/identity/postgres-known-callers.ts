import type { JWK } from 'jose';
import type { TokenScope } from '#schemas/api/identity.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { KnownCallers, KnownSession, KnownToken, KnownUser } from './known-callers.ts';

interface UserRow { readonly user_id: string; readonly is_system_admin: boolean }
interface SessionRow extends UserRow { readonly session_id: string }
interface TokenRow extends UserRow { readonly token_id: string; readonly scope: TokenScope }

const USER = 'u.user_id, u.is_system_admin';
const SESSION = `select s.session_id, ${USER} from identity_sessions s join identity_users u using (user_id)
  where s.session_id = $1 and s.revoked_at is null and s.expires_at > $2 and u.state = 'active'`;
const TOKEN = `select t.token_id, t.scope, ${USER} from identity_tokens t join identity_users u using (user_id)
  where t.revoked_at is null and t.expires_at > $2 and u.state = 'active'`;
/** As exact as a person wants to know it, and not a write for every request. */
const USE_NOTED = `update identity_tokens set last_used_at = $2 where token_id = $1 and (last_used_at is null or last_used_at < $2::timestamptz - interval '1 minute')`;

export function createPostgresKnownCallers({ query, now }: { readonly query: Query; now(): Date }): KnownCallers {
  const sessionOf = async (id: string): Promise<KnownSession | undefined> => {
    const [row] = await query<SessionRow>({ name: 'identity-session', text: SESSION }, [id, now()]);
    return row === undefined ? undefined : { ...userOf(row), sessionId: row.session_id };
  };
  return {
    async keys() {
      return { keys: (await query<{ public_jwk: JWK }>('select public_jwk from identity_keys order by since desc')).map((row) => row.public_jwk) };
    },
    async user(idOrName) {
      const [row] = await query<UserRow>(`select ${USER} from identity_users u where (u.user_id = $1 or u.name = $1) and u.state = 'active' order by u.user_id = $1 desc limit 1`, [idOrName]);
      return row === undefined ? undefined : userOf(row);
    },
    names: async (userIds) => new Map((await query<{ user_id: string; name: string }>('select user_id, name from identity_users where user_id = any($1)', [userIds])).map((row) => [row.user_id, row.name])),
    session: sessionOf,
    async token(hash) {
      const [row] = await query<TokenRow>({ name: 'identity-token', text: `${TOKEN} and t.hash = $1` }, [hash, now()]);
      if (row !== undefined) await query(USE_NOTED, [row.token_id, now()]);
      return row === undefined ? undefined : tokenOf(row);
    },
    async tokenById(tokenId) {
      const [row] = await query<TokenRow>(`${TOKEN} and t.token_id = $1`, [tokenId, now()]);
      return row === undefined ? undefined : tokenOf(row);
    },
    ownerOfToken: async (hash) => (await query<{ user_id: string }>('select user_id from identity_tokens where hash = $1', [hash]))[0]?.user_id,
    async redeem(ticketHash) {
      const [row] = await query<{ session_id: string }>('delete from identity_tickets where hash = $1 and expires_at > $2 returning session_id', [ticketHash, now()]);
      return row === undefined ? undefined : sessionOf(row.session_id);
    },
  };
}

const userOf = (row: UserRow): KnownUser => ({ userId: row.user_id, isSystemAdmin: row.is_system_admin });
const tokenOf = (row: TokenRow): KnownToken => ({ ...userOf(row), tokenId: row.token_id, scope: row.scope });
