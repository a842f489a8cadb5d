import type { Pool, PoolClient } from 'pg';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';

export interface TableDigest { readonly table: string; readonly rows: number; readonly digest: string }

/** A row that stands in one model and not, or not so, in the other. Null where it is missing. */
export interface Difference {
  readonly table: string;
  /** The primary key's values. */
  readonly key: readonly string[];
  readonly live: string | null;
  readonly rebuilt: string | null;
}

/** A model as it was at one moment, however much is written to it meanwhile. */
export interface ModelMoment {
  readonly position: Position;
  /** Of every table but the position's own, by name. */
  digests(): Promise<TableDigest[]>;
  /** In the key's order, a page from behind a key. */
  rows(table: string, after: readonly string[] | undefined): Promise<readonly ModelRow[]>;
}

interface ModelRow { readonly key: readonly string[]; readonly shown: string }
interface Table { readonly name: string; readonly key: readonly string[]; readonly shown: readonly string[] }

/** Columns that hold a place in the log. */
const POSITIONS: ReadonlySet<string> = new Set(['position', 'began_at']);
/** Rows read together while looking for a difference. */
const PAGE_ROWS = 5_000;
/** Hashes put together at once: 32 bytes each, far below the 1 GB that Postgres has for one value. */
const BUCKET_ROWS = 65_536;
/** A difference is an error of ours or of somebody's hand: the first few tell enough. */
const DIFFERENCES_MAX = 5;

/**
 * Looks at a model in one transaction. Positions are left out of the digests (they are the log's, and change when it moves
 * house): they only put rows in order.
 */
export function atOneMoment<T>(pool: Pool, schema: string, look: (model: ModelMoment) => Promise<T>): Promise<T> {
  return inTransaction(pool, async (client) => {
    // The other model is folded meanwhile.
    await client.query('set local idle_in_transaction_session_timeout = 0');
    const tables = await tablesOf(client, schema);
    const { rows } = await client.query<{ position: Position }>(`select position from ${schema}.progress`);
    return look({
      position: rows[0]?.position ?? BEGINNING,
      async digests() {
        const digests: TableDigest[] = [];
        for (const table of tables) digests.push(await digestOf(client, schema, table));
        return digests;
      },
      rows: (name, after) => rowsOf(client, schema, { table: tables.find((one) => one.name === name)!, after }),
    });
  }, 'moment');
}

/** The first rows in which two models differ, in the key's order. */
export async function differencesIn(table: string, { live, rebuilt }: { live: ModelMoment; rebuilt: ModelMoment }): Promise<Difference[]> {
  const [left, right] = [await cursorOver(live, table), await cursorOver(rebuilt, table)];
  const found: Difference[] = [];
  while (found.length < DIFFERENCES_MAX && (left.row() ?? right.row()) !== undefined) {
    const [one, other] = [left.row(), right.row()];
    const order = one === undefined ? 1 : other === undefined ? -1 : compareKeys(one.key, other.key);
    const isSame = order === 0 && one?.shown === other?.shown;
    if (!isSame) found.push({ table, key: (order <= 0 ? one : other)!.key, live: order <= 0 ? one!.shown : null, rebuilt: order >= 0 ? other!.shown : null });
    if (order <= 0) await left.next();
    if (order >= 0) await right.next();
  }
  return found;
}

async function cursorOver(model: ModelMoment, table: string) {
  let page = await model.rows(table, undefined);
  let at = 0;
  return {
    row: () => page[at],
    async next() {
      at += 1;
      if (at < page.length || page.length < PAGE_ROWS) return;
      page = await model.rows(table, page.at(-1)!.key);
      at = 0;
    },
  };
}

/** As Postgres does with collation "C": by bytes. */
function compareKeys(left: readonly string[], right: readonly string[]): number {
  for (const [index, value] of left.entries()) {
    const order = Buffer.compare(Buffer.from(value), Buffer.from(right[index] ?? ''));
    if (order !== 0) return order;
  }
  return 0;
}

async function tablesOf(client: PoolClient, schema: string): Promise<Table[]> {
  const { rows } = await client.query<{ name: string; column: string; place: string | null }>(
    `select c.relname as name, a.attname as column, array_position(i.indkey::int2[], a.attnum) as place
     from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     left join pg_index i on i.indrelid = c.oid and i.indisprimary
     where n.nspname = $1 and c.relkind = 'r' and c.relname <> 'progress' order by c.relname, a.attnum`, [schema]);
  const names = [...new Set(rows.map((row) => row.name))];
  return names.map((name) => {
    const columns = rows.filter((row) => row.name === name);
    const key = columns.filter((row) => row.place !== null).sort((left, right) => Number(left.place) - Number(right.place)).map((row) => row.column);
    return { name, key, shown: columns.map((row) => row.column).filter((column) => !POSITIONS.has(column)) };
  });
}

// Keys are text: their order is that of "C", whatever the database's own is.
const inOrder = (key: readonly string[]) => key.map((column) => `${column} collate "C"`).join(', ');

async function digestOf(client: PoolClient, schema: string, { name, key, shown }: Table): Promise<TableDigest> {
  const { rows } = await client.query<{ rows: string; digest: string }>(
    `with hashed as (select row_number() over (order by ${inOrder(key)}) - 1 as place, sha256(convert_to(row(${shown.join(', ')})::text, 'UTF8')) as hash from ${schema}.${name}),
     buckets as (select place / ${BUCKET_ROWS} as bucket, count(*) as rows, sha256(string_agg(hash, ''::bytea order by place)) as hash from hashed group by 1)
     select coalesce(sum(rows), 0) as rows, encode(sha256(coalesce(string_agg(hash, ''::bytea order by bucket), ''::bytea)), 'hex') as digest from buckets`);
  return { table: name, rows: Number(rows[0]?.rows ?? 0), digest: rows[0]?.digest ?? '' };
}

async function rowsOf(client: PoolClient, schema: string, { table, after }: { table: Table; after: readonly string[] | undefined }): Promise<ModelRow[]> {
  const places = table.key.map((_, index) => `$${index + 1} collate "C"`).join(', ');
  const { rows } = await client.query<ModelRow>(
    `select array[${table.key.join(', ')}] as key, row(${table.shown.join(', ')})::text as shown from ${schema}.${table.name}
     ${after === undefined ? '' : `where (${inOrder(table.key)}) > (${places})`} order by ${inOrder(table.key)} limit ${PAGE_ROWS}`, after === undefined ? [] : [...after]);
  return rows;
}
