import type { ObjectId } from '#schemas/brand.ts';
import type { TreeEntry } from '#shared/objects/git-tree.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { entryNamed, type Trees } from './tree-cache.ts';

export type Found =
  | { readonly kind: 'tree'; readonly id: ObjectId }
  | { readonly kind: 'entry'; readonly entry: TreeEntry };

/** What stands at a path below a root. @throws Problem 404 naming how far the path goes. */
export async function findPath(trees: Trees, root: ObjectId, segments: readonly Buffer[]): Promise<Found> {
  let tree = root;
  for (const [index, segment] of segments.entries()) {
    const entry = entryNamed(await trees.entries(tree), segment);
    const so = segments.slice(0, index + 1).map((one) => one.toString('utf8')).join('/');
    if (entry === undefined) throw new Problem(404, 'no-such-path', `There is no ${JSON.stringify(so)} in this version. Names are bytes: case, spaces and escapes count.`);
    if (entry.mode !== '040000') {
      if (index === segments.length - 1) return { kind: 'entry', entry };
      throw new Problem(404, 'no-such-path', `${JSON.stringify(so)} is no folder in this version.`);
    }
    tree = entry.id;
  }
  return { kind: 'tree', id: tree };
}

export function typeOf(entry: Pick<TreeEntry, 'mode'>): 'folder' | 'file' | 'executable' | 'symlink' | 'submodule' {
  switch (entry.mode) {
    case '040000': return 'folder';
    case '100644': return 'file';
    case '100755': return 'executable';
    case '120000': return 'symlink';
    case '160000': return 'submodule';
    default: return entry.mode satisfies never;
  }
}
