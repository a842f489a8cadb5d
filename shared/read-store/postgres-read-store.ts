import type { Pool } from 'pg';
import { BEGINNING, type CodebaseId, type Position, type RefName } from '#schemas/brand.ts';
import type { Progress } from '#shared/bus/bus.ts';
import { createQuery } from '#shared/postgres/query.ts';
import { likeOf } from './like-pattern.ts';
import { createPostgresFactReads } from './postgres-fact-reads.ts';
import { createPostgresLookReads } from './postgres-look-reads.ts';
import { createPostgresProjectReads } from './postgres-project-reads.ts';
import { createPostgresReaderReads } from './postgres-reader-reads.ts';
import { isReadable } from './readable.ts';
import type { At, CodebaseView, Known, ReadStore, SourceView, SyncView, VersionView } from './read-store.ts';

const CODEBASE = `codebase_id as id, source_id as "sourceId", gitlab_project_id as "gitlabProjectId", path, followed, default_ref as "defaultRef",
  json_build_object('state', hook_state, 'reason', hook_reason, 'isSigned', hook_is_signed) as hook,
  registered_at as "registeredAt", last_hint_at as "lastHintAt", last_whole_hint_at as "lastWholeHintAt", last_observed_at as "lastObservedAt",
  state, removed_at as "removedAt", revision,
  (select json_build_object('lookedAt', looked_at, 'position', position, 'different', different, 'hookTrouble', hook_trouble) from codebase_looks where codebase_looks.codebase_id = codebases.codebase_id) as look`;

/** What is shown unless something else is asked for. */
const LISTED = ['active', 'archived'] as const;

/** Of this life of the codebase ($1): registered again after a deletion, it begins anew. */
const OF_THIS_LIFE = 'position > (select began_at from read_model.codebases where codebase_id = $1)';

const VERSION = `ref, state, commit_id as commit, commit_time as "commitTime", tree_id as tree, object_format as "objectFormat", sync_id as sync,
  stored_at as "storedAt", observed_at as "observedAt", position`;

const SYNC = `sync_id as id, codebase_id as "codebaseId", ref, cause_id as cause, correlation_id as "correlationId", state, reason, detail,
  covered_by as "coveredBy", commit_id as commit, tree_id as tree, hint_reached as "hintReached", attempt, begun_at as "begunAt",
  fetched_at as "fetchedAt", scanned_at as "scannedAt", ended_at as "endedAt", counts, bytes, objects_added as "objectsAdded"`;

/** Prepared: it is asked for every file that is read. A new column here needs a new number in the name. */
const STANDING = {
  name: 'standing-1',
  text: `select ${CODEBASE}, at.version,
    exists (select from read_model.syncs s where s.codebase_id = codebases.codebase_id and s.ended_at is null and s.ref = at.name) as "isUnderWay"
    from read_model.codebases left join lateral (
      select r.ref as name, (select to_json(v) from (select ${VERSION.replaceAll(/(^|,\s*)(\w)/g, '$1r.$2')}) v) as version from read_model.refs r
      where r.codebase_id = codebases.codebase_id and r.state = 'stored' and r.position > codebases.began_at
        and r.ref = any (coalesce($2::text[], array[coalesce(default_ref, (
          select first.ref from read_model.refs first where first.codebase_id = codebases.codebase_id and first.state = 'stored' and first.position > codebases.began_at order by first.ref limit 1))]))
      order by array_position($2::text[], r.ref) limit 1) at on true
    where codebase_id = $1`,
};

