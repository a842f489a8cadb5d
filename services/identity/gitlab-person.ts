import type { SourceId } from '#schemas/brand.ts';
import type { UnknownUsers } from '#schemas/api/identity.ts';
import { readPeople } from '#shared/lifecycles/people-state.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { addUserWithoutPassword, eraseUser, type AccountDeps, type UserRow } from './accounts.ts';
import { bindGitLabUser, type GitLabUserDeps } from './gitlab-users.ts';
import { randomLetters } from './random-letters.ts';

export type PersonDeps = AccountDeps & GitLabUserDeps;

export interface GitLabPerson { readonly sourceId: SourceId; readonly gitlabUserId: number; readonly unknownUsers: UnknownUsers; /** From where they come. */ readonly address: string | null }

/**
 * Who of us a GitLab user is: by the facts that say so, and by nothing else. Whom nobody is becomes somebody, where the source says
 * so. Undefined: nobody, or somebody who may not sign in. @throws Unavailable
 */
export async function personOf(deps: PersonDeps, person: GitLabPerson): Promise<UserRow | undefined> {
  const bound = await boundTo(deps, person);
  if (bound !== undefined) return activeUser(deps, bound);
  if (person.unknownUsers === 'refuse') return undefined;
  const made = await makeUser(deps, person);
  try {
    await bindGitLabUser(deps, made.user_id, { ...person, actor: { kind: 'user', id: made.user_id } });
    return made;
  } catch (error) {
    // While nobody knows whether the fact was taken, whom it may name stays.
    if (!(error instanceof Problem)) throw error;
    await eraseUser(deps, made.user_id, { actor: 'owner', address: person.address });
    // They came in by two doors at the same time: the other was quicker.
    if (error.code === 'gitlab-user-bound') return personOf(deps, { ...person, unknownUsers: 'refuse' });
    throw error;
  }
}

/** Of somebody who may sign in. */
export async function activeUser({ query }: Pick<AccountDeps, 'query'>, userId: string): Promise<UserRow | undefined> {
  return (await query<UserRow>(`select * from identity_users where user_id = $1 and state = 'active'`, [userId]))[0];
}

async function boundTo(deps: PersonDeps, { sourceId, gitlabUserId }: GitLabPerson): Promise<string | undefined> {
  await deps.recorded();
  const { gitlabUserOf } = await readPeople(deps.log, sourceId);
  return [...gitlabUserOf].find(([, id]) => id === gitlabUserId)?.[0];
}

/** Two GitLabs may have the same numbers, and a name is nobody's proof: one that is taken is left alone. */
async function makeUser(deps: PersonDeps, { gitlabUserId, address }: GitLabPerson): Promise<UserRow> {
  const name = `gitlab-${gitlabUserId}`;
  const by = { actor: 'owner', address } as const;
  const made = await addUserWithoutPassword(deps, name, by) ?? await addUserWithoutPassword(deps, `${name}-${randomLetters(6)}`, by);
  if (made === undefined) throw new Error('a random name was taken');
  return made;
}
