import type { ProjectId } from '#schemas/brand.ts';
import type { MemberRole } from '#schemas/events/project-member-added.ts';
import type { Query } from '#shared/postgres/query.ts';
import { isReadable } from './readable.ts';
import type { PersonView, ProjectReaderView, ProjectView, ReadStore } from './read-store.ts';

const projectFor = (user: string) => `project_id as id, name, state, created_at as "createdAt", removed_at as "removedAt", revision,
  (select count(*)::int from read_model.project_codebases m join read_model.codebases c using (codebase_id)
   where m.project_id = p.project_id and m.is_member and c.state in ('active', 'archived') and ${isReadable('m.codebase_id', user)}) as codebases`;

/** What is shown unless something else is asked for. */
const LISTED = ['active', 'archived'] as const;

/** What the read store tells about projects and their people. */
export function createPostgresProjectReads(query: Query): Pick<ReadStore, 'projects' | 'project' | 'roleOf' | 'people' | 'projectReaders' | 'projectsEver'> {
  return {
    projects: ({ after, limit, states = LISTED, person }) => query<ProjectView>(
      `select ${projectFor('$4')} from read_model.projects p where project_id > $1 and state = any($3::text[])
       and ($4::text is null or exists (select from read_model.project_people m where m.project_id = p.project_id and m.user_id = $4 and m.role is not null))
       order by project_id limit $2`, [after, limit, states, person ?? null]),

    async roleOf(project, user) {
      const [row] = await query<{ role: MemberRole | null }>('select role from read_model.project_people where project_id = $1 and user_id = $2', [project, user]);
      return row?.role ?? undefined;
    },

    people: (project) => query<PersonView>('select user_id as "userId", role, since from read_model.project_people where project_id = $1 and role is not null order by user_id', [project]),

    projectReaders: (codebase) => query<ProjectReaderView>(
      `select p.user_id as "userId", j.project_id as project, j.name as "projectName" from read_model.project_codebases m
         join read_model.projects j on j.project_id = m.project_id and j.state in ('active', 'archived')
         join read_model.project_people p on p.project_id = m.project_id and p.role is not null
        where m.codebase_id = $1 and m.is_member and m.is_read order by p.user_id, j.project_id`, [codebase]),

    // What left a project, and who did, keeps its row.
    projectsEver: async (of) => (await ('codebase' in of ? query<{ id: ProjectId }>('select project_id as id from read_model.project_codebases where codebase_id = $1 order by 1', [of.codebase])
      : query<{ id: ProjectId }>('select project_id as id from read_model.project_people where user_id = $1 order by 1', [of.user]))).map(({ id }) => id),

    async project(id, readableBy) {
      const [row] = await query<ProjectView>(`select ${projectFor('$2')} from read_model.projects p where project_id = $1`, [id, readableBy ?? null]);
      return row;
    },
  };
}
