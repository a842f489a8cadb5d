import type { Query } from '#shared/postgres/query.ts';
import { isReadable, WHO_READS_STREAMS } from './readable.ts';
import type { FactMark, Known, ReadStore } from './read-store.ts';

const MARK = 'position, key, stream, revision, type, fact_id as id, correlation_id as "correlationId", time';

/** What the read store tells about the facts themselves: the index over them, and which the projector has not folded. */
export function createPostgresFactReads(query: Query): Pick<ReadStore, 'facts' | 'newestFacts' | 'marks' | 'unfolded' | 'factsOf'> {
  return {
    facts: ({ key, stream, type, after, until, readableBy, limit }) => query(
      `select position, key, stream, revision, type from read_model.fact_index
       where position > $1 and ($2::text is null or key = $2) and ($3::text is null or stream = $3) and ($4::text[] is null or type = any($4))
       and ($5::text is null or position <= $5) and ($6::text is null or time < $6)
       and ${isReadable('key', '$8')} and ($8::text is null or not starts_with(stream, '${WHO_READS_STREAMS}')) order by position limit $7`,
      [after, key ?? null, stream ?? null, typeof type === 'string' ? [type] : type ?? null, ...untilOf(until), limit, readableBy ?? null]),

    newestFacts: ({ types, key, streamPrefix, since, until, before, limit }) => query<FactMark>(
      `select ${MARK} from read_model.fact_index where type = any($1) and ($2::text is null or key = $2) and ($3::text is null or starts_with(stream, $3))
       and ($4::text is null or time >= $4) and ($5::text is null or time < $5) and ($6::text is null or position < $6) order by position desc limit $7`,
      [types, key ?? null, streamPrefix ?? null, since ?? null, until ?? null, before ?? null, limit]),

    marks: (of) => ('ids' in of
      ? query<FactMark>(`select ${MARK} from read_model.fact_index where fact_id = any($1) order by position`, [of.ids])
      : query<FactMark>(`select ${MARK} from read_model.fact_index where correlation_id = any($1) and type = any($2) order by position`, [of.correlations, of.types])),

    async unfolded(key) {
      const [row] = await query<{ count: string }>('select count(*) from read_model.unfolded where key = $1', [key]);
      return Number(row?.count ?? 0);
    },

    // A project of 1,000 codebases is 1,000 looks into the index; a plain "= any" would sort all that they ever had.
    factsOf: ({ keys, after, limit }) => query(
      `select f.* from (select distinct unnest($1::text[]) as key) wanted cross join lateral (
         select position, key, stream, revision, type from read_model.fact_index where key = wanted.key and position > $2 order by position limit $3) f
       order by position limit $3`, [keys, after, limit]),
  };
}

/** As the place up to which, and the time before which. */
const untilOf = (until: Known | undefined) => (until === undefined ? [null, null] : 'position' in until ? [until.position, null] : [null, until.time]);
