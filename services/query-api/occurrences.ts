import type { ObjectId, RefName } from '#schemas/brand.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import { readTree } from '#shared/objects/read-tree.ts';
import type { VersionView } from '#shared/read-store/read-store.ts';

/** Different trees read for one answer: at a first sync's 10,000 a second, some seconds; a memo of 5 MB. */
export const TREES_MAX = 50_000;
/** Places of the bytes in one version: a repository may hold 100,000 empty files. */
export const PLACES_MAX = 10_000;

export interface Occurrence {
  readonly path: Buffer;
  readonly from: VersionView;
  /** The first version that had it there no longer. */
  readonly to: VersionView | undefined;
}

export type Bound = 'trees' | 'places';
export class BoundReached extends Error {
  override readonly name = 'BoundReached';
  readonly bound: Bound;

  constructor(bound: Bound) {
    super(`more ${bound} than one answer may read`);
    this.bound = bound;
  }
}

/** Where a blob stands below a tree. */
export interface BlobPlaces {
  /** Paths from the tree on, in git's order. @throws BoundReached, and as readTree does. */
  in(tree: ObjectId): Promise<readonly Buffer[]>;
  /** So far. */
  treesRead(): number;
}

/**
 * Every tree is looked into once, whatever versions, refs and codebases it is part of: versions that follow each other cost by what
 * differs, and nothing of what is known to be without the blob is read again.
 */
export function createBlobPlaces(reader: Pick<ObjectReader, 'stream'>, { blob, treesMax = TREES_MAX, placesMax = PLACES_MAX, signal }: { blob: ObjectId; treesMax?: number; placesMax?: number; signal?: AbortSignal | undefined }): BlobPlaces {
  const known = new Map<ObjectId, readonly Buffer[]>();

  async function look(tree: ObjectId): Promise<readonly Buffer[]> {
    const before = known.get(tree);
    if (before !== undefined) return before;
    signal?.throwIfAborted();
    if (known.size >= treesMax) throw new BoundReached('trees');
    // The memo counts what is begun, so that the bound holds below too.
    known.set(tree, NONE);
    try {
      const places = await below(tree);
      known.set(tree, places);
      return places;
    } catch (error) {
      known.delete(tree);
      throw error;
    }
  }

  async function below(tree: ObjectId): Promise<readonly Buffer[]> {
    const places: Buffer[] = [];
    for (const { mode, name, id } of await readTree(reader, tree)) {
      if (mode === '040000') for (const path of await look(id)) places.push(Buffer.concat([name, SLASH, path]));
      else if (id === blob && mode !== '160000') places.push(name);
      if (places.length > placesMax) throw new BoundReached('places');
    }
    return places.length === 0 ? NONE : places;
  }

  return { in: look, treesRead: () => known.size };
}

const SLASH = Buffer.from('/');
const NONE: readonly Buffer[] = [];

export interface RefHistory { readonly ref: RefName; readonly versions: readonly VersionView[] }

export interface RefOccurrences {
  readonly occurrences: readonly Occurrence[];
  /** The version that could not be looked into any more, and why. */
  readonly stopped: { readonly at: VersionView; readonly bound: Bound } | undefined;
}

/** From version to version of one ref, oldest first: where the blob appeared, and where it went. */
export async function occurrencesOf(places: BlobPlaces, { versions }: RefHistory): Promise<RefOccurrences> {
  const ended: Occurrence[] = [];
  let open = new Map<string, { path: Buffer; from: VersionView }>();
  let stopped: RefOccurrences['stopped'];
  for (const version of versions) {
    const now = version.tree === null ? NONE : await unlessBound(places.in(version.tree));
    if (now instanceof BoundReached) {
      stopped = { at: version, bound: now.bound };
      break;
    }
    const standing = new Map<string, { path: Buffer; from: VersionView }>();
    for (const path of now) {
      const key = path.toString('latin1');
      standing.set(key, open.get(key) ?? { path, from: version });
    }
    for (const [key, one] of open) if (!standing.has(key)) ended.push({ ...one, to: version });
    open = standing;
  }
  return { occurrences: [...ended, ...[...open.values()].map((one) => ({ ...one, to: undefined }))], stopped };
}

async function unlessBound<T>(looking: Promise<T>): Promise<T | BoundReached> {
  try {
    return await looking;
  } catch (error) {
    if (error instanceof BoundReached) return error;
    throw error;
  }
}
