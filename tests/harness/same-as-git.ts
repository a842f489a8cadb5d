import assert from 'node:assert/strict';
import type { Repository } from './repository.ts';
import type { System } from './system.ts';

interface Listed { readonly path: Buffer; readonly mode: string; readonly id: string }

/**
 * That a stored version is, through the API, what git has: the root tree, every entry of every folder, and every file byte for
 * byte. Returns how many files were compared.
 */
export async function expectSameAsGit(system: System, codebase: string, { repository, commit, at }: { repository: Repository; commit: string; at: string }): Promise<number> {
  const expected = listOf(repository, commit);
  const found: Listed[] = [];
  const root = repository.git('rev-parse', `${commit}^{tree}`);
  await walk(system, { codebase, at, folder: Buffer.alloc(0), root }, found);
  assert.deepEqual(shown(found), shown(expected.filter((one) => one.mode !== '040000')));
  const files = found.filter((one) => one.mode !== '160000');
  const contents = contentsOf(repository, files.map((file) => file.id));
  await eachOf(files, async (file) => {
    const answer = await system.ask('GET', `/v1/codebases/${codebase}/files/${escape(file.path)}?at=${at}`);
    if (answer.status !== 200) throw new Error(`${file.path.toString()}: ${answer.status} ${answer.bytes.toString()}`);
    const wanted = contents.get(file.id);
    if (wanted === undefined || !answer.bytes.equals(wanted)) throw new Error(`${file.path.toString()} (${file.id}) is not what git has: ${answer.bytes.length} bytes, git ${wanted?.length}`);
  });
  return files.length;
}

async function walk(system: System, where: { codebase: string; at: string; folder: Buffer; root: string }, found: Listed[]): Promise<void> {
  const { codebase, at, folder } = where;
  for (let next: string | null = `/v1/codebases/${codebase}/tree/${escape(folder)}?at=${at}&limit=5000`; next !== null;) {
    const answer = await system.ask('GET', next);
    if (answer.status !== 200) throw new Error(`${next}: ${answer.status} ${answer.bytes.toString()}`);
    const page = answer.json<{ tree: string; entries: { name: string; nameHex?: string; mode: string; id: string }[]; next: string | null }>();
    if (folder.length === 0) assert.equal(page.tree, where.root);
    for (const entry of page.entries) {
      const name = entry.nameHex === undefined ? Buffer.from(entry.name) : Buffer.from(entry.nameHex, 'hex');
      const path = folder.length === 0 ? name : Buffer.concat([folder, Buffer.from('/'), name]);
      if (entry.mode === '040000') await walk(system, { ...where, folder: path }, found);
      else found.push({ path, mode: entry.mode, id: entry.id });
    }
    next = page.next;
  }
}

function listOf(repository: Repository, commit: string): Listed[] {
  const raw = repository.gitBytes(['ls-tree', '-r', '-t', '-z', commit]).toString('latin1');
  return raw.split('\0').filter((line) => line !== '').map((line) => {
    const [head = '', path = ''] = line.split('\t', 2);
    const [mode = '', , id = ''] = head.split(' ');
    return { path: Buffer.from(line.slice(line.indexOf('\t') + 1), 'latin1'), mode, id, ignored: path };
  });
}

function contentsOf(repository: Repository, ids: readonly string[]): Map<string, Buffer> {
  const unique = [...new Set(ids)];
  const contents = new Map<string, Buffer>();
  if (unique.length === 0) return contents;
  const out = repository.gitBytes(['cat-file', '--batch'], Buffer.from(`${unique.join('\n')}\n`));
  for (let at = 0; at < out.length;) {
    const line = out.subarray(at, out.indexOf(0x0a, at)).toString();
    const [id = '', , size = '0'] = line.split(' ');
    const from = at + line.length + 1;
    contents.set(id, out.subarray(from, from + Number(size)));
    at = from + Number(size) + 1;
  }
  return contents;
}

/** Every byte but the plainest, slashes kept. */
export function escape(path: Buffer): string {
  return [...path].map((byte) => (/[A-Za-z0-9._\-/]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0').toUpperCase()}`)).join('');
}

const shown = (list: readonly Listed[]) => list.map((one) => `${one.mode} ${one.id} ${one.path.toString('latin1')}`).sort();

/** Eight at a time. */
async function eachOf<T>(items: readonly T[], step: (item: T) => Promise<void>): Promise<void> {
  let at = 0;
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (let item = items[at++]; item !== undefined; item = items[at++]) await step(item);
  }));
}
