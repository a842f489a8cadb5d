import fc from 'fast-check';
import type { GitLabMember } from '#shared/gitlab/gitlab.ts';
import { differenceOf, readsCode } from './decide-readers.ts';

const member = (more: Partial<GitLabMember> = {}): GitLabMember => ({ userId: 1, level: 30, isActive: true, expiresAt: null, ...more });
const reads = (more: Partial<GitLabMember>) => readsCode(member(more), '2026-01-02');

test('Reporter reads code and whoever is above it, also at levels that nobody has heard of; Planner and Guest do not', () => {
  expect([0, 5, 10, 15, 19].map((level) => reads({ level }))).toEqual([false, false, false, false, false]);
  expect([20, 25, 30, 40, 50, 60].map((level) => reads({ level }))).toEqual([true, true, true, true, true, true]);
});

test('who is blocked does not read, nor who is at the day on which it ends', () => {
  expect(reads({ isActive: false })).toBe(false);
  expect(['2026-01-01', '2026-01-02', '2026-01-03', '2026-01-02T00:00:00.000Z'].map((expiresAt) => reads({ expiresAt }))).toEqual([false, false, true, false]);
});

test('a difference leads from what was to what is, names nobody twice, and is none where nothing is other', () => {
  const users = fc.uniqueArray(fc.integer({ min: 1, max: 8 }));
  const readers = fc.record({ users, beyondMembers: fc.constantFrom('nobody' as const, 'signed-in' as const) });
  fc.assert(fc.property(readers, readers, (before, now) => {
    const found = differenceOf(before, now);
    const after = new Set([...before.users, ...found?.granted ?? []].filter((user) => found?.revoked.includes(user) !== true));
    expect(after).toEqual(new Set(now.users));
    expect(found === undefined).toBe(before.beyondMembers === now.beyondMembers && before.users.length === now.users.length && before.users.every((user) => now.users.includes(user)));
    expect(found?.granted.some((user) => before.users.includes(user)) ?? false).toBe(false);
  }));
  // That nobody reads it is worth saying once.
  expect(differenceOf(undefined, { users: [], beyondMembers: 'nobody' })).toEqual({ granted: [], revoked: [], beyondMembers: 'nobody' });
});
