import type { ObjectId } from '#schemas/brand.ts';
import { emptyTree, formatOf } from './git-objects.ts';
import { compareEntries, parseTree, withoutCommonEnds, type TreeEntry, type TreeEntryMode } from './git-tree.ts';
import type { ObjectReader } from './object-reader.ts';
import { treeBytes } from './read-tree.ts';

export interface TreeLeaf { readonly mode: Exclude<TreeEntryMode, '040000'>; readonly id: ObjectId }

/** What stands at a path in one tree and not, or not so, in the other. One side at least is there. */
export interface TreeChange {
  /** Whole, from the root, "/" between the names. */
  readonly path: Buffer;
  readonly from: TreeLeaf | undefined;
  readonly to: TreeLeaf | undefined;
}

export interface DiffOptions {
  /** Undefined stands for the empty tree. */
  readonly from: ObjectId | undefined;
  readonly to: ObjectId | undefined;
  /** Go on behind this path, as a change named it; what lies before it is not even read. */
  readonly after?: Buffer | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What `git diff-tree -r --no-renames` prints, in its order: files, links and submodules, never folders. Subtrees of one id
 * are not descended into, so the cost is that of the difference, whatever the size. A file that became a folder of its name
 * is removed first, then what is in the folder is added. @throws as readTree does.
 */
export async function* diffTrees(reader: Pick<ObjectReader, 'stream'>, { from, to, after, signal }: DiffOptions): AsyncGenerator<TreeChange, void, void> {
  if (from === to) return;
  const walk = { reader, signal };
  yield* diffLevel(walk, { sides: sidesOf(walk, from, to), above: [], after: after === undefined ? undefined : namesOf(after) });
}

/** Folders of a level whose trees are on their way before it is their turn: their places are looked up together. 500 changed folders of 1,000: a tenth of the questions. */
const FOLDERS_AHEAD_MAX = 16;

interface Walk { readonly reader: Pick<ObjectReader, 'stream'>; readonly signal: AbortSignal | undefined }
/** Entries that are the same at both beginnings or both ends are left out. */
type Sides = Promise<readonly [TreeEntry[], TreeEntry[]]>;
interface Level { readonly sides: Sides; readonly above: readonly Buffer[]; readonly after: readonly Buffer[] | undefined }
interface Step { readonly entry: TreeEntry; readonly one: TreeEntry | undefined; readonly other: TreeEntry | undefined; readonly after: readonly Buffer[] | undefined }

async function* diffLevel(walk: Walk, { sides, above, after }: Level): AsyncGenerator<TreeChange, void, void> {
  const steps = stepsOf(await sides, after);
  const folders = steps.filter(({ entry }) => entry.mode === '040000')[Symbol.iterator]();
  const ahead: Sides[] = [];
  for (const { entry, one, other, after: within } of steps) {
    const path = [...above, entry.name];
    if (entry.mode !== '040000') {
      yield { path: joined(path), from: leafOf(one), to: leafOf(other) };
      continue;
    }
    walk.signal?.throwIfAborted();
    for (let folder; ahead.length < FOLDERS_AHEAD_MAX && !(folder = folders.next()).done;) ahead.push(sidesOf(walk, folder.value.one?.id, folder.value.other?.id));
    yield* diffLevel(walk, { sides: ahead.shift() as Sides, above: path, after: within });
  }
}

/** What differs at this level and is not told yet. */
function stepsOf([left, right]: readonly [TreeEntry[], TreeEntry[]], after: readonly Buffer[] | undefined): Step[] {
  const steps: Step[] = [];
  for (const [one, other] of sideBySide(left, right)) {
    const entry = (one ?? other) as TreeEntry;
    const place = after === undefined ? 'behind' : placeOf(entry, after);
    if (place === 'before' || (one?.id === other?.id && one?.mode === other?.mode)) continue;
    steps.push({ entry, one, other, after: place === 'within' ? after?.slice(1) : undefined });
  }
  return steps;
}

function sidesOf(walk: Walk, from: ObjectId | undefined, to: ObjectId | undefined): Sides {
  const sides = entriesOf(walk, from, to);
  // Awaited in its turn, or never, when the page is full before it; until then a failure must not count as unhandled.
  sides.catch(() => undefined);
  return sides;
}

async function entriesOf({ reader }: Walk, from: ObjectId | undefined, to: ObjectId | undefined): Sides {
  const format = formatOf((from ?? to) as ObjectId);
  const [left, right] = await Promise.all([from, to].map((id) => treeBytes(reader, id ?? emptyTree(format)))) as [Buffer, Buffer];
  const [one, other] = withoutCommonEnds(left, right, format);
  return [parseTree(one, format), parseTree(other, format)];
}

/** Entries of one name and sort (folder, or not) together; the others alone; in git's order. */
function* sideBySide(left: readonly TreeEntry[], right: readonly TreeEntry[]): Generator<readonly [TreeEntry | undefined, TreeEntry | undefined], void, void> {
  for (let l = 0, r = 0; l < left.length || r < right.length;) {
    const [one, other] = [left[l], right[r]];
    const order = one === undefined ? 1 : other === undefined ? -1 : compareEntries(one, other);
    yield order < 0 ? [one, undefined] : order > 0 ? [undefined, other] : [one, other];
    if (order <= 0) l += 1;
    if (order >= 0) r += 1;
  }
}

/** Where an entry lies, as seen from a path that was told already: before it (or it), behind it, or the folder that holds it. */
function placeOf(entry: TreeEntry, after: readonly Buffer[]): 'before' | 'within' | 'behind' {
  const isLast = after.length === 1;
  const order = compareEntries(entry, { name: after[0] as Buffer, mode: isLast ? '100644' : '040000' });
  if (order > 0) return 'behind';
  return order === 0 && !isLast ? 'within' : 'before';
}

const SLASH = Buffer.from('/');

const joined = (names: readonly Buffer[]) => Buffer.concat(names.flatMap((name, index) => (index === 0 ? [name] : [SLASH, name])));

function namesOf(path: Buffer): Buffer[] {
  const names: Buffer[] = [];
  for (let from = 0; from <= path.length;) {
    const slash = path.indexOf(SLASH, from);
    const to = slash < 0 ? path.length : slash;
    names.push(path.subarray(from, to));
    from = to + 1;
  }
  return names;
}

function leafOf(entry: TreeEntry | undefined): TreeLeaf | undefined {
  return entry === undefined || entry.mode === '040000' ? undefined : { mode: entry.mode, id: entry.id };
}
