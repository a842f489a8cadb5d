import type { GitObjectFormat, ObjectId } from '#schemas/brand.ts';

/** As `git ls-tree` prints it. 160000 is a submodule: its id is a commit of another repository. */
export type TreeEntryMode = '040000' | '100644' | '100755' | '120000' | '160000';

export interface TreeEntry {
  readonly mode: TreeEntryMode;
  /** Bytes, often UTF-8, never empty, without "/" and NUL. */
  readonly name: Buffer;
  readonly id: ObjectId;
}

/** Bytes that are no tree, or one that no honest git writes. */
export class TreeMalformed extends Error {
  override readonly name = 'TreeMalformed';
  /** Of the entry that is wrong. */
  readonly offset: number;

  constructor(offset: number, detail: string) {
    super(`tree malformed at byte ${offset}: ${detail}`);
    this.offset = offset;
  }
}

const SPACE = 0x20;
const SLASH = 0x2f;
const DOT = 0x2e;
/** Six octal digits are a mode; older tools padded one with a zero. */
const MODE_DIGITS_MAX = 7;

/**
 * The entries of a tree object. As strict as git's fsck is about order, duplicates and form, and about names that leave
 * the folder. As mild as git about what old tools wrote and GitLab lets through: zero-padded modes, other permission bits
 * (100664, 100600), an entry `.git`. Modes come as git itself reads them. @throws TreeMalformed
 */
export function parseTree(tree: Buffer, format: GitObjectFormat): TreeEntry[] {
  const idBytes = format === 'sha1' ? 20 : 32;
  const order = new EntryOrder();
  const entries: TreeEntry[] = [];
  for (let at = 0; at < tree.length;) {
    const space = tree.indexOf(SPACE, at);
    const mode = parseMode(tree, at, space);
    const end = tree.indexOf(0, space + 1);
    if (end < 0 || end + 1 + idBytes > tree.length) throw new TreeMalformed(at, 'it ends within this entry');
    const name = tree.subarray(space + 1, end);
    checkName(name, at);
    const entry = { mode, name, id: tree.toString('hex', end + 1, end + 1 + idBytes) as ObjectId };
    order.check(entry, at);
    entries.push(entry);
    at = end + 1 + idBytes;
  }
  return entries;
}

/**
 * What is left of two trees without the entries at their beginnings and ends that are the same bytes in both: trees of 100 files
 * that differ in one are compared without 198 entries being made. Either may be malformed: then more is left.
 */
export function withoutCommonEnds(left: Buffer, right: Buffer, format: GitObjectFormat): readonly [Buffer, Buffer] {
  const [ends, others] = [entryEnds(left, format), entryEnds(right, format)];
  const most = Math.min(ends.length, others.length);
  let first = 0;
  let from = 0;
  for (; first < most && ends[first] === others[first] && left.compare(right, from, ends[first], from, ends[first]) === 0; first += 1) from = ends[first]!;

  let [to, otherTo] = [left.length, right.length];
  for (let back = 1; back <= most - first; back += 1) {
    const [begin, otherBegin] = [ends[ends.length - back - 1] ?? 0, others[others.length - back - 1] ?? 0];
    if (to - begin !== otherTo - otherBegin || left.compare(right, otherBegin, otherTo, begin, to) !== 0) break;
    [to, otherTo] = [begin, otherBegin];
  }
  return [left.subarray(from, to), right.subarray(from, otherTo)];
}

/** Where each entry ends; the last one is the tree's end, whatever stands there. */
function entryEnds(tree: Buffer, format: GitObjectFormat): number[] {
  const idBytes = format === 'sha1' ? 20 : 32;
  const ends: number[] = [];
  for (let at = 0; at < tree.length;) {
    const name = tree.indexOf(0, at);
    at = name < 0 ? tree.length : Math.min(name + 1 + idBytes, tree.length);
    ends.push(at);
  }
  return ends;
}

function parseMode(tree: Buffer, at: number, space: number): TreeEntryMode {
  let mode = 0;
  if (space <= at || space - at > MODE_DIGITS_MAX) throw new TreeMalformed(at, 'no mode');
  for (let place = at; place < space; place++) {
    const digit = tree[place]! - 0x30;
    if (digit < 0 || digit > 7) throw new TreeMalformed(at, `no mode: ${JSON.stringify(tree.toString('latin1', at, space))}`);
    mode = mode * 8 + digit;
  }
  switch (mode >> 12) {
    case 0o04: return '040000';
    case 0o10: return mode & 0o100 ? '100755' : '100644';
    case 0o12: return '120000';
    case 0o16: return '160000';
    // Git takes every other kind for a submodule, whose content nobody asks for: a way to hide a missing object.
    default: throw new TreeMalformed(at, `mode ${mode.toString(8)} is neither file, folder, link nor submodule`);
  }
}

function checkName(name: Buffer, at: number): void {
  if (name.length === 0) throw new TreeMalformed(at, 'an empty name');
  if (name.includes(SLASH)) throw new TreeMalformed(at, `a name with "/": ${quoted(name)}`);
  if (name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT))) throw new TreeMalformed(at, `the name ${quoted(name)}`);
}

/** Git's order: by bytes, where a folder's name counts as if it ended in "/". So `a`, `a.b`, `a/` may follow each other: the first and last are doubles. */
class EntryOrder {
  #last: TreeEntry | undefined;
  /** Files whose name begins the last entry's: a folder of that name may still come. Rarely more than one. */
  #files: Buffer[] = [];

  check(entry: TreeEntry, at: number): void {
    const last = this.#last;
    if (last) {
      if (last.name.equals(entry.name)) throw new TreeMalformed(at, `${quoted(entry.name)} twice`);
      if (compareEntries(last, entry) > 0) throw new TreeMalformed(at, `${quoted(entry.name)} comes after ${quoted(last.name)}: not git's order`);
    }
    while (this.#files.length > 0 && !beginsWith(entry.name, this.#files.at(-1)!)) this.#files.pop();
    if (entry.mode !== '040000') this.#files.push(entry.name);
    else if (this.#files.at(-1)?.length === entry.name.length) throw new TreeMalformed(at, `${quoted(entry.name)} twice, as a file and as a folder`);
    this.#last = entry;
  }
}

/** Git's order within one tree: below zero when `left` comes first. A file and a folder of one name are two places. */
export function compareEntries(left: Pick<TreeEntry, 'name' | 'mode'>, right: Pick<TreeEntry, 'name' | 'mode'>): number {
  const shared = Math.min(left.name.length, right.name.length);
  return left.name.compare(right.name, 0, shared, 0, shared) || byteAfter(left, shared) - byteAfter(right, shared);
}

function byteAfter({ name, mode }: Pick<TreeEntry, 'name' | 'mode'>, at: number): number {
  return name[at] ?? (mode === '040000' ? SLASH : 0);
}

function beginsWith(name: Buffer, beginning: Buffer): boolean {
  return name.length >= beginning.length && name.compare(beginning, 0, beginning.length, 0, beginning.length) === 0;
}

function quoted(name: Buffer): string {
  return JSON.stringify(name.toString('utf8', 0, 200));
}
