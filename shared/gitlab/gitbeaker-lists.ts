import type { RequesterType } from '@gitbeaker/requester-utils';
import type { z } from 'zod';
import type { restGroup, restListedProject } from '#schemas/gitlab/rest.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { nextQuery } from './gitbeaker-pages.ts';
import { LIST_PAGE_MAX, type GitLabGroup, type GroupsAsked, type ListedProject, type ListPage, type PagePlace, type ProjectsAsked } from './list-pages.ts';

export interface ListAsked {
  readonly dependency: string;
  readonly requester: RequesterType;
  readonly endpoint: string;
  readonly query: Readonly<Record<string, string>>;
  readonly after: PagePlace | undefined;
  readonly limit: number;
}

/** Signed-in users page groups by number only, and projects by key only in the order of ids (gitlab.md 3.3). */
export async function listPage<T>(asked: ListAsked, read: (entry: unknown) => T): Promise<ListPage<T>> {
  const { page, perPage } = asked.after ?? { page: 1, perPage: Math.min(asked.limit, LIST_PAGE_MAX) };
  const { body, headers } = await asked.requester.get(asked.endpoint, { searchParams: { ...asked.query, page: String(page), per_page: String(perPage) } });
  if (!Array.isArray(body)) throw new Unavailable(asked.dependency, `${asked.endpoint} is not a JSON list`);

  const entries = body.map(read);
  // Full, and no word of a next page: the end by chance, or a proxy that drops Link. Asking for page n + 1 tells.
  const hasNext = nextQuery(headers as Record<string, string>) !== undefined || entries.length >= perPage;
  if (!hasNext && isCut(headers as Record<string, string>, { seen: (page - 1) * perPage + entries.length })) {
    throw new Unavailable(asked.dependency, `page ${page} of ${asked.endpoint} ends before its list does`);
  }
  return { entries, next: hasNext ? { page: page + 1, perPage } : null };
}

/** What GitLab counts is more than what came, and nothing is said of a next page. It leaves the count out above 10,000. */
function isCut(headers: Record<string, string>, { seen }: { seen: number }): boolean {
  const total = headers['x-total'];
  return total !== undefined && /^\d+$/.test(total) && Number(total) > seen;
}

export function groupsQuery({ search }: GroupsAsked): Record<string, string> {
  // By id: what is made meanwhile comes last, and moves nothing.
  return { order_by: 'id', sort: 'asc', ...(search === undefined || search === '' ? {} : { search }) };
}

export function projectsAddress(asked: ProjectsAsked): { endpoint: string; query: Record<string, string> } {
  const order = { order_by: 'last_activity_at', sort: 'desc' };
  if (asked.group === undefined) return { endpoint: 'projects', query: { ...order, statistics: 'true', ...(asked.isMember ? { membership: 'true' } : {}) } };
  // Shared projects belong to others; GitLab names them unless told not to.
  return { endpoint: `groups/${encodeURIComponent(asked.group)}/projects`, query: { ...order, with_shared: 'false', include_subgroups: String(asked.includeSubgroups) } };
}

export function groupOf({ id, full_path: path, name, visibility }: z.output<typeof restGroup>): GitLabGroup {
  return { id, path, name, visibility };
}

export function listedProjectOf(project: z.output<typeof restListedProject>): ListedProject {
  const levels = [project.permissions?.project_access?.access_level, project.permissions?.group_access?.access_level].filter((level) => level !== undefined);
  return {
    id: project.id,
    path: project.path_with_namespace,
    name: project.name,
    isArchived: project.archived ?? false,
    isEmpty: project.empty_repo ?? false,
    lastActivityAt: project.last_activity_at ?? null,
    repositoryBytes: project.statistics?.repository_size ?? null,
    accessLevel: levels.length === 0 ? null : Math.max(...levels),
    defaultBranch: project.default_branch ?? null,
    visibility: project.visibility,
    hasRepository: project.repository_access_level !== 'disabled',
  };
}