/** The read model in the Postgres schema `read_model`. */
export function createPostgresReadStore({ pool }: { readonly pool: Pool }): ReadStore {
  const query = createQuery(pool);

  return {
    ...createPostgresFactReads(query),
    ...createPostgresProjectReads(query),
    ...createPostgresReaderReads(query),
    ...createPostgresLookReads(query),

    async position() {
      const [row] = await query<{ position: Position }>('select position from read_model.progress');
      return row?.position ?? BEGINNING;
    },

    // From the newest on: it looks at no more than came since.
    async positionBy(time) {
      const [row] = await query<{ position: Position }>('select position from read_model.fact_index where time <= $1 order by position desc limit 1', [time]);
      return row?.position ?? BEGINNING;
    },

    sources: () => query<SourceView>(
      `select source_id as id, name, base_url as "baseUrl", registered_at as "registeredAt", revision from read_model.sources where state <> 'removed' order by registered_at, source_id`),

    async codebases({ after, limit, project, source, states = LISTED, readableBy }) {
      return (await query<CodebaseView>(
        `select ${CODEBASE} from read_model.codebases where codebase_id > $1 and state = any($3::text[]) and ($4::text is null or source_id = $4)
         and ($5::text is null or exists (select from read_model.project_codebases m where m.project_id = $5 and m.codebase_id = codebases.codebase_id and m.is_member))
         and ${isReadable('codebase_id', '$6')} order by codebase_id limit $2`, [after, limit, states, source ?? null, project ?? null, readableBy ?? null])).map(asCodebase);
    },

    async codebase(id) {
      const [row] = await query<CodebaseView>(`select ${CODEBASE} from read_model.codebases where codebase_id = $1`, [id]);
      return row === undefined ? undefined : asCodebase(row);
    },

    refs: (codebase) => query<VersionView>(`select ${VERSION} from read_model.refs where codebase_id = $1 and state = 'stored' and ${OF_THIS_LIFE} order by ref`, [codebase]),

    async standing(codebase, names) {
      const [row] = await query<CodebaseView & { version: VersionView | null; isUnderWay: boolean }>(STANDING, [codebase, names ?? null]);
      if (row === undefined) return undefined;
      const { version, isUnderWay, ...of } = row;
      return { codebase: asCodebase(of), version: version ?? undefined, isUnderWay };
    },

    async refsUnderWay(codebase) {
      const rows = await query<{ ref: RefName }>('select distinct ref from read_model.syncs where codebase_id = $1 and ended_at is null', [codebase]);
      return new Set(rows.map((row) => row.ref));
    },

    async lastEnded(codebase, refs) {
      const rows = await query<Pick<SyncView, 'id' | 'begunAt' | 'ref'>>(
        `select distinct on (ref) ref, sync_id as id, begun_at as "begunAt" from read_model.syncs
         where codebase_id = $1 and ref = any($2::text[]) and ended_at is not null order by ref, ended_at desc, sync_id`, [codebase, refs]);
      return new Map(rows.map(({ ref, ...last }) => [ref, last]));
    },

    versions: (codebase, { refs, commit, before, limit }) => query<VersionView>(
      `select ${VERSION} from read_model.versions where codebase_id = $1 and ${OF_THIS_LIFE} and ($2::text[] is null or ref like any($2)) and ($3::text is null or position < $3)
       and ($4::text is null or commit_id like $4 || '%') order by position desc limit $5`, [codebase, refs?.map(likeOf) ?? null, before ?? null, commit ?? null, limit]),

    async versionAt(codebase, ref, at) {
      const { where, values, order } = momentOf(at);
      const [row] = await query<VersionView>(
        `select ${VERSION} from read_model.versions where codebase_id = $1 and ${where} and ${OF_THIS_LIFE} order by (ref = $2) desc, ${order} limit 1`, [codebase, ref, ...values]);
      return row;
    },

    async sync(id) {
      const [row] = await query<SyncView>(`select ${SYNC} from read_model.syncs where sync_id = $1`, [id]);
      return row === undefined ? undefined : asSync(row);
    },

    async syncsById(ids) {
      return (await query<SyncView>(`select ${SYNC} from read_model.syncs where sync_id = any($1)`, [ids])).map(asSync);
    },

    async syncs({ cause, codebase, refs, states, since, until, after, readableBy, limit }) {
      const rows = await query<SyncView>(
        `select ${SYNC} from read_model.syncs where ($1::text is null or cause_id = $1) and ($2::text is null or codebase_id = $2)
         and ($3::text[] is null or ref like any($3)) and ($4::text[] is null or state = any($4)) and ($5::text is null or begun_at >= $5) and ($6::text is null or begun_at < $6)
         and ($7::text is null or begun_at < $7 or (begun_at = $7 and sync_id > $8))
         and ${isReadable('codebase_id', '$10')} order by begun_at desc, sync_id limit $9`,
        [cause ?? null, codebase ?? null, refs?.map(likeOf) ?? null, states ?? null, since ?? null, until ?? null, after?.begunAt ?? null, after?.id ?? null, limit, readableBy ?? null]);
      return rows.map(asSync);
    },

    async progress(id) {
      const [row] = await query<{ progress: Progress }>('select progress from sync_progress where sync_id = $1', [id]);
      return row?.progress;
    },

    async members(project) {
      const [row] = await query<{ position: Position; codebases: CodebaseId[] }>(
        `select coalesce((select position from read_model.progress), '') as position,
           array(select codebase_id from read_model.project_codebases where project_id = $1 and is_member order by codebase_id) as codebases`, [project]);
      return row ?? { position: BEGINNING, codebases: [] };
    },
  };
}

interface Moment { readonly where: string; readonly values: readonly string[]; readonly order: string }

function momentOf(at: At): Moment {
  if ('commit' in at) return { where: 'commit_id = $3', values: [at.commit], order: 'position desc' };
  if ('observedAt' in at) {
    const known = at.known === undefined ? undefined : knownBy(at.known, '$4');
    return { where: `ref = $2 and observed_at <= $3${known === undefined ? '' : ` and ${known.where}`}`, values: [at.observedAt, ...(known === undefined ? [] : [known.value])], order: 'observed_at desc, position desc' };
  }
  const { where, value } = knownBy(at, '$3');
  return { where: `ref = $2 and ${where}`, values: [value], order: 'position desc' };
}

// Times are ISO 8601 in UTC with milliseconds, as the facts hold them: they compare as text.
const knownBy = (known: Known, parameter: string) => ('position' in known
  ? { where: `position <= ${parameter}`, value: known.position as string }
  : { where: `stored_at <= ${parameter}`, value: known.time });

// int8 comes as text from the driver, so that no digit is lost; these fit a double.
const asCodebase = (row: CodebaseView): CodebaseView => ({ ...row, gitlabProjectId: Number(row.gitlabProjectId) });
const asSync = (row: SyncView): SyncView => ({ ...row, bytes: row.bytes === null ? null : Number(row.bytes) });
