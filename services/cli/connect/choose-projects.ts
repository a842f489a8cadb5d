import { counted } from '#shared/api-client/describe-fact.ts';
import { bytesInWords } from '../plain-text.ts';
import type { GitlabProject } from './discover.ts';

export interface ProjectFilter {
  readonly excludes: readonly string[];
  readonly includesArchived: boolean;
}

/** What becomes of each project that was found. Each list is newest-active first. */
export interface Choice {
  /** To be followed now. */
  readonly follow: readonly GitlabProject[];
  /** Followed already. */
  readonly known: readonly GitlabProject[];
  readonly excluded: readonly GitlabProject[];
  readonly archived: readonly GitlabProject[];
  /** Their code is not for this token to see: a guest's project, or one whose repository is switched off. */
  readonly unreadable: readonly GitlabProject[];
}

/** Reporter: who has less does not read private code. Roles between are compared, never listed. */
const REPORTER = 20;

/** Sorts what was found into what is followed and what is not, and why not. A project that two groups bring counts once. */
export function chooseProjects(found: readonly GitlabProject[], { excludes, includesArchived }: ProjectFilter): Choice {
  const patterns = excludes.map(patternOf);
  const choice = { follow: [] as GitlabProject[], known: [] as GitlabProject[], excluded: [] as GitlabProject[], archived: [] as GitlabProject[], unreadable: [] as GitlabProject[] };
  const unique = [...new Map(found.map((project) => [project.id, project])).values()].sort(newestFirst);
  for (const project of unique) {
    if (patterns.some((pattern) => pattern.test(project.path))) choice.excluded.push(project);
    else if (project.codebaseId !== null) choice.known.push(project);
    else if (project.isArchived && !includesArchived) choice.archived.push(project);
    else if (isUnreadable(project)) choice.unreadable.push(project);
    else choice.follow.push(project);
  }
  return choice;
}

function isUnreadable({ visibility, accessLevel, isEmpty, defaultBranch, hasRepository }: GitlabProject): boolean {
  if (!hasRepository || (visibility === 'private' && accessLevel !== null && accessLevel < REPORTER)) return true;
  // GitLab tells an empty repository as such; to who may not read the code, it names no branch.
  return !isEmpty && defaultBranch === null;
}

const newestFirst = (a: GitlabProject, b: GitlabProject) => {
  const [left, right] = [a.lastActivityAt ?? '', b.lastActivityAt ?? ''];
  return left === right ? a.id - b.id : left < right ? 1 : -1;
};

/** `*` stands for anything, `/` too; case does not count, as in GitLab's paths. */
export function patternOf(pattern: string): RegExp {
  const escaped = pattern.replace(/^\/+|\/+$/g, '').split('*').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`, 'is');
}

/** Count and size of what would be followed, and what is left out and why: lines for a person. */
export function previewLines({ follow, known, excluded, archived, unreadable }: Choice): string[] {
  const empty = follow.filter(({ isEmpty }) => isEmpty).length;
  const lines = [`${counted(follow.length, 'project')} to follow, ${sizeInWords(follow)}.`];
  if (empty > 0) lines.push(`  ${empty} of them ${empty === 1 ? 'is' : 'are'} empty: followed, and read as soon as somebody pushes.`);
  if (known.length > 0) lines.push(`  ${known.length} more ${known.length === 1 ? 'is' : 'are'} followed already.`);
  if (archived.length > 0) lines.push(`  ${counted(archived.length, 'archived project')} left out (--include-archived takes them).`);
  if (unreadable.length > 0) lines.push(`  ${unreadable.length} without a repository that this token may read, left out: its user must be Reporter there, and the repository must be switched on in the project.`);
  if (excluded.length > 0) lines.push(`  ${excluded.length} left out by --exclude.`);
  return lines;
}

export function sizeInWords(projects: readonly GitlabProject[]): string {
  const sizes = projects.flatMap(({ repositoryBytes }) => (repositoryBytes === null ? [] : [repositoryBytes]));
  if (sizes.length === 0) return 'of a size that GitLab does not tell';
  const bytes = bytesInWords(sizes.reduce((sum, size) => sum + size, 0));
  const untold = projects.length - sizes.length;
  return untold === 0 ? `${bytes} in GitLab with all history` : `${bytes} in GitLab with all history, without ${untold} whose size it does not tell`;
}
