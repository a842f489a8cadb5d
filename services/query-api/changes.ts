import { diffTrees, type DiffOptions, type TreeChange } from '#shared/objects/diff-trees.ts';
import type { TreeEntryMode } from '#shared/objects/git-tree.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import { Problem } from '#shared/runtime/problem.ts';

/** Renames are looked for when at most so many places changed: all of them are held at once, some 3 MB, and walked again for every page. */
export const RENAMES_CHANGES_MAX = 10_000;

/** A change of trees, or two of them that are one rename: `renamedFrom` stood in `from` only, the path itself in `to` only. */
export interface Change extends TreeChange { readonly renamedFrom?: Buffer }

export type ChangeStatus = 'added' | 'removed' | 'modified' | 'modeChanged' | 'renamed';
export type ChangeCounts = Record<ChangeStatus, number>;

export interface ChangesAsked extends Pick<DiffOptions, 'from' | 'to' | 'after' | 'signal'> {
  readonly limit: number;
  readonly isLookingForRenames: boolean;
}

export interface ChangesPage {
  readonly changes: readonly Change[];
  /** The path behind which it goes on; undefined when nothing is behind it. */
  readonly next: Buffer | undefined;
  /** False also when there were too many changes to look. */
  readonly areRenamesFound: boolean;
  /** Of all changes, whatever the page; undefined when only the page is known. */
  readonly counts: ChangeCounts | undefined;
}

/**
 * What differs between two trees, at most `limit` of it behind the path `after`, in git's order. With renames everything is looked at
 * first, so that no page tears a pair apart; a rename stands at its new path. Above RENAMES_CHANGES_MAX changes none is looked for.
 */
export async function changesPage(reader: Pick<ObjectReader, 'stream'>, { limit, isLookingForRenames, after, ...trees }: ChangesAsked): Promise<ChangesPage> {
  if (isLookingForRenames) {
    const { taken, isAll } = await take(diffTrees(reader, trees), RENAMES_CHANGES_MAX);
    if (isAll) return pageOfAll(withRenames(taken), { limit, after });
  }
  const { taken, isAll } = await take(diffTrees(reader, { ...trees, after }), limit);
  return { changes: taken, next: isAll ? undefined : taken.at(-1)?.path, areRenamesFound: false, counts: isAll && after === undefined ? countsOf(taken) : undefined };
}

/** How much differs, without telling what. Walks every subtree that differs, holding RENAMES_CHANGES_MAX changes at most. */
export async function changesCounted(reader: Pick<ObjectReader, 'stream'>, { isLookingForRenames, ...trees }: Omit<ChangesAsked, 'limit' | 'after'>): Promise<Pick<ChangesPage, 'areRenamesFound'> & { counts: ChangeCounts }> {
  if (isLookingForRenames) {
    const { taken, isAll } = await take(diffTrees(reader, trees), RENAMES_CHANGES_MAX);
    if (isAll) return { counts: countsOf(withRenames(taken)), areRenamesFound: true };
  }
  const counts = noChanges();
  for await (const change of diffTrees(reader, trees)) counts[statusOf(change)] += 1;
  return { counts, areRenamesFound: false };
}

/**
 * Files and links of one blob id, removed here and added there, become one change each, the first removed with the first added and so
 * on. Only by identical content: what was renamed and edited at once is a removal and an addition. Submodules are never paired.
 */
export function withRenames(changes: readonly TreeChange[]): Change[] {
  const removed = new Map<string, TreeChange[]>();
  for (const change of changes) {
    const key = change.to === undefined ? contentOf(change.from) : undefined;
    if (key === undefined) continue;
    const same = removed.get(key);
    if (same === undefined) removed.set(key, [change]);
    else same.push(change);
  }
  const pairs = new Map<TreeChange, TreeChange>();
  for (const change of changes) {
    const source = change.from === undefined ? removed.get(contentOf(change.to) ?? '')?.shift() : undefined;
    if (source !== undefined) pairs.set(change, source);
  }
  const sources = new Set(pairs.values());
  return changes.filter((change) => !sources.has(change)).map((change) => {
    const source = pairs.get(change);
    return source === undefined ? change : { path: change.path, from: source.from, to: change.to, renamedFrom: source.path };
  });
}

export function statusOf({ from, to, renamedFrom }: Change): ChangeStatus {
  if (renamedFrom !== undefined) return 'renamed';
  if (from === undefined) return 'added';
  if (to === undefined) return 'removed';
  return from.id === to.id ? 'modeChanged' : 'modified';
}

function countsOf(changes: readonly Change[]): ChangeCounts {
  const counts = noChanges();
  for (const change of changes) counts[statusOf(change)] += 1;
  return counts;
}

const noChanges = (): ChangeCounts => ({ added: 0, removed: 0, modified: 0, modeChanged: 0, renamed: 0 });

/** A link and a file of the same bytes are not the same thing. */
function contentOf(leaf: { readonly mode: TreeEntryMode; readonly id: string } | undefined): string | undefined {
  return leaf === undefined || leaf.mode === '160000' ? undefined : `${leaf.mode === '120000' ? 'link' : 'file'} ${leaf.id}`;
}

function pageOfAll(all: readonly Change[], { limit, after }: { limit: number; after: Buffer | undefined }): ChangesPage {
  const begin = after === undefined ? 0 : all.findIndex((change) => change.path.equals(after)) + 1;
  if (after !== undefined && begin === 0) throw new Problem(400, 'cursor-malformed', 'after= names no change between these two. Follow `next` as it was given, or begin without after=.');
  const changes = all.slice(begin, begin + limit);
  return { changes, next: begin + changes.length < all.length ? changes.at(-1)?.path : undefined, areRenamesFound: true, counts: countsOf(all) };
}

async function take<T>(items: AsyncIterable<T>, max: number): Promise<{ taken: T[]; isAll: boolean }> {
  const taken: T[] = [];
  for await (const item of items) {
    if (taken.length === max) return { taken, isAll: false };
    taken.push(item);
  }
  return { taken, isAll: true };
}
