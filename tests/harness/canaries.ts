import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createPool } from '#shared/postgres/pool.ts';

/** `secret`: nobody is told. `person`: what says who somebody is, and what people wrote: in no fact. */
export type Kind = 'secret' | 'person';

/** Values that are like nothing else, put in somewhere to be looked for everywhere. */
export interface Canaries {
  /** One that we make, or one that we were given. */
  plant(kind: Kind, name: string, value?: string): string;
  /** A secret of bytes: also as a logger writes them. */
  plantBytes(name: string, bytes: Buffer): void;
  /** The names of those that stand in it, as they are or in an encoding. */
  foundIn(text: string | Buffer, kinds?: readonly Kind[]): string[];
}

export function createCanaries(): Canaries {
  const planted: { kind: Kind; name: string; forms: readonly Buffer[] }[] = [];
  return {
    plant(kind, name, value = `canary-${name.replaceAll(' ', '-')}-${randomBytes(9).toString('hex')}`) {
      planted.push({ kind, name, forms: formsOf(value).map((form) => Buffer.from(form)) });
      return value;
    },
    plantBytes(name, bytes) {
      const base64 = bytes.toString('base64').replace(/=+$/, '');
      const texts = [bytes.toString('hex'), bytes.toString('hex').toUpperCase(), base64, base64.replaceAll('+', '-').replaceAll('/', '_'), [...bytes].join(',')];
      planted.push({ kind: 'secret', name, forms: [bytes, ...texts.map((text) => Buffer.from(text))] });
    },
    foundIn(text, kinds = ['secret', 'person']) {
      const bytes = typeof text === 'string' ? Buffer.from(text) : text;
      return planted.filter(({ kind, forms }) => kinds.includes(kind) && forms.some((form) => bytes.includes(form))).map(({ name }) => name);
    },
  };
}

/** As it is, in an address, in hexadecimal, and in the middle of something in base64. */
function formsOf(value: string): string[] {
  const base64 = [0, 1, 2].flatMap((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), Buffer.from(value)]).toString('base64');
    // Letters at the ends hang on what stands beside.
    const middle = encoded.slice(before === 0 ? 0 : 4, encoded.length - 4);
    return [middle, middle.replaceAll('+', '-').replaceAll('/', '_')];
  });
  return [...new Set([value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1), Buffer.from(value).toString('hex'), ...base64])];
}

export interface Row { readonly table: string; readonly bytes: Buffer }

/** Every row of every table of a database, its bytes as they are. */
export async function rowsOf(databaseUrl: string): Promise<Row[]> {
  const pool = createPool(databaseUrl, { connectionsMax: 1, applicationName: 'test' });
  try {
    const tables = (await pool.query<{ name: string }>(`select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`)).rows;
    const rows: Row[] = [];
    for (const { name } of tables) {
      for (const row of (await pool.query<Record<string, unknown>>(`select * from ${name}`)).rows) {
        rows.push({ table: name.replace(/^public\./, ''), bytes: Buffer.concat(Object.values(row).map((value) => (Buffer.isBuffer(value) ? value : Buffer.from(` ${typeof value === 'string' ? value : JSON.stringify(value)} `)))) });
      }
    }
    return rows;
  } finally {
    await pool.end();
  }
}

/** Every file below a folder, apart from those whose path matches. */
export async function filesBelow(folder: string, but: RegExp): Promise<{ file: string; bytes: Buffer }[]> {
  const found: { file: string; bytes: Buffer }[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = path.relative(folder, path.join(entry.parentPath, entry.name));
    if (!entry.isFile() || but.test(file)) continue;
    // Git may take one away meanwhile.
    const bytes = await readFile(path.join(folder, file)).catch(() => undefined);
    if (bytes !== undefined) found.push({ file, bytes });
  }
  return found;
}

/** What the machine's list of processes shows to others of a program and of what it starts. */
export interface Process { readonly argv: string; readonly environ: string }

/** Not of macOS. */
export const hasProc = existsSync('/proc/self/environ');

/** All processes whose environment holds `mark`, and their descendants. */
export function processesOf(mark: string): Process[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    const [stat, argv, environ] = [read(pid, 'stat'), read(pid, 'cmdline'), read(pid, 'environ')];
    return stat === '' ? [] : [{ pid, parent: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? '', argv: argv.replaceAll('\0', ' '), environ }];
  });
  const parents = new Map(all.map(({ pid, parent }) => [pid, parent]));
  const own = new Set(all.filter(({ environ }) => environ.includes(mark)).map(({ pid }) => pid));
  const isBelow = (pid: string): boolean => own.has(pid) || (parents.has(pid) && isBelow(parents.get(pid) ?? ''));
  return all.filter(({ pid }) => isBelow(pid));
}

function read(pid: string, what: string): string {
  try {
    return readFileSync(`/proc/${pid}/${what}`, 'utf8');
  } catch {
    // It has ended, or is another's.
    return '';
  }
}
