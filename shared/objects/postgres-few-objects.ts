import type { Pool } from 'pg';
import type { ObjectId } from '#schemas/brand.ts';
import type { Finding, ObjectPlace } from './object-index.ts';
import { fewRow } from './object-rows.ts';

/** A push has some four objects; this many are 60 KB of JSON. Above it COPY costs the server less. */
export const FEW_MAX = 200;

/**
 * By one statement, and so whole or not at all: the eleven of a bulk load were eleven ways to the server and back for the four
 * objects of a push. Packs, languages and objects take their locks in that order, each sorted, as the bulk load's do: that is
 * what the counts of what went before are asked for.
 */
const RECORD_FEW = {
  name: 'record-few-objects-1',
  text: `
    with given as materialized (
      select decode(id, 'hex') as id, kind, decode(pack, 'hex') as sha256, block_offset, block_bytes, place_in_block, bytes, flags, language, lines, totals
      from json_to_recordset($1::json) as row (id text, kind smallint, pack text, block_offset bigint, block_bytes bigint, place_in_block int, bytes bigint, flags smallint, language text, lines int, totals jsonb)
    ), new_packs as (
      insert into object_packs (sha256) select distinct sha256 from given
      where not exists (select from object_packs known where known.sha256 = given.sha256)
      order by sha256 on conflict do nothing returning pack_no, sha256
    ), new_languages as (
      insert into object_languages (name) select distinct language from given
      where language is not null and not exists (select from object_languages known where known.name = given.language) and (select count(*) from new_packs) >= 0
      order by language on conflict do nothing returning language_no, name
    ), packs as (
      select pack_no, sha256 from new_packs union all select pack_no, sha256 from object_packs where sha256 in (select sha256 from given)
    ), languages as (
      select language_no, name from new_languages union all select language_no, name from object_languages where name in (select language from given)
    ), placed as materialized (
      select given.*, pack_no, language_no from given left join packs using (sha256) left join languages on name = language
    ), unplaced as (
      select count(*)::int as count from placed where pack_no is null or (language is not null and language_no is null)
    ), added as (
      insert into objects (id, kind, pack_no, block_offset, block_bytes, place_in_block, bytes, flags, language_no, lines, totals)
      select id, kind, pack_no, block_offset, block_bytes, place_in_block, bytes, flags, language_no, lines, totals
      from placed where (select count from unplaced) = 0 order by id
      on conflict (id) do nothing returning 1
    )
    select (select count from unplaced) as unplaced, (select count(*)::int from added) as added`,
};

/** Undefined when somebody recorded a pack or a language of these at the same moment, which the statement cannot see: nothing was recorded. */
export async function recordFew(pool: Pool, objects: readonly ObjectPlace[], found: ReadonlyMap<ObjectId, Finding>): Promise<{ added: number } | undefined> {
  const rows = objects.map((object) => fewRow(object, found.get(object.id)));
  const { rows: [told] } = await pool.query<{ unplaced: number; added: number }>({ ...RECORD_FEW, values: [JSON.stringify(rows)] });
  return told === undefined || told.unplaced > 0 ? undefined : { added: told.added };
}

/** The first of them, at most so many, and what comes behind: whoever wants the rest goes on there. */
export function firstOf<T>(items: Iterable<T>, countMax: number): { readonly first: T[]; readonly isAll: boolean; readonly all: Iterable<T> } {
  const iterator = items[Symbol.iterator]();
  const first: T[] = [];
  let next = iterator.next();
  for (; next.done !== true && first.length < countMax; next = iterator.next()) first.push(next.value);
  const isAll = next.done === true;
  const all = function* () {
    yield* first;
    for (; next.done !== true; next = iterator.next()) yield next.value;
  };
  return { first, isAll, all: all() };
}
