import type { ObjectId } from '#schemas/brand.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import { OBJECT_IN_MEMORY_BYTES_MAX } from '#shared/gitlab/git-transport.ts';
import { BlockCache } from './block-cache.ts';
import { formatOf, gitId, gitIdHash } from './git-objects.ts';
import { InflateFailed, inflateBlock, inflatePieces } from './inflate.ts';
import type { ObjectIndexReader, ObjectKind, ObjectPlace } from './object-index.ts';
import { BLOCK_BYTES_MAX } from './pack-format.ts';
import { readRange, streamRange } from './pack-store.ts';

/**
 * 96 MiB: some 1,500 blocks, all of a codebase of 100,000 files (70 MB plain). It fills only as files are read. With 16 MiB three reads of
 * four there loaded a block: open, stat, read, inflate, close, and as much of the processor as all the rest of an answer.
 */
const BLOCK_CACHE_BYTES_MAX = 96 * 1_048_576;

/** Ids looked up together: their places are what `readMany` holds, some 2 MB. */
const PLACES_MAX = 5_000;

/** Blocks on their way together: at most 4 MiB of plain bytes. */
const BLOCKS_AHEAD_MAX = 4;

export interface StoredObject<Content extends Buffer | AsyncIterable<Buffer> = Buffer | AsyncIterable<Buffer>> {
  readonly id: ObjectId;
  readonly kind: ObjectKind;
  readonly bytes: number;
  readonly content: Content;
}

/**
 * Objects by id, out of the packs. The git id is recomputed from what was read before it is given: nothing wrong is ever given
 * as good. Undefined for an id that the index does not know.
 *
 * Every method @throws ObjectDamaged when what lies in the pack is not that object.
 * Every method @throws Unavailable when index or blob store are away, or the store lacks the pack or a part of it.
 */
export interface ObjectReader {
  /** @throws ObjectTooLarge above OBJECT_IN_MEMORY_BYTES_MAX. */
  read(id: ObjectId, signal?: AbortSignal): Promise<StoredObject<Buffer> | undefined>;

  /**
   * Of any size, piece by piece. The last piece comes only when the whole has that id; else the iteration ends in an error,
   * and what came before it is worth nothing. Nothing is open until the first piece is asked for: what is away is known then.
   */
  stream(id: ObjectId, signal?: AbortSignal): Promise<StoredObject<AsyncIterable<Buffer>> | undefined>;

  /**
   * Many, in the order in which they lie in the packs, each block read once. Ids not known are left out. A buffer up to
   * OBJECT_IN_MEMORY_BYTES_MAX; above, pieces as from `stream`.
   */
  readMany(ids: readonly ObjectId[], signal?: AbortSignal): AsyncIterable<StoredObject>;
}

/** What lies where the index says the object is has another id. */
export class ObjectDamaged extends Error {
  override readonly name = 'ObjectDamaged';
  readonly place: ObjectPlace;

  constructor(place: ObjectPlace, detail: string, cause?: unknown) {
    super(`object ${place.id} is damaged in pack ${place.pack}, block at ${place.blockOffset}: ${detail}; restore that pack from a backup`, { cause });
    this.place = place;
  }
}

/** Ask for it as a stream. */
export class ObjectTooLarge extends Error {
  override readonly name = 'ObjectTooLarge';
}

export interface ObjectReaderDeps {
  readonly index: Pick<ObjectIndexReader, 'places'>;
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly blockCacheBytesMax?: number;
}

export function createObjectReader({ index, blobs, blockCacheBytesMax = BLOCK_CACHE_BYTES_MAX }: ObjectReaderDeps): ObjectReader {
  const source: Source = { blobs, cache: new BlockCache(blockCacheBytesMax) };
  const find = async (id: ObjectId, signal?: AbortSignal) => {
    signal?.throwIfAborted();
    const place = (await index.places([id])).get(id);
    signal?.throwIfAborted();
    return place;
  };

  return {
    async read(id, signal) {
      const place = await find(id, signal);
      if (!place) return undefined;
      if (isLarge(place)) throw new ObjectTooLarge(`object ${id} has ${place.bytes} bytes, more than the ${OBJECT_IN_MEMORY_BYTES_MAX} that are given at once: ask for it as a stream`);
      return { ...about(place), content: await readSmall(source, place) };
    },
    async stream(id, signal) {
      const place = await find(id, signal);
      return place && { ...about(place), content: isLarge(place) ? readLarge(source, place, signal) : asPieces(source, place) };
    },
    async *readMany(ids, signal) {
      for (let at = 0; at < ids.length; at += PLACES_MAX) {
        signal?.throwIfAborted();
        const places = await index.places(ids.slice(at, at + PLACES_MAX));
        yield* readInOrder(source, [...places.values()].sort(byPlace), signal);
      }
    },
  };
}

