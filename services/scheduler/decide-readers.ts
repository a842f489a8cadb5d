import type { BeyondMembers, GitLabMember } from '#shared/gitlab/gitlab.ts';

/** Who reads a codebase's code by what its GitLab project says. */
export interface Readers { readonly users: readonly number[]; readonly beyondMembers: BeyondMembers }

export interface Difference { readonly granted: readonly number[]; readonly revoked: readonly number[]; readonly beyondMembers: BeyondMembers }

/** Reporter. Planner (15) and Guest (10) do not read code, nor does what GitLab may put between them and Reporter; what lies above does. */
export const READS_CODE_FROM = 20;

/** @param today in UTC, `2026-01-31`: a membership ends as its last day begins. A custom role that adds reading to a guest lets them look in the browser and not fetch: it does not count. */
export const readsCode = ({ level, isActive, expiresAt }: GitLabMember, today: string): boolean => level >= READS_CODE_FROM && isActive && (expiresAt === null || today < expiresAt.slice(0, 10));

/** What is other than it was; undefined when nothing is. */
export function differenceOf(before: Readers | undefined, now: Readers): Difference | undefined {
  const [was, is] = [new Set(before?.users), new Set(now.users)];
  const granted = [...is].filter((user) => !was.has(user)).sort(byNumber);
  const revoked = [...was].filter((user) => !is.has(user)).sort(byNumber);
  const isSame = before !== undefined && granted.length === 0 && revoked.length === 0 && before.beyondMembers === now.beyondMembers;
  return isSame ? undefined : { granted, revoked, beyondMembers: now.beyondMembers };
}

const byNumber = (one: number, other: number) => one - other;
