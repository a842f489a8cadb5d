import type { Pool } from 'pg';
import { BEGINNING, type Position, type RefName } from '#schemas/brand.ts';
import type { Progress } from '#shared/bus/bus.ts';
import { createQuery } from '#shared/postgres/query.ts';
import type { At, CodebaseView, ProjectView, ReadStore, SourceView, SyncView, VersionView } from './read-store.ts';

const CODEBASE = `codebase_id as id, source_id as "sourceId", gitlab_project_id as "gitlabProjectId", path, followed, default_ref as "defaultRef",
  json_build_object('state', hook_state, 'reason', hook_reason, 'isSigned', hook_is_signed) as hook,
  registered_at as "registeredAt", last_hint_at as "lastHintAt", last_whole_hint_at as "lastWholeHintAt", last_observed_at as "lastObservedAt",
  state, removed_at as "removedAt", revision`;

const PROJECT = `project_id as id, name, state, created_at as "createdAt", removed_at as "removedAt", revision,
  (select count(*)::int from read_model.project_codebases m join read_model.codebases c using (codebase_id)
   where m.project_id = p.project_id and m.is_member and c.state in ('active', 'archived')) as codebases`;

/** What is shown unless something else is asked for. */
const LISTED = ['active', 'archived'] as const;

/** Of this life of the codebase ($1): registered again after a deletion, it begins anew. */
const OF_THIS_LIFE = 'position > (select began_at from read_model.codebases where codebase_id = $1)';

const VERSION = `ref, state, commit_id as commit, commit_time as "commitTime", tree_id as tree, object_format as "objectFormat", sync_id as sync,
  stored_at as "storedAt", observed_at as "observedAt", position`;

const SYNC = `sync_id as id, codebase_id as "codebaseId", ref, cause_id as cause, correlation_id as "correlationId", state, reason, detail,
  covered_by as "coveredBy", commit_id as commit, tree_id as tree, hint_reached as "hintReached", attempt, begun_at as "begunAt",
  fetched_at as "fetchedAt", scanned_at as "scannedAt", ended_at as "endedAt", counts, bytes, objects_added as "objectsAdded"`;

/** The read model in the Postgres schema `read_model`. */
export function createPostgresReadStore({ pool }: { readonly pool: Pool }): ReadStore {
  const query = createQuery(pool);

  return {
    async position() {
      const [row] = await query<{ position: Position }>('select position from read_model.progress');
      return row?.position ?? BEGINNING;
    },

    sources: () => query<SourceView>(
      `select source_id as id, name, base_url as "baseUrl", registered_at as "registeredAt", revision from read_model.sources where state <> 'removed' order by registered_at, source_id`),

    async codebases({ after, limit, project, source, states = LISTED }) {
      return (await query<CodebaseView>(
        `select ${CODEBASE} from read_model.codebases c where codebase_id > $1 and state = any($3::text[]) and ($4::text is null or source_id = $4)
         and ($5::text is null or exists (select from read_model.project_codebases m where m.project_id = $5 and m.codebase_id = c.codebase_id and m.is_member))
         order by codebase_id limit $2`, [after, limit, states, source ?? null, project ?? null])).map(asCodebase);
    },

    projects: ({ after, limit, states = LISTED }) => query<ProjectView>(
      `select ${PROJECT} from read_model.projects p where project_id > $1 and state = any($3::text[]) order by project_id limit $2`, [after, limit, states]),

    async project(id) {
      const [row] = await query<ProjectView>(`select ${PROJECT} from read_model.projects p where project_id = $1`, [id]);
      return row;
    },

    async codebase(id) {
      const [row] = await query<CodebaseView>(`select ${CODEBASE} from read_model.codebases where codebase_id = $1`, [id]);
      return row === undefined ? undefined : asCodebase(row);
    },

    refs: (codebase) => query<VersionView>(`select ${VERSION} from read_model.refs where codebase_id = $1 and state = 'stored' and ${OF_THIS_LIFE} order by ref`, [codebase]),

    async refsUnderWay(codebase) {
      const rows = await query<{ ref: RefName }>('select distinct ref from read_model.syncs where codebase_id = $1 and ended_at is null', [codebase]);
      return new Set(rows.map((row) => row.ref));
    },

    versions: (codebase, { ref, before, limit }) => query<VersionView>(
      `select ${VERSION} from read_model.versions where codebase_id = $1 and ${OF_THIS_LIFE} and ($2::text is null or ref = $2) and ($3::text is null or position < $3)
       order by position desc limit $4`, [codebase, ref ?? null, before ?? null, limit]),

    async versionAt(codebase, ref, at) {
      const { where, value } = momentOf(at);
      const [row] = await query<VersionView>(
        `select ${VERSION} from read_model.versions where codebase_id = $1 and ${where} and ${OF_THIS_LIFE} order by (ref = $2) desc, position desc limit 1`, [codebase, ref, value]);
      return row;
    },

    async sync(id) {
      const [row] = await query<SyncView>(`select ${SYNC} from read_model.syncs where sync_id = $1`, [id]);
      return row === undefined ? undefined : asSync(row);
    },

    async syncs({ cause, codebase, limit }) {
      const rows = await query<SyncView>(
        `select ${SYNC} from read_model.syncs where ($1::text is null or cause_id = $1) and ($2::text is null or codebase_id = $2) order by begun_at desc, sync_id limit $3`,
        [cause ?? null, codebase ?? null, limit]);
      return rows.map(asSync);
    },

    facts: ({ key, stream, type, after, limit }) => query(
      `select position, key, stream, revision, type from read_model.fact_index
       where position > $1 and ($2::text is null or key = $2) and ($3::text is null or stream = $3) and ($4::text is null or type = $4) order by position limit $5`,
      [after, key ?? null, stream ?? null, type ?? null, limit]),

    async progress(id) {
      const [row] = await query<{ progress: Progress }>('select progress from sync_progress where sync_id = $1', [id]);
      return row?.progress;
    },

    async unfolded(key) {
      const [row] = await query<{ count: string }>('select count(*) from read_model.unfolded where key = $1', [key]);
      return Number(row?.count ?? 0);
    },
  };
}

function momentOf(at: At): { where: string; value: string } {
  if ('commit' in at) return { where: 'commit_id = $3', value: at.commit };
  if ('position' in at) return { where: 'ref = $2 and position <= $3', value: at.position };
  // Times are ISO 8601 in UTC with milliseconds, as the facts hold them: they compare as text.
  return { where: 'ref = $2 and stored_at <= $3', value: at.time };
}

// int8 comes as text from the driver, so that no digit is lost; these fit a double.
const asCodebase = (row: CodebaseView): CodebaseView => ({ ...row, gitlabProjectId: Number(row.gitlabProjectId) });
const asSync = (row: SyncView): SyncView => ({ ...row, bytes: row.bytes === null ? null : Number(row.bytes) });
