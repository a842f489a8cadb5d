import type { ObjectId } from '#schemas/brand.ts';
import type { TreeEntryMode } from '#shared/objects/git-tree.ts';

/** What stands in a tar. A folder's path ends in "/". */
export interface TarEntry {
  readonly path: Buffer;
  readonly mode: TreeEntryMode;
  readonly id: ObjectId;
  /** Of a file; 0 for all else. */
  readonly bytes: number;
  /** Of a symlink. */
  readonly target?: Buffer;
}

const BLOCK = 512;
/** Tar's own record: what is written is padded to it with zeros. */
const RECORD = 20 * BLOCK;
const NAME_BYTES_MAX = 100;
const PREFIX_BYTES_MAX = 155;
/** Eleven octal digits. Larger files say their size in an extended header. */
const FIELD_MAX = 0o77777777777;
const MODES: Readonly<Record<TreeEntryMode, number>> = { '040000': 0o775, '100644': 0o664, '100755': 0o775, '120000': 0o777, '160000': 0o775 };

/**
 * The head of one entry, bit for bit as `git archive --format=tar` writes it: owner root, permissions under umask 002, names over 100
 * bytes in the prefix or in a pax header, also names that are not UTF-8. The content of a file follows, then `paddingOf` it.
 */
export function tarHead(entry: TarEntry, seconds: number): Buffer {
  const { path, mode, id, bytes, target } = entry;
  const extended: Buffer[] = [];
  let [name, prefix]: [Buffer, Buffer] = [path, Buffer.alloc(0)];
  if (path.length > NAME_BYTES_MAX) {
    const at = prefixEnd(path);
    if (at > 0 && path.length - at - 1 <= NAME_BYTES_MAX) [prefix, name] = [path.subarray(0, at), path.subarray(at + 1)];
    else {
      name = Buffer.from(`${id}.data`);
      extended.push(paxRecord('path', path));
    }
  }
  let link = target ?? Buffer.alloc(0);
  if (link.length > NAME_BYTES_MAX) {
    extended.push(paxRecord('linkpath', link));
    link = Buffer.from(`see ${id}.paxheader`);
  }
  if (bytes > FIELD_MAX) extended.push(paxRecord('size', Buffer.from(String(bytes))));
  const own = header({ name, prefix, link, mode: MODES[mode], bytes: bytes > FIELD_MAX ? 0 : bytes, seconds, type: typeflagOf(mode) });
  if (extended.length === 0) return own;
  const more = Buffer.concat(extended);
  return Buffer.concat([header({ name: Buffer.from(`${id}.paxheader`), mode: 0o666, bytes: more.length, seconds, type: 'x' }), more, paddingOf(more.length), own]);
}

/** What the whole begins with: `git get-tar-commit-id` reads the commit out of it. */
export function tarBeginning(commit: ObjectId, seconds: number): Buffer {
  const comment = paxRecord('comment', Buffer.from(commit));
  return Buffer.concat([header({ name: Buffer.from('pax_global_header'), mode: 0o666, bytes: comment.length, seconds, type: 'g' }), comment, paddingOf(comment.length)]);
}

/** Two empty blocks, and what is missing to a whole record. @param written bytes so far */
export function tarEnding(written: number): Buffer {
  const tail = RECORD - written % RECORD;
  return Buffer.alloc(tail < 2 * BLOCK ? tail + RECORD : tail);
}

export function paddingOf(bytes: number): Buffer {
  return Buffer.alloc((BLOCK - bytes % BLOCK) % BLOCK);
}

function typeflagOf(mode: TreeEntryMode): string {
  switch (mode) {
    case '040000': case '160000': return '5';
    case '120000': return '2';
    case '100644': case '100755': return '0';
    default: return mode satisfies never;
  }
}

interface Header { readonly name: Buffer; readonly prefix?: Buffer; readonly link?: Buffer; readonly mode: number; readonly bytes: number; readonly seconds: number; readonly type: string }

function header({ name, prefix, link, mode, bytes, seconds, type }: Header): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, digits: number) => block.write(value.toString(8).padStart(digits, '0'), at, 'latin1');
  name.copy(block, 0);
  octal(mode, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(bytes, 124, 11);
  octal(Math.min(Math.max(0, seconds), FIELD_MAX), 136, 11);
  block.write('        ', 148, 'latin1');
  block.write(type, 156, 'latin1');
  link?.copy(block, 157);
  block.write('ustar\0' + '00', 257, 'latin1');
  block.write('root', 265, 'latin1');
  block.write('root', 297, 'latin1');
  octal(0, 329, 7);
  octal(0, 337, 7);
  prefix?.copy(block, 345);
  octal(block.reduce((sum, byte) => sum + byte, 0), 148, 7);
  block[155] = 0;
  return block;
}

/** Where a long path is cut in two; 0 when nowhere. */
function prefixEnd(path: Buffer): number {
  const end = path.at(-1) === 0x2f ? path.length - 1 : path.length;
  return Math.max(0, path.lastIndexOf(0x2f, Math.min(end, PREFIX_BYTES_MAX) - 1));
}

/** `<length> keyword=value\n`, where the length counts its own digits. */
function paxRecord(keyword: string, value: Buffer): Buffer {
  const rest = keyword.length + value.length + 3;
  let length = rest + 1;
  while (length < rest + String(length).length) length += 1;
  return Buffer.concat([Buffer.from(`${length} ${keyword}=`), value, Buffer.from('\n')]);
}
