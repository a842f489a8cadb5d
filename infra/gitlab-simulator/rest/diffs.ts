import { GitOutputTooLong, runGit, runGitText } from '../git/git-command.ts';

export interface Diff {
  diff: string;
  collapsed: boolean;
  too_large: boolean;
  new_path: string;
  old_path: string;
  a_mode: string | null;
  b_mode: string;
  new_file: boolean;
  renamed_file: boolean;
  deleted_file: boolean;
  generated_file: boolean | null;
}

export interface DiffRange {
  /** Null: against the empty tree. */
  from: string | null;
  to: string;
  filesMax: number;
  objectFormat: string;
}

/** A file's patch above this is left out as too large, and all patches together are not read beyond the second bound. */
const PATCH_BYTES_MAX = 200 * 1024;
const PATCHES_BYTES_MAX = 64 * 1024 * 1024;

const EMPTY_TREE_SHA1 = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
const EMPTY_TREE_SHA256 = '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321';

/** Cut at the number of files, as GitLab cuts: `isOverflow` is what it calls `compare_timeout`. */
export async function readDiffs(repository: string, range: DiffRange): Promise<{ diffs: Diff[]; isOverflow: boolean }> {
  const from = range.from ?? (range.objectFormat === 'sha256' ? EMPTY_TREE_SHA256 : EMPTY_TREE_SHA1);
  const args = ['-C', repository, 'diff-tree', '-r', '-M', '--full-index', from, range.to];
  const listed = parseRaw(await runGitText({ args: [...args.slice(0, 5), '--raw', '-z', from, range.to] }));
  const isOverflow = listed.length > range.filesMax;
  const patches = await readPatches(args);
  const diffs = listed.slice(0, range.filesMax).map((entry, at): Diff => {
    const patch = patches[at] ?? '';
    const isTooLarge = Buffer.byteLength(patch) > PATCH_BYTES_MAX;
    return { ...entry, diff: isTooLarge ? '' : patch, too_large: isTooLarge };
  });
  return { diffs, isOverflow };
}

type Listed = Omit<Diff, 'diff' | 'too_large'>;

/** `:100644 100644 <id> <id> M\0path\0`, and two paths after a rename. */
function parseRaw(text: string): Listed[] {
  const tokens = text.split('\0');
  const found: Listed[] = [];
  for (let at = 0; at + 1 < tokens.length; ) {
    const match = /^:(\d+) (\d+) \S+ \S+ ([A-Z])/.exec(tokens[at] ?? '');
    if (!match) break;
    const [, aMode = '', bMode = '', status = ''] = match;
    const isRenamed = status === 'R' || status === 'C';
    const oldPath = tokens[at + 1] ?? '';
    const newPath = isRenamed ? (tokens[at + 2] ?? '') : oldPath;
    at += isRenamed ? 3 : 2;
    found.push({
      collapsed: false,
      new_path: newPath,
      old_path: oldPath,
      a_mode: Number(aMode) === 0 ? '0' : aMode,
      b_mode: Number(bMode) === 0 ? '0' : bMode,
      new_file: status === 'A',
      renamed_file: isRenamed,
      deleted_file: status === 'D',
      generated_file: null,
    });
  }
  return found;
}

/** The texts from the first hunk on, in the order of the raw list. None if there is too much of it. */
async function readPatches(args: string[]): Promise<string[]> {
  try {
    const bytes = await runGit({ args: [...args.slice(0, 3), '-p', '--no-color', ...args.slice(3)], bytesMax: PATCHES_BYTES_MAX });
    const parts = bytes.toString('utf8').split(/^diff --git .*\n/m).slice(1);
    return parts.map((part) => {
      const start = part.search(/^(@@|Binary files )/m);
      return start === -1 ? '' : part.slice(start);
    });
  } catch (error) {
    if (error instanceof GitOutputTooLong) return [];
    throw error;
  }
}
