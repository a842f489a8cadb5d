import type { GitLabProjectId } from '#schemas/brand.ts';

/** A place in a list that GitLab pages by number. The size of the page belongs to it: with another, entries would be passed over. */
export interface PagePlace { readonly page: number; readonly perPage: number }

export interface ListPage<T> {
  readonly entries: readonly T[];
  /** Null at the end of the list, and only there: a page that was cut is no page (I8). */
  readonly next: PagePlace | null;
}

export interface GitLabGroup { readonly id: number; readonly path: string; readonly name: string; readonly visibility: string }

export interface GroupsAsked { readonly search?: string | undefined; readonly after?: PagePlace | undefined; readonly limit: number }

export interface ListedProject {
  readonly id: GitLabProjectId;
  readonly path: string;
  readonly name: string;
  readonly isArchived: boolean;
  readonly isEmpty: boolean;
  readonly lastActivityAt: string | null;
  /** Null where GitLab does not say: below a group, and for who is less than a Reporter. */
  readonly repositoryBytes: number | null;
  /** 10 Guest, 20 Reporter, 30 Developer, 40 Maintainer, 50 Owner, others between. Null: by no membership that GitLab names here. */
  readonly accessLevel: number | null;
  readonly defaultBranch: string | null;
  readonly visibility: string;
  /** False when the repository is switched off in the project's settings. */
  readonly hasRepository: boolean;
}

export interface ProjectsAsked {
  /** Its id or its full path; without one, all projects. */
  readonly group?: string | number | undefined;
  readonly includeSubgroups: boolean;
  /** Without a group: only those that the token's user is a member of. */
  readonly isMember: boolean;
  readonly after?: PagePlace | undefined;
  readonly limit: number;
}

/** GitLab's largest page. */
export const LIST_PAGE_MAX = 100;

export function placeAsText({ page, perPage }: PagePlace): string {
  return `${page}x${perPage}`;
}

/** Undefined when it is none that we gave. */
export function placeFromText(text: string): PagePlace | undefined {
  const [, page, perPage] = /^([1-9]\d{0,6})x([1-9]\d{0,2})$/.exec(text) ?? [];
  if (page === undefined || Number(perPage) > LIST_PAGE_MAX) return undefined;
  return { page: Number(page), perPage: Number(perPage) };
}
