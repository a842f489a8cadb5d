import type { SourceId } from '#schemas/brand.ts';
import type { Query } from '#shared/postgres/query.ts';

/** How soon it is learnt what active people read, as people are shown it. @throws Unavailable */
export interface PeopleLooks {
  paced(source: SourceId, told: { readonly active: number; readonly asked: number; readonly boundSeconds: number }): Promise<void>;
  /** Nobody is asked there. */
  forget(source: SourceId): Promise<void>;
  /** Of a scheduler before. */
  forgetAll(): Promise<void>;
}

export function createPeopleLooks(query: Query): PeopleLooks {
  return {
    async paced(source, { active, asked, boundSeconds }) {
      await query(
        `insert into source_people_looks (source_id, active, asked, bound_seconds) values ($1, $2, $3, $4)
         on conflict (source_id) do update set active = excluded.active, asked = excluded.asked, bound_seconds = excluded.bound_seconds`, [source, active, asked, boundSeconds]);
    },
    async forget(source) {
      await query('delete from source_people_looks where source_id = $1', [source]);
    },
    async forgetAll() {
      await query('delete from source_people_looks');
    },
  };
}
