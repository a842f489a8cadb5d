import { CliError, EXIT } from '../exit-codes.ts';
import { nearestName } from '../nearest-name.ts';
import { printable } from '../plain-text.ts';
import type { GitlabGroup } from './discover.ts';

/** More would scroll away; the rest is chosen by its path. */
export const GROUPS_SHOWN_MAX = 100;

export type GroupChoice = { readonly kind: 'all' } | { readonly kind: 'groups'; readonly paths: readonly string[] } | { readonly kind: 'unclear'; readonly why: string };

/** `1, 3-5`, paths, or `all`. Numbers are those of the list as it is shown, from 1. */
export function readGroupChoice(answer: string, groups: readonly Pick<GitlabGroup, 'path'>[]): GroupChoice {
  const words = answer.split(/[\s,]+/).filter((word) => word !== '');
  if (words.length === 0) return { kind: 'unclear', why: 'Say at least one number, a path, or "all".' };
  if (words.length === 1 && words[0]?.toLowerCase() === 'all') return { kind: 'all' };
  const paths = new Set<string>();
  for (const word of words) {
    const range = /^(\d+)(?:-(\d+))?$/.exec(word);
    if (range !== null) {
      const [from, to] = [Number(range[1]), Number(range[2] ?? range[1])];
      if (from < 1 || to < from || to > groups.length) return { kind: 'unclear', why: `"${word}" is none of the numbers 1 to ${groups.length}.` };
      for (const group of groups.slice(from - 1, to)) paths.add(group.path);
      continue;
    }
    const found = groups.find(({ path }) => path.toLowerCase() === word.toLowerCase());
    if (found === undefined) return { kind: 'unclear', why: noSuchGroup(word, groups) };
    paths.add(found.path);
  }
  return { kind: 'groups', paths: withoutThoseBelow([...paths]) };
}

/** A group brings what is below it: naming both would list it twice. */
export function withoutThoseBelow(paths: readonly string[]): string[] {
  const lower = paths.map((path) => path.toLowerCase());
  return paths.filter((_, at) => !lower.some((other, place) => place !== at && `${lower[at]}/`.startsWith(`${other}/`) && (lower[at] !== other || place < at)));
}

/** Groups as they were named, in GitLab's spelling. @throws CliError */
export function namedGroups(given: readonly string[], groups: readonly GitlabGroup[]): string[] {
  return withoutThoseBelow(given.map((name) => {
    const wanted = name.replace(/^\/+|\/+$/g, '').toLowerCase();
    const found = groups.find(({ path }) => path.toLowerCase() === wanted);
    if (found === undefined) throw new CliError(EXIT.failed, noSuchGroup(name, groups));
    return found.path;
  }));
}

function noSuchGroup(name: string, groups: readonly Pick<GitlabGroup, 'path'>[]): string {
  const near = nearestName(name, groups.map(({ path }) => path));
  const meant = near === undefined ? '' : ` Did you mean "${printable(near)}"?`;
  return `GitLab shows this token no group "${printable(name)}".${meant} A token sees the groups that its user is a member of, and public ones.`;
}

/** The list that a person chooses from. */
export function groupLines(groups: readonly GitlabGroup[]): string[] {
  const shown = groups.slice(0, GROUPS_SHOWN_MAX);
  const width = String(shown.length).length;
  const lines = shown.map(({ path, visibility }, at) => `  ${String(at + 1).padStart(width)}  ${printable(path)}${visibility === 'private' ? '' : `  (${printable(visibility)})`}`);
  return groups.length > shown.length ? [...lines, `  and ${groups.length - shown.length} more: name one by its path`] : lines;
}
