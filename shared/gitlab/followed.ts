import type { RefName } from '#schemas/brand.ts';
import type { FollowedRefs } from '#schemas/events/codebase-registered.ts';

/** Whether a registration follows a ref: branches and tags by their patterns, nothing else ever. */
export function isFollowed(ref: RefName, followed: FollowedRefs): boolean {
  if (ref.startsWith('refs/heads/')) return followed.branches.some((pattern) => matches(pattern, ref.slice('refs/heads/'.length)));
  if (ref.startsWith('refs/tags/')) return followed.tags.some((pattern) => matches(pattern, ref.slice('refs/tags/'.length)));
  return false;
}

/** `*` matches anything, `/` too. By hand and not as a regular expression: patterns are given by people, names by strangers. */
export function matches(pattern: string, name: string): boolean {
  const [head = '', ...pieces] = pattern.split('*');
  const tail = pieces.pop();
  if (tail === undefined) return name === head;
  if (!name.startsWith(head) || !name.endsWith(tail) || name.length < head.length + tail.length) return false;
  let at = head.length;
  for (const piece of pieces) {
    const found = name.indexOf(piece, at);
    if (found < 0 || found + piece.length > name.length - tail.length) return false;
    at = found + piece.length;
  }
  return true;
}
