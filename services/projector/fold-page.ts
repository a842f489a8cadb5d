import type { PoolClient } from 'pg';
import type { Position } from '#schemas/brand.ts';
import { parseFact, type Fact } from '#schemas/events/facts.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import type { Cell, Key, Row, View } from './view.ts';
import { codebases } from './views/codebases.ts';
import { projectCodebases, projects } from './views/projects.ts';
import { refs, versions } from './views/refs.ts';
import { sources } from './views/sources.ts';
import { syncs } from './views/syncs.ts';

export const VIEWS: readonly View[] = [sources, codebases, projects, projectCodebases, refs, versions, syncs] as unknown as readonly View[];

interface Unfolded { position: string; fact_id: string; key: string; type: string; error: string }

/** Data exceptions and broken constraints: this fact will never fit, while others may. */
const isRefusedData = (error: unknown) => /^(22|23)/.test(String((error as { code?: unknown }).code ?? ''));

/** A page at once; when the database refuses what is in it, fact by fact, and the refused one is marked instead of folded. */
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
 * Folds a page of the log in memory and writes what changed, with the position it now stands at. Inside the caller's
 * transaction: tables and position move together or not at all. Folding a page again changes nothing.
 */
export async function foldPage(client: PoolClient, schema: string, page: { facts: readonly Recorded[]; position: Position }): Promise<void> {
  const { facts, unfolded } = parsePage(page.facts);
  for (const view of VIEWS) unfolded.push(...(await foldView(client, schema, { view, facts })));
  await upsert(client, `${schema}.fact_index`, { key: ['position'], rows: page.facts.map(indexRow) });
  await upsert(client, `${schema}.unfolded`, { key: ['position'], rows: [...new Map(unfolded.map((row) => [row.position, { ...row }])).values()] });
  await client.query(`update ${schema}.progress set position = $1`, [page.position]);
}

/** A fact that the tables will not take stands in the index, and is marked. */
async function markUnfolded(client: PoolClient, schema: string, { fact, position, error }: { fact: Recorded; position: Position; error: unknown }): Promise<void> {
  await upsert(client, `${schema}.fact_index`, { key: ['position'], rows: [indexRow(fact)] });
  await upsert(client, `${schema}.unfolded`, { key: ['position'], rows: [{ ...unfoldedRow(fact, error) }] });
  await client.query(`update ${schema}.progress set position = $1`, [position]);
}

const indexRow = ({ position, key, stream, revision, type, id, correlationId, time }: Recorded): Row =>
  ({ position, key: storable(key), stream, revision, type: storable(type), fact_id: storable(id), correlation_id: storable(correlationId), time: storable(time) });

/** Postgres keeps no NUL and no half of a surrogate pair; the log does, as JSON. What marks a fact must always fit. */
const storable = (text: string) => text.replace(/\0|\p{Surrogate}/gu, '\ufffd');

function parsePage(recorded: readonly Recorded[]): { facts: Fact[]; unfolded: Unfolded[] } {
  const facts: Fact[] = [];
  const unfolded: Unfolded[] = [];
  for (const one of recorded) {
    try {
      facts.push(parseFact(one));
    } catch (error) {
      unfolded.push(unfoldedRow(one, error));
    }
  }
  return { facts, unfolded };
}

const unfoldedRow = ({ position, id, key, type }: Recorded | Fact, error: unknown): Unfolded => ({ position, fact_id: storable(id), key: storable(key), type: storable(type), error: storable(String(error)) });

async function foldView(client: PoolClient, schema: string, { view, facts }: { view: View; facts: readonly Fact[] }): Promise<Unfolded[]> {
  const unfolded: Unfolded[] = [];
  const touched = facts.map((fact) => ({ fact, keys: keysOf(view, fact, unfolded) })).filter(({ keys }) => keys.length > 0);
  if (touched.length === 0) return unfolded;
  const table = `${schema}.${view.table}`;
  const rows = await load(client, table, { view, keys: touched.flatMap(({ keys }) => keys) });
  const changed = new Map<string, Row>();
  for (const { fact, keys } of touched) {
    for (const key of keys) {
      try {
        const name = JSON.stringify(key);
        const before = rows.get(name);
        const after = view.fold(before, fact, key);
        if (after === undefined || after === before) continue;
        rows.set(name, after);
        changed.set(name, after);
      } catch (error) {
        unfolded.push(unfoldedRow(fact, error));
      }
    }
  }
  await upsert(client, table, { key: view.key, rows: [...changed.values()] });
  return unfolded;
}

function keysOf(view: View, fact: Fact, unfolded: Unfolded[]): readonly Key[] {
  try {
    return view.keysOf(fact);
  } catch (error) {
    unfolded.push(unfoldedRow(fact, error));
    return [];
  }
}

async function load(client: PoolClient, table: string, { view, keys }: { view: View; keys: readonly Key[] }): Promise<Map<string, Row>> {
  const columns = view.key.map((column, index) => `t.${column} = wanted.k${index}`).join(' and ');
  const arrays = view.key.map((_, index) => `$${index + 1}::text[]`).join(', ');
  const names = view.key.map((_, index) => `k${index}`).join(', ');
  const { rows } = await client.query<Record<string, Cell>>(
    `select t.* from ${table} t join (select distinct * from unnest(${arrays}) as u(${names})) wanted on ${columns}`,
    view.key.map((_, index) => keys.map((key) => key[index] ?? '')));
  return new Map(rows.map((row) => [JSON.stringify(view.key.map((column) => String(row[column]))), row]));
}

async function upsert(client: PoolClient, table: string, { key, rows }: { key: readonly string[]; rows: readonly Row[] }): Promise<void> {
  const [first] = rows;
  if (first === undefined) return;
  const columns = Object.keys(first);
  const others = columns.filter((column) => !key.includes(column));
  const update = others.length === 0 ? 'nothing' : `update set ${others.map((column) => `${column} = excluded.${column}`).join(', ')}`;
  await client.query(
    `insert into ${table} (${columns.join(', ')}) select ${columns.join(', ')} from json_populate_recordset(null::${table}, $1::json) on conflict (${key.join(', ')}) do ${update}`,
    [JSON.stringify(rows)]);
}
