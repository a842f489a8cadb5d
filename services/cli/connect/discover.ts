import type { GitLabGroupPage, GitLabProjectPage } from '#schemas/api/sources.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';

export type GitlabGroup = GitLabGroupPage['groups'][number];
export type GitlabProject = GitLabProjectPage['projects'][number];

/** GitLab's largest page: the fewest requests of it. */
const PAGE = 100;

/** The groups that a source's token sees, page by page. */
export async function* eachGroup(client: Pick<ApiClient, 'gitlabGroups'>, source: string): AsyncGenerator<GitlabGroup> {
  for (let after: string | null | undefined; after !== null;) {
    const page: GitLabGroupPage = await client.gitlabGroups(source, { limit: PAGE, ...(after === undefined ? {} : { after }) });
    yield* page.groups;
    after = page.next;
  }
}

/** The projects of a group and below it, or all that the token's user is a member of; newest-active first. */
export async function* eachProject(client: Pick<ApiClient, 'gitlabProjects'>, { source, group }: { source: string; group: string | null }): AsyncGenerator<GitlabProject> {
  for (let after: string | null | undefined; after !== null;) {
    const page: GitLabProjectPage = await client.gitlabProjects(source, { ...(group === null ? {} : { group }), limit: PAGE, ...(after === undefined ? {} : { after }) });
    yield* page.projects;
    after = page.next;
  }
}
