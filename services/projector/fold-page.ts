import type { Pool, PoolClient } from 'pg';
import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { foldFacts, indexRow, isAppended, nameOf, readPage, touchedRows, unfoldedRow, type NamedKey, type Rows } from './fold-facts.ts';
import type { Row, View } from './view.ts';

/** Data exceptions, broken constraints, and what is too big for an index: this fact will never fit, while others may. */
export const isRefusedData = (error: unknown) => /^(22|23|54000)/.test(String((error as { code?: unknown }).code ?? ''));

/**
 * A page at once. Should the database refuse what is in it, fact by fact, and the refused one is marked instead of folded. That is
 * the last net: what tables are known not to take, the fold marks by itself (must-fit.ts). What is caught here alone hangs on
 * where the log is cut, for a value that is made good within its page never comes to the database.
 */
export async function foldOrMark(client: PoolClient, schema: string, page: { facts: readonly Recorded[]; position: Position }): Promise<void> {
  await client.query('savepoint page');
  try {
    await foldPage(client, schema, page);
  } catch (error) {
    if (!isRefusedData(error)) throw error;
    await client.query('rollback to savepoint page');
    const [only, ...others] = page.facts;
    if (only !== undefined && others.length === 0) await markUnfolded(client, schema, { fact: only, position: page.position, error });
    else for (const fact of page.facts) await foldOrMark(client, schema, { facts: [fact], position: page.position });
  }
}

/**
 * Folds a page of the log in memory and writes what changed, with the position it now stands at: one statement that reads and
 * one that writes, however many tables. Inside the caller's transaction: tables and position move together or not at all.
 * Folding a page again changes nothing.
 */
export async function foldPage(client: PoolClient, schema: string, page: { facts: readonly Recorded[]; position: Position }): Promise<void> {
  const { facts, unfolded } = readPage(page.facts);
  const touched = touchedRows(facts);
  const stored = await load(client, schema, [...touched].filter(([view]) => !isAppended(view)).map(([view, keys]) => ({ view, keys })));
  const folded = foldFacts(facts, new Map(Array.from(touched.keys(), (view) => [view, stored.get(view) ?? new Map<string, Row>()])));

  const tables = [...folded.changed].map(([{ table, key }, rows]) => ({ table, key, rows: [...rows.values()] }));
  await write(client, schema, { tables: [...tables, indexOf(page.facts), marksTable([...unfolded, ...folded.unfolded])], position: page.position });
}

/** A fact that the tables will not take stands in the index, and is marked. */
async function markUnfolded(client: PoolClient, schema: string, { fact, position, error }: { fact: Recorded; position: Position; error: unknown }): Promise<void> {
  await write(client, schema, { tables: [indexOf([fact]), marksTable([unfoldedRow(fact, error)])], position });
}

const indexOf = (facts: readonly Recorded[]): TableRows => ({ table: 'fact_index', key: ['position'], rows: facts.map(indexRow) });

/** Facts that could not be folded. */
export const marksTable = (marks: readonly Row[]): TableRows => ({ table: 'unfolded', key: ['position'], rows: marks });

/** Rows of a view that are asked for. */
export interface Wanted { readonly view: View; readonly keys: readonly NamedKey[] }

/** The rows that stand at these keys, by view and name. Undefined of a view that is asked for nothing. */
export async function load(client: PoolClient | Pool, schema: string, wanted: readonly Wanted[]): Promise<Map<View, Rows>> {
  const asked = wanted.filter(({ keys }) => keys.length > 0);
  const found = new Map(asked.map(({ view }) => [view, new Map<string, Row>()]));
  if (asked.length === 0) return found;

  const values: string[][] = [];
  const selects = asked.map(({ view, keys }, nth) => {
    const distinct = [...new Map(keys.map(({ key, name }) => [name, key])).values()];
    const arrays = view.key.map((_, index) => `$${values.push(distinct.map((key) => key[index] ?? ''))}::text[]`);
    const names = view.key.map((_, index) => `k${index}`);
    const columns = view.key.map((column, index) => `t.${column} = wanted.k${index}`);
    return `select ${nth} as nth, to_json(t) as row from unnest(${arrays.join(', ')}) as wanted(${names.join(', ')}) join ${schema}.${view.table} t on ${columns.join(' and ')}`;
  });
  const { rows } = await client.query<{ nth: number; row: Row }>(selects.join(' union all '), values);
  for (const { nth, row } of rows) {
    const { view } = asked[nth]!;
    found.get(view)!.set(nameOf(view.key.map((column) => String(row[column]))), row);
  }
  return found;
}

/** Rows of one table, all of one shape: in their place, or anew. */
export interface TableRows { readonly table: string; readonly key: readonly string[]; readonly rows: readonly Row[] }

/** Everything at once, and where the model stands now. */
export async function write(client: PoolClient, schema: string, { tables, position }: { tables: readonly TableRows[]; position: Position }): Promise<void> {
  const filled = tables.filter(({ rows }) => rows.length > 0);
  const upserts = filled.map((one, nth) => `write_${nth} as (${upsertOf(schema, one, nth + 2)})`);
  const together = upserts.length === 0 ? '' : `with ${upserts.join(', ')} `;
  await client.query(`${together}update ${schema}.progress set position = $1`, [position, ...filled.map(({ rows }) => JSON.stringify(rows))]);
}

function upsertOf(schema: string, { table, key, rows }: TableRows, parameter: number): string {
  const columns = Object.keys(rows[0]!);
  const others = columns.filter((column) => !key.includes(column));
  const update = others.length === 0 ? 'nothing' : `update set ${others.map((column) => `${column} = excluded.${column}`).join(', ')}`;
  const list = columns.join(', ');
  return `insert into ${schema}.${table} (${list}) select ${list} from json_populate_recordset(null::${schema}.${table}, $${parameter}::json) on conflict (${key.join(', ')}) do ${update}`;
}
