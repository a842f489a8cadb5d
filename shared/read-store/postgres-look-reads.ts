import type { Query } from '#shared/postgres/query.ts';
import type { PollingView, ReadStore } from './read-store.ts';

/** What the read store tells of the scheduler's looks at a source: they stand in its own tables. */
export function createPostgresLookReads(query: Query): Pick<ReadStore, 'haveHooksSecrets' | 'polling'> {
  return {
    async haveHooksSecrets(source, revision) {
      const [row] = await query<{ have: boolean }>(
        `select not exists (select from read_model.codebases c left join codebase_looks l on l.codebase_id = c.codebase_id
           where c.source_id = $1 and c.state = 'active' and c.hook_state = 'installed' and coalesce(l.hook_secrets, -1) < $2) as have`, [source, revision]);
      return row?.have === true;
    },

    async polling(source) {
      const [row] = await query<PollingView>(
        `select active_bound_seconds as "activeBoundSeconds", idle_bound_seconds as "idleBoundSeconds", requests_per_minute as "requestsPerMinute",
           wanted_per_minute as "wantedPerMinute", held_until as "heldUntil", held_reason as "heldReason",
           (select bound_seconds from source_reader_looks r where r.source_id = l.source_id) as "readersBoundSeconds",
           (select json_build_object('active', p.active, 'asked', p.asked, 'boundSeconds', p.bound_seconds) from source_people_looks p where p.source_id = l.source_id) as people from source_looks l where source_id = $1`, [source]);
      return row;
    },
  };
}
