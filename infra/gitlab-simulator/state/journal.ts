import fs from 'node:fs';
import path from 'node:path';

/** A row of a table: everything the simulated instance remembers is one. */
export interface Row {
  id: number;
}

export interface Table<R extends Row> {
  get(id: number): R | undefined;
  all(): R[];
  insert(row: Omit<R, 'id'>): R;
  put(row: R): R;
  remove(id: number): void;
  /** Rows by a key of theirs. Built on the first ask and kept up with every change: a rebuild per push is felt at 10,000 projects. */
  by(index: string, keyOf: (row: R) => string | number | null): Map<string | number, R[]>;
}

export interface Journal {
  table<R extends Row>(name: string): Table<R>;
  close(): void;
}

type Line =
  | { table: string; row: Row }
  | { table: string; removed: number }
  | { table: string; nextId: number };

interface Rows {
  rows: Map<number, Row>;
  nextId: number;
}

/**
 * Tables in memory with a line on disk per change. A line and not a snapshot: rewriting all projects for
 * each of 10,000 inserts is quadratic, and a line survives SIGKILL without anybody waiting for a flush.
 */
export function openJournal(file: string): Journal {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const tables = replay(file);
  compact(file, tables);
  const descriptor = fs.openSync(file, 'a', 0o600);
  let isClosed = false;
  const write = (line: Line): void => {
    if (!isClosed) fs.writeSync(descriptor, `${JSON.stringify(line)}\n`);
  };
  return {
    table: <R extends Row>(name: string) => createTable<R>(name, rowsOf(tables, name), write),
    close: () => {
      if (!isClosed) fs.closeSync(descriptor);
      isClosed = true;
    },
  };
}

interface Index<R> {
  keyOf(row: R): string | number | null;
  groups: Map<string | number, R[]>;
}

function createTable<R extends Row>(name: string, held: Rows, write: (line: Line) => void): Table<R> {
  const rows = held.rows as Map<number, R>;
  const indexes = new Map<string, Index<R>>();
  const put = (row: R): R => {
    const before = rows.get(row.id);
    rows.set(row.id, row);
    for (const index of indexes.values()) reindex(index, before, row);
    write({ table: name, row });
    return row;
  };
  return {
    get: (id) => rows.get(id),
    all: () => [...rows.values()],
    insert: (row) => put({ ...row, id: held.nextId++ } as R),
    put: (row) => {
      held.nextId = Math.max(held.nextId, row.id + 1);
      return put(row);
    },
    remove: (id) => {
      const before = rows.get(id);
      if (!before) return;
      rows.delete(id);
      for (const index of indexes.values()) reindex(index, before, undefined);
      write({ table: name, removed: id });
    },
    by: (name, keyOf) => {
      let index = indexes.get(name);
      if (!index) indexes.set(name, (index = { keyOf, groups: groupRows(rows.values(), keyOf) }));
      return index.groups;
    },
  };
}

/** Groups are replaced, never changed: whoever walks one may change the table meanwhile. */
function reindex<R>({ keyOf, groups }: Index<R>, before: R | undefined, after: R | undefined): void {
  const [oldKey, newKey] = [before === undefined ? null : keyOf(before), after === undefined ? null : keyOf(after)];
  if (before !== undefined && after !== undefined && oldKey !== null && oldKey === newKey) {
    groups.set(oldKey, (groups.get(oldKey) ?? []).map((row) => (row === before ? after : row)));
    return;
  }
  if (before !== undefined && oldKey !== null) groups.set(oldKey, (groups.get(oldKey) ?? []).filter((row) => row !== before));
  if (after !== undefined && newKey !== null) groups.set(newKey, [...(groups.get(newKey) ?? []), after]);
}

function groupRows<R>(rows: Iterable<R>, keyOf: (row: R) => string | number | null): Map<string | number, R[]> {
  const map = new Map<string | number, R[]>();
  for (const row of rows) {
    const key = keyOf(row);
    if (key === null) continue;
    const group = map.get(key);
    if (group) group.push(row);
    else map.set(key, [row]);
  }
  return map;
}

function replay(file: string): Map<string, Rows> {
  const tables = new Map<string, Rows>();
  if (!fs.existsSync(file)) return tables;
  for (const text of fs.readFileSync(file, 'utf8').split('\n')) {
    const line = parseLine(text);
    if (!line) continue;
    const held = rowsOf(tables, line.table);
    if ('row' in line) {
      held.rows.set(line.row.id, line.row);
      held.nextId = Math.max(held.nextId, line.row.id + 1);
    } else if ('removed' in line) {
      held.rows.delete(line.removed);
    } else {
      held.nextId = Math.max(held.nextId, line.nextId);
    }
  }
  return tables;
}

/** A kill in the middle of a write leaves half a line at the end; nobody was told that it was done. */
function parseLine(text: string): Line | null {
  if (text === '') return null;
  try {
    return JSON.parse(text) as Line;
  } catch {
    return null;
  }
}

function rowsOf(tables: Map<string, Rows>, name: string): Rows {
  let held = tables.get(name);
  if (!held) tables.set(name, (held = { rows: new Map(), nextId: 1 }));
  return held;
}

/** Written beside and renamed, so that a kill leaves the old journal or the new one, never half of one. */
function compact(file: string, tables: Map<string, Rows>): void {
  const beside = `${file}.new`;
  const descriptor = fs.openSync(beside, 'w', 0o600);
  for (const [table, held] of tables) {
    fs.writeSync(descriptor, `${JSON.stringify({ table, nextId: held.nextId })}\n`);
    for (const row of held.rows.values()) fs.writeSync(descriptor, `${JSON.stringify({ table, row })}\n`);
  }
  fs.closeSync(descriptor);
  fs.renameSync(beside, file);
}
