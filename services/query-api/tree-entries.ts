import type { ObjectId } from '#schemas/brand.ts';
import { emptyTree, formatOf } from '#shared/objects/git-objects.ts';
import { parseTree, type TreeEntry } from '#shared/objects/git-tree.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';

/** Trees over 1 MiB (some 25,000 entries) come as pieces. */
export async function readTree(reader: ObjectReader, id: ObjectId): Promise<TreeEntry[]> {
  if (id === emptyTree(formatOf(id))) return [];
  const object = await reader.stream(id);
  if (object === undefined) throw new Unavailable('object index', `tree ${id} of a stored version is not in it; "tekai verify" tells what else is missing`);
  const pieces: Buffer[] = [];
  for await (const piece of object.content) pieces.push(piece);
  return parseTree(Buffer.concat(pieces), formatOf(id));
}

export type Found =
  | { readonly kind: 'tree'; readonly id: ObjectId }
  | { readonly kind: 'entry'; readonly entry: TreeEntry };

/** What stands at a path below a root. @throws Problem 404 naming how far the path goes. */
export async function findPath(reader: ObjectReader, root: ObjectId, segments: readonly Buffer[]): Promise<Found> {
  let tree = root;
  for (const [index, segment] of segments.entries()) {
    const entry = (await readTree(reader, tree)).find((one) => one.name.equals(segment));
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

export function typeOf(entry: TreeEntry): 'folder' | 'file' | 'executable' | 'symlink' | 'submodule' {
  switch (entry.mode) {
    case '040000': return 'folder';
    case '100644': return 'file';
    case '100755': return 'executable';
    case '120000': return 'symlink';
    case '160000': return 'submodule';
    default: return entry.mode satisfies never;
  }
}
