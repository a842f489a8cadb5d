import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { ObjectId } from '#schemas/brand.ts';
import { asUnavailable, createQuery, type Query } from '#shared/postgres/query.ts';
import { FEW_MAX, firstOf, recordFew } from './postgres-few-objects.ts';
import { findingOf, incomingRows, placeOf, type FindingRow, type PlaceRow } from './object-rows.ts';
import type { Finding, ObjectIndex, ObjectPlace } from './object-index.ts';

/** Ids in one question: 25 to 70 ms at 3 million rows, and 225 KB of statement. */
const IDS_MAX = 5_000;

/** A first sync of 5 million objects is one insert of minutes: longer than any other statement may take. */
const RECORD_STATEMENT_MS_MAX = 30 * 60_000;

/**
 * Kept by the connection, empty between transactions: a temporary table made and dropped for every push would leave 39 dead
 * rows in the system catalogs each time. A new column here needs a new number in the name.
 */
const INCOMING = 'incoming_objects_1';
const CREATE_INCOMING = `create temporary table if not exists ${INCOMING} (
  id bytea, kind smallint, pack_nth int, block_offset bigint, block_bytes bigint, place_in_block int, bytes bigint,
  flags smallint, language_nth int, lines int, totals jsonb
) on commit delete rows`;

/** The object index in the tables of migrations/. Their only writer is `record`, called by the storage-writer alone. */
export function createPostgresObjectIndex({ pool }: { pool: Pool }): ObjectIndex {
  const query = createQuery(pool, 'object index');
  return {
    known: async (ids) => {
      const known = new Set<ObjectId>();
      for (const some of portions(ids)) {
        for (const { id } of await query<{ id: Buffer }>('select id from objects where id = any($1::bytea[])', [some])) known.add(idOf(id));
      }
      return known;
    },
    places: (ids) => places(query, ids),
    findings: (ids) => findings(query, ids),
    entries: (ids) => entries(query, ids),
    record: (objects, found) => record(pool, objects, found),
  };
}

async function places(query: Query, ids: readonly ObjectId[]): Promise<Map<ObjectId, ObjectPlace>> {
  const places = new Map<ObjectId, ObjectPlace>();
  for (const some of portions(ids)) {
    const rows = await query<PlaceRow>(`
      select o.id, o.kind, p.sha256 as pack, o.block_offset, o.block_bytes, o.place_in_block, o.bytes
      from objects o join object_packs p using (pack_no) where o.id = any($1::bytea[])`, [some]);
    for (const row of rows) places.set(idOf(row.id), placeOf(row));
  }
  return places;
}

async function findings(query: Query, ids: readonly ObjectId[]): Promise<Map<ObjectId, { bytes: number; finding: Finding | undefined }>> {
  const findings = new Map<ObjectId, { bytes: number; finding: Finding | undefined }>();
  for (const some of portions(ids)) {
    const rows = await query<FindingRow>(`
      select o.id, o.kind, o.bytes, o.flags, o.lines, o.totals, l.name as language
      from objects o left join object_languages l using (language_no) where o.id = any($1::bytea[])`, [some]);
    for (const row of rows) findings.set(idOf(row.id), { bytes: Number(row.bytes), finding: findingOf(row) });
  }
  return findings;
}

/** Prepared: it is asked for every file that is read. */
const ENTRIES = {
  name: 'object-entries-1',
  text: `select o.id, o.kind, p.sha256 as pack, o.block_offset, o.block_bytes, o.place_in_block, o.bytes, o.flags, o.lines, o.totals, l.name as language
    from objects o join object_packs p using (pack_no) left join object_languages l using (language_no) where o.id = any($1::bytea[])`,
};

async function entries(query: Query, ids: readonly ObjectId[]): Promise<Map<ObjectId, { place: ObjectPlace; finding: Finding | undefined }>> {
  const entries = new Map<ObjectId, { place: ObjectPlace; finding: Finding | undefined }>();
  for (const some of portions(ids)) {
    for (const row of await query<PlaceRow & FindingRow>(ENTRIES, [some])) entries.set(idOf(row.id), { place: placeOf(row), finding: findingOf(row) });
  }
  return entries;
}

async function record(pool: Pool, objects: Iterable<ObjectPlace>, found: ReadonlyMap<ObjectId, Finding>): Promise<{ added: number }> {
  const { first, isAll, all } = firstOf(objects, FEW_MAX);
  try {
    return (isAll ? await recordFew(pool, first, found) : undefined) ?? await recordMany(pool, all, found);
  } catch (error) {
    throw asUnavailable(error, 'object index');
  }
}

