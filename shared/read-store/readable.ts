/**
 * The codebases that somebody may read, as SQL: the one place in which the tables decide it. Who may read everything is not asked
 * about here. What holds a right is a join, so that a right that is taken is gone with the row.
 * @param user the parameter that holds the user's id, `$3`
 */
export const readableCodebases = (user: string): string => `
  select m.codebase_id from read_model.project_people p
    join read_model.projects j on j.project_id = p.project_id and j.state in ('active', 'archived')
    join read_model.project_codebases m on m.project_id = p.project_id and m.is_member and m.is_read
   where p.user_id = ${user}::text and p.role is not null
  union all
  select r.codebase_id from read_model.gitlab_people b
    join read_model.codebase_readers r on r.source_id = b.source_id and r.gitlab_users @> array[b.gitlab_user_id]
   where b.user_id = ${user}::text
  union all
  select r.codebase_id from read_model.codebase_readers r
    join read_model.sources s on s.source_id = r.source_id and s.state <> 'removed' and s.open_projects_read_by = 'signed-in'
   where r.beyond_members <> 'nobody' and exists (select from identity_users u where u.user_id = ${user}::text and u.state = 'active')`;

/** How the names of streams begin in which stands who reads a codebase: they have its key, and are for system admins. */
export const WHO_READS_STREAMS = 'readers-';

/** Of a listing: rows of what the user may read; of nobody in particular (null), all. @param column that holds the codebase's id */
export const isReadable = (column: string, user: string): string => `(${user}::text is null or ${column} in (${readableCodebases(user)}))`;
