import type { GitObjectFormat, ObjectId } from '#schemas/brand.ts';
import { MissingObject, type CommitObjects, type GitObject } from '#shared/gitlab/git-transport.ts';
import { parseTree } from '#shared/objects/git-tree.ts';
import type { ObjectIndexReader } from '#shared/objects/object-index.ts';
import type { PackWriter } from '#shared/objects/pack-writer.ts';

/** A tree larger than this is not one that people work with: 1,000,000 entries are about 40 MB. */
const TREE_BYTES_MAX = 64 * 1_048_576;
/** Blobs asked of git in one list: bounds what the list itself costs. */
const BLOBS_AT_ONCE = 20_000;

/** The root, and a folder that is all there is in it; below it one more on each level. */
const LONE = 2;

export class TooBig extends Error {
  override readonly name = 'TooBig';
}

export interface Walked { readonly trees: number; readonly blobs: number; readonly bytes: number }

export interface WalkOptions {
  readonly root: ObjectId;
  readonly format: GitObjectFormat;
  readonly objects: CommitObjects;
  readonly index: Pick<ObjectIndexReader, 'known'>;
  readonly pack: Pick<PackWriter, 'add'>;
  readonly signal: AbortSignal;
  onProgress(progress: { objectsDone: number; objectsTotal: number | null; bytesDone: number }): void;
}

/**
 * Packs every tree and blob below a root that the index does not know. Level by level: what is known is not descended into,
 * so the cost follows what is new; no base commit is needed, so a force push is no special case.
 * @throws MissingObject | TreeMalformed | TooBig | Unavailable
 */
export async function walk(options: WalkOptions): Promise<Walked> {
  const { root, index, objects, pack, signal } = options;
  const blobs = new Set<ObjectId>();
  const seen = new Set<ObjectId>([root]);
  const counts = { trees: 0, blobs: 0, bytes: 0 };
  let level = await unknown(index, [root]);
  let isNothingKnown = true;

  for (let depth = 0; level.length > 0; depth += 1) {
    const below: ObjectId[] = [];
    for await (const tree of objects.read(level)) {
      signal.throwIfAborted();
      const content = await treeContent(tree);
      await pack.add({ ...tree, content });
      counts.trees += 1;
      counts.bytes += tree.bytes;
      for (const entry of parseTree(content, options.format)) {
        if (entry.mode === '160000' || seen.has(entry.id)) continue; // A submodule's commit lives elsewhere.
        seen.add(entry.id);
        if (entry.mode === '040000') below.push(entry.id);
        else blobs.add(entry.id);
      }
    }
    level = await unknown(index, below);
    isNothingKnown &&= level.length === below.length && (await unknown(index, [...blobs])).length === blobs.size;
    // A first sync: one request for everything beats one a level. A lone folder says nothing yet, however deep: each push makes it another.
    if (isNothingKnown && seen.size > depth + LONE && !objects.isComplete) {
      await objects.bringAll((bytes) => options.onProgress({ objectsDone: 0, objectsTotal: null, bytesDone: bytes }));
    }
  }

  const missing = await unknown(index, [...blobs]);
  for (let from = 0; from < missing.length; from += BLOBS_AT_ONCE) {
    for await (const blob of objects.read(missing.slice(from, from + BLOBS_AT_ONCE))) {
      signal.throwIfAborted();
      if (blob.kind !== 'blob') throw new MissingObject(`${blob.id} is a ${blob.kind} where a tree says blob`);
      await pack.add(blob);
      counts.blobs += 1;
      counts.bytes += blob.bytes;
      options.onProgress({ objectsDone: counts.trees + counts.blobs, objectsTotal: counts.trees + missing.length, bytesDone: counts.bytes });
    }
  }
  return counts;
}

async function unknown(index: Pick<ObjectIndexReader, 'known'>, ids: readonly ObjectId[]): Promise<ObjectId[]> {
  if (ids.length === 0) return [];
  const known = await index.known(ids);
  return ids.filter((id) => !known.has(id));
}

/** Trees are parsed whole, so a tree too big for that is refused before it is read. */
async function treeContent(tree: GitObject): Promise<Buffer> {
  if (tree.kind !== 'tree') throw new MissingObject(`${tree.id} is a ${tree.kind} where its parent says tree`);
  if (tree.bytes > TREE_BYTES_MAX) throw new TooBig(`the folder with tree ${tree.id} has ${tree.bytes} bytes of entries; the bound is ${TREE_BYTES_MAX}`);
  if (Buffer.isBuffer(tree.content)) return tree.content;
  const pieces: Buffer[] = [];
  for await (const piece of tree.content) pieces.push(piece);
  return Buffer.concat(pieces);
}