async function recordMany(pool: Pool, objects: Iterable<ObjectPlace>, found: ReadonlyMap<ObjectId, Finding>): Promise<{ added: number }> {
  let client: PoolClient | undefined;
  try {
    client = await pool.connect();
    await client.query('begin isolation level read committed');
    await client.query(`set local statement_timeout = ${RECORD_STATEMENT_MS_MAX}`);
    const added = await recordWithin(client, objects, found);
    await client.query('commit');
    client.release();
    return { added };
  } catch (error) {
    await rollBack(client);
    throw error;
  }
}

/**
 * Packs, languages and objects, each sorted: whoever records at the same time takes the locks of unique keys in the same
 * order, so that one waits for the other and none for each other.
 */
async function recordWithin(client: PoolClient, objects: Iterable<ObjectPlace>, found: ReadonlyMap<ObjectId, Finding>): Promise<number> {
  await client.query(CREATE_INCOMING);
  const rows = incomingRows(objects, found);
  const copying = Object.assign(client.query(copyFrom(`copy ${INCOMING} from stdin`)), PATIENT);
  await pipeline(Readable.from(breathing(rows.chunks()), { objectMode: false }), copying);

  const packNumbers = await packNumbersOf(client, rows.packs());
  const languageNumbers = await languageNumbersOf(client, rows.languages());
  const inserted = await client.query({ ...PATIENT, text: `
    insert into objects (id, kind, pack_no, block_offset, block_bytes, place_in_block, bytes, flags, language_no, lines, totals)
    select id, kind, ($1::int[])[pack_nth], block_offset, block_bytes, place_in_block, bytes, flags, ($2::int[])[language_nth], lines, totals
    from ${INCOMING} order by id
    on conflict (id) do nothing`, values: [packNumbers, languageNumbers] });
  return inserted.rowCount ?? 0;
}

/** A socket to this machine takes 64 KiB at once, so nothing on the way need ever wait. Longest turn of the event loop for 100,000 rows: 14 to 85 ms, without the pause 110 to 210 ms; a test of 3 million rows kept a connection from being opened within 5 s. */
async function* breathing(chunks: Iterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  for (const chunk of chunks) {
    yield chunk;
    await setImmediate();
  }
}

/** pg's own timer, which createPool sets beside the server's. Its types do not know that a statement may have another. */
const PATIENT = { query_timeout: RECORD_STATEMENT_MS_MAX };

async function packNumbersOf(client: PoolClient, packs: readonly string[]): Promise<number[]> {
  const hashes = packs.map((pack) => Buffer.from(pack, 'hex'));
  // Only what is missing: every row refused by "on conflict" would use up a number.
  await client.query(`
    insert into object_packs (sha256)
    select sha256 from unnest($1::bytea[]) as given (sha256)
    where not exists (select from object_packs known where known.sha256 = given.sha256)
    order by sha256 on conflict do nothing`, [hashes]);
  const { rows } = await client.query<{ no: number }>(`
    select pack_no as no from unnest($1::bytea[]) with ordinality as given (sha256, nth) join object_packs using (sha256) order by nth`, [hashes]);
  return rows.map(({ no }) => no);
}

async function languageNumbersOf(client: PoolClient, names: readonly string[]): Promise<number[]> {
  if (names.length === 0) return [];
  await client.query(`
    insert into object_languages (name)
    select name from unnest($1::text[]) as given (name)
    where not exists (select from object_languages known where known.name = given.name)
    order by name on conflict do nothing`, [names]);
  const { rows } = await client.query<{ no: number }>(`
    select language_no as no from unnest($1::text[]) with ordinality as given (name, nth) join object_languages using (name) order by nth`, [names]);
  return rows.map(({ no }) => no);
}

/** A connection that cannot even roll back is closed, and the server rolls back. */
async function rollBack(client: PoolClient | undefined): Promise<void> {
  if (!client) return;
  try {
    await client.query('rollback');
    client.release();
  } catch (error) {
    client.release(error as Error);
  }
}

function* portions(ids: readonly ObjectId[]): Generator<Buffer[], void, void> {
  for (let at = 0; at < ids.length; at += IDS_MAX) yield ids.slice(at, at + IDS_MAX).map((id) => Buffer.from(id, 'hex'));
}

function idOf(id: Buffer): ObjectId {
  return id.toString('hex') as ObjectId;
}
