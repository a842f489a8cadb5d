import type { ObjectId, PackId } from '#schemas/brand.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import { parseCommit } from '#shared/objects/git-commit.ts';
import { emptyTree, formatOf } from '#shared/objects/git-objects.ts';
import { parseTree, TreeMalformed } from '#shared/objects/git-tree.ts';
import type { ObjectIndexReader, ObjectKind } from '#shared/objects/object-index.ts';
import { ObjectDamaged, type ObjectReader, type StoredObject } from '#shared/objects/object-reader.ts';
import { packBlobName } from '#shared/objects/pack-store.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';

export interface VersionToVerify { readonly commit: ObjectId | null; readonly tree: ObjectId }

export interface VerifiedCounts { readonly commits: number; readonly trees: number; readonly blobs: number; readonly bytes: number }

export interface Damage {
  readonly object: ObjectId;
  readonly objectKind: ObjectKind;
  /** Where in the version; of the commit and the root tree empty. */
  readonly path: string;
  /** Null when the index knows no such object. */
  readonly pack: PackId | null;
  readonly detail: string;
}

export type VersionVerdict = VerifiedCounts & ({ readonly kind: 'good' } | { readonly kind: 'damaged'; readonly damage: Damage });

export interface VerifyVersionDeps {
  /** Without a cache of what was read before. */
  readonly reader: Pick<ObjectReader, 'readMany'>;
  readonly index: Pick<ObjectIndexReader, 'places'>;
  readonly blobs: Pick<BlobStore, 'size'>;
  onProgress?(counts: VerifiedCounts): void;
}

/** Read together: places and paths of these many, and a few blocks, are what is held beside the ids. */
const OBJECTS_AT_ONCE = 1_000;

interface Wanted { readonly id: ObjectId; readonly kind: ObjectKind; readonly path: string }

class Found extends Error {
  readonly damage: Damage;
  constructor(damage: Damage) {
    super(damage.detail);
    this.damage = damage;
  }
}

/**
 * Reads every object of a version out of its pack and recomputes its id: the commit, each tree, each blob. Ends at the first that
 * is damaged or missing. What it holds grows with the number of objects (their ids), never with their bytes.
 * @throws Unavailable when index or store are away
 */
export async function verifyVersion(deps: VerifyVersionDeps, { commit, tree }: VersionToVerify, signal: AbortSignal): Promise<VersionVerdict> {
  const counts = { commits: 0, trees: 0, blobs: 0, bytes: 0 };
  const seen = new Set<ObjectId>([tree]);
  /** Deepest first, so that few wait. */
  const trees: Wanted[] = [{ id: tree, kind: 'tree', path: '' }];
  const blobs: Wanted[] = [];
  const count = ({ kind, bytes }: StoredObject) => {
    counts[`${kind}s`] += 1;
    counts.bytes += bytes;
    deps.onProgress?.(counts);
  };
  try {
    if (commit !== null) {
      for await (const [wanted, object, bytes] of readAll(deps, [{ id: commit, kind: 'commit', path: '' }], signal)) {
        count(object);
        const named = parseCommit(bytes()).tree;
        if (named !== tree) throw await damageOf(deps, wanted, `it names tree ${named}, and the version is of tree ${tree}`);
      }
    }
    while (trees.length > 0 || blobs.length > 0) {
      // Blobs that wait are let go before more trees are opened.
      const some = blobs.length >= OBJECTS_AT_ONCE || trees.length === 0 ? blobs.splice(-OBJECTS_AT_ONCE) : trees.splice(-OBJECTS_AT_ONCE);
      for await (const [wanted, object, bytes] of readAll(deps, some, signal)) {
        count(object);
        if (wanted.kind !== 'tree') continue;
        for (const entry of await entriesOf(deps, wanted, bytes())) {
          if (seen.has(entry.id)) continue;
          seen.add(entry.id);
          (entry.kind === 'tree' ? trees : blobs).push(entry);
        }
      }
    }
    return { kind: 'good', ...counts };
  } catch (error) {
    if (error instanceof Found) return { kind: 'damaged', damage: error.damage, ...counts };
    throw error;
  }
}

/** Each with how to get at its bytes. @throws Found for the first that is not there, or not what its id says */
async function* readAll(deps: VerifyVersionDeps, some: readonly Wanted[], signal: AbortSignal): AsyncGenerator<[Wanted, StoredObject, () => Buffer], void, void> {
  const wanted = new Map(some.filter(({ id }) => id !== emptyTree(formatOf(id))).map((one) => [one.id, one]));
  try {
    for await (const object of deps.reader.readMany([...wanted.keys()], signal)) {
      const one = wanted.get(object.id)!;
      const bytes = await taken(object);
      if (object.kind !== one.kind) throw await damageOf(deps, one, `it is a ${object.kind}, where a ${one.kind} is wanted`);
      yield [one, object, bytes];
      wanted.delete(object.id);
    }
  } catch (error) {
    if (error instanceof ObjectDamaged) throw new Found(about(wanted.get(error.place.id)!, error.place.pack, error.message));
    if (error instanceof Unavailable) await findLost(deps, [...wanted.values()], signal);
    throw error;
  }
  const [missing] = wanted.values();
  if (missing !== undefined) throw new Found(about(missing, null, 'the object index does not know it'));
}

/** A store that is there and lacks a pack, or a part of it, is damage, and no outage. @throws Found | Unavailable */
async function findLost(deps: VerifyVersionDeps, left: readonly Wanted[], signal: AbortSignal): Promise<void> {
  const places = await deps.index.places(left.map(({ id }) => id));
  for (const one of left) {
    const place = places.get(one.id);
    if (place === undefined) continue;
    const bytes = await deps.blobs.size(packBlobName(place.pack));
    if (bytes === undefined) throw new Found(about(one, place.pack, 'the pack is not in the blob store: restore it from a copy'));
    if (bytes < place.blockOffset + place.blockBytes) throw new Found(about(one, place.pack, `the pack has only ${bytes} bytes, and the object lies behind them: restore it from a copy`));
    signal.throwIfAborted();
  }
}

/** Bytes are kept only of what is parsed; of a big blob the id is checked piece by piece. */
async function taken({ kind, content }: StoredObject): Promise<() => Buffer> {
  if (Buffer.isBuffer(content)) return () => content;
  const kept: Buffer[] = [];
  for await (const piece of content) if (kind !== 'blob') kept.push(piece);
  return () => Buffer.concat(kept);
}

/** Submodules are of another repository. */
async function entriesOf(deps: VerifyVersionDeps, tree: Wanted, bytes: Buffer): Promise<Wanted[]> {
  try {
    return parseTree(bytes, formatOf(tree.id)).filter(({ mode }) => mode !== '160000')
      .map(({ id, mode, name }) => ({ id, kind: mode === '040000' ? 'tree' : 'blob', path: `${tree.path === '' ? '' : `${tree.path}/`}${name.toString('utf8')}` }));
  } catch (error) {
    throw error instanceof TreeMalformed ? await damageOf(deps, tree, error.message) : error;
  }
}

async function damageOf({ index }: VerifyVersionDeps, wanted: Wanted, detail: string): Promise<Found> {
  return new Found(about(wanted, (await index.places([wanted.id])).get(wanted.id)?.pack ?? null, detail));
}

const about = ({ id, kind, path }: Wanted, pack: PackId | null, detail: string): Damage => ({ object: id, objectKind: kind, path, pack, detail });
