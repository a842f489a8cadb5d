import type { CodebaseId } from '#schemas/brand.ts';
import type { Query } from '#shared/postgres/query.ts';
import { readableCodebases } from './readable.ts';
import type { GitLabReadersView, ReadersAskedView, ReadStore } from './read-store.ts';

/** Arrays of arrays are rectangular in Postgres: so the inner ones are written as text. */
const listOf = (ids: readonly string[]) => JSON.stringify(ids);

/** Each user is asked about what concerns them, and no more: with a filter of its own, each look goes by the codebases' keys. */
const RIGHTS = `with asked as materialized (
    select a.user_id, a.projects, a.codebases || coalesce((select array_agg(m.codebase_id) from read_model.project_codebases m where m.project_id = any(a.projects)), '{}') as codebases
      from (select user_id, array(select json_array_elements_text(projects::json)) as projects, array(select json_array_elements_text(codebases::json)) as codebases
              from unnest($1::text[], $2::text[], $3::text[]) as given(user_id, codebases, projects)) a)
  select a.user_id as "user",
    array(select distinct readable.codebase_id from (${readableCodebases('a.user_id')}) readable where readable.codebase_id = any(a.codebases)) as codebases,
    array(select p.project_id from read_model.project_people p where p.user_id = a.user_id and p.role is not null and p.project_id = any(a.projects)) as projects
  from asked a`;

/** What the read store tells about who reads what. */
export function createPostgresReaderReads(query: Query): Pick<ReadStore, 'gitlabReaders' | 'readersAsked' | 'readBy' | 'gitlabUsers' | 'readable' | 'rightsOf'> {
  return {
    async gitlabReaders(codebase) {
      const [row] = await query<Omit<GitLabReadersView, 'users'> & { users: readonly string[] }>(
        `select gitlab_users as users, beyond_members as "beyondMembers", observed_at as "observedAt", revision,
           beyond_members <> 'nobody' and exists (select from read_model.sources s where s.source_id = r.source_id and s.state <> 'removed' and s.open_projects_read_by = 'signed-in') as "isOpen"
         from read_model.codebase_readers r where codebase_id = $1`, [codebase]);
      return row === undefined ? undefined : { ...row, users: row.users.map(Number) };
    },

    async readersAsked(codebase) {
      const [row] = await query<ReadersAskedView>('select asked_at as "askedAt", trouble from reader_looks where codebase_id = $1', [codebase]);
      return row;
    },

    readBy: async (source, user) => (await query<{ id: CodebaseId }>('select codebase_id as id from read_model.codebase_readers where source_id = $1 and gitlab_users @> array[$2::bigint] order by codebase_id', [source, user])).map(({ id }) => id),

    gitlabUsers: async (source, ids) => new Map((await query<{ gitlab_user_id: string; user_id: string }>(
      'select gitlab_user_id, user_id from read_model.gitlab_people where source_id = $1 and gitlab_user_id = any($2::bigint[])', [source, ids])).map((row) => [Number(row.gitlab_user_id), row.user_id])),

    async readable(user, codebases) {
      const rows = await query<{ id: CodebaseId }>(`select distinct codebase_id as id from (${readableCodebases('$1')}) readable where codebase_id = any($2::text[])`, [user, codebases]);
      return new Set(rows.map(({ id }) => id));
    },

    async rightsOf(asked) {
      const rows = await query<{ user: string; codebases: string[]; projects: string[] }>(RIGHTS, [asked.map(({ user }) => user), asked.map(({ codebases }) => listOf(codebases)), asked.map(({ projects }) => listOf(projects))]);
      return new Map(rows.map(({ user, codebases, projects }) => [user, { codebases: new Set(codebases), projects: new Set(projects) }]));
    },
  };
}
