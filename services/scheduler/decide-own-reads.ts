import type { CodebaseId, GitLabProjectId } from '#schemas/brand.ts';
import type { GitLabMember } from '#shared/gitlab/gitlab.ts';
import { differenceOf, readsCode, type Difference, type Readers } from './decide-readers.ts';

export interface FollowedCodebase { readonly id: CodebaseId; readonly gitlabProjectId: GitLabProjectId }

/**
 * Where a person's own list of projects says otherwise than what we hold of them: nothing is decided by it but where to ask further.
 * What they may have lost comes first.
 */
export function whereToAsk({ listed, held, followed }: { readonly listed: ReadonlySet<GitLabProjectId>; readonly held: ReadonlySet<CodebaseId>; readonly followed: readonly FollowedCodebase[] }): FollowedCodebase[] {
  const differing = followed.filter(({ id, gitlabProjectId }) => listed.has(gitlabProjectId) !== held.has(id));
  return [...differing.filter(({ id }) => held.has(id)), ...differing.filter(({ id }) => !held.has(id))];
}

/**
 * What GitLab says of one person in one project, told to the source's own token, by the rule that the sweep has: so that the two never
 * say in turn what the other takes back. Undefined: nothing is other than it was.
 */
export function differenceOfOne(before: Readers, { gitlabUserId, member, today }: { readonly gitlabUserId: number; readonly member: GitLabMember | null; readonly today: string }): Difference | undefined {
  const others = before.users.filter((user) => user !== gitlabUserId);
  const reads = member !== null && readsCode(member, today);
  return differenceOf(before, { users: reads ? [...others, gitlabUserId] : others, beyondMembers: before.beyondMembers });
}
