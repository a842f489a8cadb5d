import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { isStorable, isStorableJson } from './storable.ts';

type Cell = string | number | boolean | null | object;

/** Lines go to the socket in pieces of about this size. */
const CHUNK_CHARACTERS = 65_536;

/** A text that COPY would take otherwise than a statement does: that is to decide. */
export class Unstorable extends Error {
  override readonly name = 'Unstorable';
}

/**
 * Adds rows that are not there yet, all of one shape: a third of what an insert from JSON takes of the server. An array is one of
 * numbers, for a column of such arrays; any other object is JSON. @throws Unstorable
 */
export async function addRows(client: PoolClient, table: string, rows: readonly Readonly<Record<string, Cell>>[]): Promise<void> {
  const [first] = rows;
  if (first === undefined) return;
  const columns = Object.keys(first);
  await pipeline(Readable.from(chunksOf(rows, columns), { objectMode: false }), client.query(copyFrom(`copy ${table} (${columns.join(', ')}) from stdin`)));
}

function* chunksOf(rows: readonly Readonly<Record<string, Cell>>[], columns: readonly string[]): Generator<Buffer, void, void> {
  let lines = '';
  for (const row of rows) {
    for (let nth = 0; nth < columns.length; nth += 1) lines += `${nth === 0 ? '' : '\t'}${copied(row[columns[nth]!])}`;
    lines += '\n';
    if (lines.length < CHUNK_CHARACTERS) continue;
    yield Buffer.from(lines);
    lines = '';
  }
  if (lines !== '') yield Buffer.from(lines);
}

function copied(value: Cell | undefined): string {
  switch (typeof value) {
    case 'string': return escaped(value);
    case 'number':
    case 'boolean': return String(value);
    default: return value === null || value === undefined ? '\\N' : Array.isArray(value) ? `{${value.join(',')}}` : json(value);
  }
}

const NAMES = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' } as const;

function escaped(text: string): string {
  if (!isStorable(text)) throw new Unstorable('a NUL or half of a surrogate pair');
  return /[\\\t\n\r]/.test(text) ? text.replace(/[\\\t\n\r]/g, (one) => NAMES[one as keyof typeof NAMES]) : text;
}

/** COPY into a column of JSON does not look into escapes. */
function json(value: object): string {
  if (!isStorableJson(value)) throw new Unstorable('a NUL or half of a surrogate pair');
  return escaped(JSON.stringify(value));
}