interface Source {
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly cache: BlockCache;
}

/** Loads a few blocks ahead of the one whose objects are being given. */
async function* readInOrder(source: Source, places: readonly ObjectPlace[], signal: AbortSignal | undefined): AsyncGenerator<StoredObject, void, void> {
  const blocks = byBlock(places);
  const ahead: Promise<Buffer | undefined>[] = [];
  for (const [nth, objects] of blocks.entries()) {
    signal?.throwIfAborted();
    for (const coming of blocks.slice(nth + ahead.length, nth + BLOCKS_AHEAD_MAX)) ahead.push(begin(source, coming[0]!));
    const block = await ahead.shift();
    for (const place of objects) yield { ...about(place), content: block ? checked(source, place, block) : readLarge(source, place, signal) };
  }
}

/** The objects of each block; `places` are sorted. */
function byBlock(places: readonly ObjectPlace[]): ObjectPlace[][] {
  const blocks: ObjectPlace[][] = [];
  for (const place of places) {
    const last = blocks.at(-1);
    if (last && keyOf(last[0]!) === keyOf(place)) last.push(place);
    else blocks.push([place]);
  }
  return blocks;
}

/** Undefined for what is not loaded but streamed. */
function begin(source: Source, place: ObjectPlace): Promise<Buffer | undefined> {
  if (isLarge(place)) return Promise.resolve(undefined);
  const block = loadBlock(source, place);
  // Awaited in its turn; until then a failure must not count as unhandled.
  block.catch(() => undefined);
  return block;
}

async function readSmall(source: Source, place: ObjectPlace): Promise<Buffer> {
  return checked(source, place, await loadBlock(source, place));
}

async function* asPieces(source: Source, place: ObjectPlace): AsyncGenerator<Buffer, void, void> {
  yield await readSmall(source, place);
}

/** The object out of its block, when it is the object. */
function checked({ cache }: Source, place: ObjectPlace, block: Buffer): Buffer {
  const content = block.subarray(place.placeInBlock, place.placeInBlock + place.bytes);
  const id = content.length === place.bytes ? gitId(place.kind, content, formatOf(place.id)) : undefined;
  // A copy, so that who keeps 100 bytes does not keep 64 KiB, and nobody can write into the cache.
  if (id === place.id) return Buffer.from(content);
  // The pack may be put over by a whole one: the next who asks reads it anew.
  cache.forget(keyOf(place));
  throw new ObjectDamaged(place, id === undefined ? 'its block ends before it' : `its bytes are those of ${id}`);
}

async function loadBlock({ blobs, cache }: Source, place: ObjectPlace): Promise<Buffer> {
  // Not told to stop by the one who asked first: others may be waiting for the same block, and it is small.
  const load = async () => inflateBlock(await readRange(blobs, { pack: place.pack, offset: place.blockOffset, length: place.blockBytes }), Math.max(place.bytes, BLOCK_BYTES_MAX));
  try {
    // An object alone in its block would push out many that share theirs.
    return await (place.bytes > BLOCK_BYTES_MAX ? load() : cache.get(keyOf(place), load));
  } catch (error) {
    throw asDamage(place, error);
  }
}

async function* readLarge({ blobs }: Source, place: ObjectPlace, signal: AbortSignal | undefined): AsyncGenerator<Buffer, void, void> {
  signal?.throwIfAborted();
  const hash = gitIdHash(place.kind, place.bytes, formatOf(place.id));
  const compressed = streamRange(blobs, { pack: place.pack, offset: place.blockOffset, length: place.blockBytes, signal });
  let held: Buffer | undefined;
  try {
    for await (const piece of inflatePieces(compressed, place.bytes)) {
      hash.update(piece);
      if (held) yield held;
      held = piece;
    }
  } catch (error) {
    throw asDamage(place, error);
  }
  const id = hash.id();
  if (id !== place.id) throw new ObjectDamaged(place, `its bytes are those of ${id}`);
  if (held) yield held;
}

function asDamage(place: ObjectPlace, error: unknown): unknown {
  return error instanceof InflateFailed ? new ObjectDamaged(place, `its block does not inflate (${error.message})`, error) : error;
}

function about({ id, kind, bytes }: ObjectPlace): Pick<StoredObject, 'id' | 'kind' | 'bytes'> {
  return { id, kind, bytes };
}

function isLarge({ bytes }: ObjectPlace): boolean {
  return bytes > OBJECT_IN_MEMORY_BYTES_MAX;
}

function keyOf({ pack, blockOffset }: ObjectPlace): string {
  return `${pack}:${blockOffset}`;
}

function byPlace(left: ObjectPlace, right: ObjectPlace): number {
  if (left.pack !== right.pack) return left.pack < right.pack ? -1 : 1;
  return left.blockOffset - right.blockOffset || left.placeInBlock - right.placeInBlock;
}
