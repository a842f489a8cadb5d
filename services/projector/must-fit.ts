import { isStorable, isStorableJson } from '#shared/postgres/storable.ts';
import type { Cell, ColumnType, Key, Row, View } from './view.ts';

/** Postgres takes 2,704 bytes of an index's entry: this, an id and a position. */
const INDEXED_BYTES_MAX = 2_560;
const UTF8_BYTES_MAX = 3;
const INTEGER_MIN = -(2 ** 31);
const INTEGER_MAX = 2 ** 31 - 1;

/**
 * That its table takes a row, as a fact leaves it. Judged here and not by the table: a table sees what a page leaves, and would
 * refuse or take one and the same fact, as the log happens to be cut. @throws naming the column
 */
export function rowMustFit({ table, columns }: View, before: Row | undefined, after: Row): void {
  for (const column in columns) {
    const cell = after[column];
    // What stood there was judged when it came.
    if (before !== undefined && before[column] === cell) continue;
    if (!fits(columns[column]!, cell)) throw new TypeError(`${table}.${column} does not take this as ${columns[column]}`);
  }
}

/** That rows can be asked for by it. @throws */
export function keyMustFit(table: string, key: Key): void {
  if (!key.every((part) => fits('indexed text', part))) throw new TypeError(`${table} does not take this as a key`);
}

function fits(type: ColumnType, cell: Cell | undefined): boolean {
  if (cell === null) return true;
  switch (type) {
    case 'text': return typeof cell === 'string' && isStorable(cell);
    case 'indexed text': return typeof cell === 'string' && isStorable(cell) && isShort(cell);
    case 'integer': return Number.isInteger(cell) && cell as number >= INTEGER_MIN && cell as number <= INTEGER_MAX;
    case 'bigint': return Number.isSafeInteger(cell);
    case 'bigint[]': return Array.isArray(cell) && cell.every(Number.isSafeInteger);
    case 'boolean': return typeof cell === 'boolean';
    case 'json': return typeof cell === 'object' && isStorableJson(cell);
    default: return type satisfies never;
  }
}

const isShort = (text: string) => text.length * UTF8_BYTES_MAX <= INDEXED_BYTES_MAX || Buffer.byteLength(text) <= INDEXED_BYTES_MAX;
