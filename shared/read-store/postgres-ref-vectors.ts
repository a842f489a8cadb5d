import type { Pool } from 'pg';
import { BEGINNING, type CodebaseId, type Position } from '#schemas/brand.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import { createQuery } from '#shared/postgres/query.ts';
import { likeOf } from './like-pattern.ts';
import type { RefAt, RefScope, RefVectors } from './ref-vectors.ts';

const COLUMNS = 'codebase_id as "codebaseId", ref, commit_id as commit, tree_id as tree, position';

/** The refs that a scope means, in the Postgres schema `read_model`. */
export function createPostgresRefVectors({ pool }: { readonly pool: Pool }): RefVectors {
  const query = createQuery(pool);

  return {
    // Of one moment: position and refs belong together.
    read: (scope, at) => inTransaction(pool, async (client) => {
      const { rows: [progress] } = await client.query<{ position: Position }>('select position from read_model.progress');
      const { where, value } = scopeOf(scope);
      const codebases = await client.query<{ id: CodebaseId }>(`select codebase_id as id from read_model.codebases c where ${where}`, [value]);
      const refs = await client.query<RefAt>(refsOf(scope, at), [value, scope.refs?.map(likeOf) ?? null, ...(at === undefined ? [] : [at])]);
      return { position: at ?? progress?.position ?? BEGINNING, codebases: codebases.rows.map(({ id }) => id), refs: refs.rows };
    }, 'moment'),

    async inScope(scope, codebases) {
      const { where, value } = scopeOf(scope);
      const rows = await query<{ id: CodebaseId }>(`select codebase_id as id from read_model.codebases c where ${where} and codebase_id = any($2::text[])`, [value, codebases]);
      return new Set(rows.map(({ id }) => id));
    },
  };
}

function refsOf(scope: RefScope, at: Position | undefined): string {
  const isMeant = `($2::text[] is null and r.ref = c.default_ref or r.ref like any ($2::text[]))`;
  const of = `join read_model.codebases c using (codebase_id) where ${scopeOf(scope).where} and ${isMeant}`;
  if (at === undefined) return `select ${COLUMNS} from read_model.refs r ${of} and r.state = 'stored'`;
  return `select ${COLUMNS} from (select distinct on (codebase_id, ref) r.* from read_model.versions r ${of} and r.position <= $3 order by codebase_id, ref, position desc) newest
    where state = 'stored'`;
}

function scopeOf({ codebases }: RefScope): { where: string; value: readonly string[] | string | null } {
  const isShown = `c.state in ('active', 'archived')`;
  switch (codebases.kind) {
    case 'listed': return { where: `${isShown} and c.codebase_id = any($1::text[])`, value: codebases.ids };
    case 'project': return { where: `${isShown} and c.codebase_id in (select codebase_id from read_model.project_codebases where project_id = $1 and is_member)`, value: codebases.id };
    case 'all': return { where: `${isShown} and $1::text is null`, value: null };
    default: return codebases satisfies never;
  }
}
