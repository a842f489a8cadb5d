import type { ObjectId } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { emptyTree, formatOf } from './git-objects.ts';
import { parseTree, type TreeEntry } from './git-tree.ts';
import type { ObjectReader } from './object-reader.ts';

/** The entries of a stored tree, in git's order. @throws as treeBytes does; TreeMalformed */
export async function readTree(reader: Pick<ObjectReader, 'stream'>, id: ObjectId): Promise<TreeEntry[]> {
  return parseTree(await treeBytes(reader, id), formatOf(id));
}

/**
 * A stored tree as git writes it. Trees over 1 MiB (some 25,000 entries) come as pieces; the empty tree need not be stored.
 * @throws Unavailable when the index lacks it, ObjectDamaged.
 */
export async function treeBytes(reader: Pick<ObjectReader, 'stream'>, id: ObjectId): Promise<Buffer> {
  if (id === emptyTree(formatOf(id))) return Buffer.alloc(0);
  const object = await reader.stream(id);
  if (object === undefined) throw new Unavailable('object index', `tree ${id} of a stored version is not in it; "tekai verify" tells what else is missing`);
  const pieces: Buffer[] = [];
  for await (const piece of object.content) pieces.push(piece);
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
}
