import type { Query } from '#shared/postgres/query.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import { activePeople, mayBeUsed } from './active-people.ts';
import type { ActivePerson, OwnAccess } from './own-access.ts';
import { grantedTokens } from './own-grant.ts';

/** More than are active at once in any GitLab that we know of. */
const PEOPLE_MAX = 20_000;

/** A grant counts for whom its user is in that GitLab now. While it is turned, its access token is still good. */
const PEOPLE = `select b.source_id as "sourceId", b.user_id as "userId", b.gitlab_user_id as "gitlabUserId",
    (select g.grant_id from identity_grants g where g.source_id = b.source_id and g.user_id = b.user_id and g.gitlab_user_id = b.gitlab_user_id
       and g.state in ('good', 'turning') and g.expires_at > $1 and ${mayBeUsed('$1')} order by g.kept_at desc limit 1) as "grantId"
  from read_model.gitlab_people b where b.user_id in (${activePeople('$1')})
   and exists (select from identity_users u where u.user_id = b.user_id and u.state = 'active')
  order by b.source_id, b.gitlab_user_id limit ${PEOPLE_MAX}`;

export function createPostgresOwnAccess({ query, vault, now }: { readonly query: Query; readonly vault: Pick<SecretVault, 'get'>; now(): Date }): OwnAccess {
  return {
    people: async () => (await query<Omit<ActivePerson, 'gitlabUserId'> & { gitlabUserId: string }>(PEOPLE, [now()])).map((row) => ({ ...row, gitlabUserId: Number(row.gitlabUserId) })),
    async token({ grantId, sourceId, userId }) {
      return grantId === null ? undefined : (await grantedTokens(vault, { grantId, sourceId, userId }))?.accessToken;
    },
  };
}
