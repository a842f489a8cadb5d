import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import type { PackId } from '#schemas/brand.ts';
import type { BlobName, BlobStore, ByteRange } from '#shared/blobs/blob-store.ts';
import { OBJECT_IN_MEMORY_BYTES_MAX } from '#shared/gitlab/git-transport.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { InflateFailed, inflateBlock, inflatePieces } from './inflate.ts';
import type { ObjectPlace } from './object-index.ts';
import { PACK_HEADER, PackDamaged, TRAILER_BYTES, decodeFooter, readTrailer, type PackBlock } from './pack-format.ts';
import type { FinishedPack } from './pack-writer.ts';
import { PieceReader } from './piece-reader.ts';

/** Blocks being inflated ahead of whoever reads: one for each thread of the libuv pool, at most 4 MiB of plain bytes. */
const BLOCKS_AHEAD_MAX = 4;

export interface PackedObject {
  readonly place: ObjectPlace;
  /**
   * A buffer up to OBJECT_IN_MEMORY_BYTES_MAX, a part of its block: copy what you keep, it holds up to 64 KiB in memory.
   * Above, pieces, to be taken before the next object is asked for.
   */
  readonly content: Buffer | AsyncIterable<Buffer>;
}

export function packBlobName(pack: PackId): BlobName {
  return `packs/${pack}`;
}

/** Durable once resolved. Always writes, also over a pack of that name, which may be damaged. @throws Unavailable */
export async function putPack(blobs: Pick<BlobStore, 'put'>, finished: FinishedPack, signal?: AbortSignal): Promise<void> {
  await blobs.put(packBlobName(finished.pack), createReadStream(finished.path), { bytes: finished.bytes, ...signal && { signal } });
}

export interface PackRange extends ByteRange {
  readonly pack: PackId;
  readonly signal?: AbortSignal | undefined;
}

export interface PackFooter {
  readonly pack: PackId;
  /** Of the whole pack. */
  readonly bytes: number;
  readonly blocks: readonly PackBlock[];
}

/**
 * What a pack says is in it: its end alone is read, and that it hashes to what the trailer says is all that is checked.
 * @throws PackDamaged | Unavailable, also when the store has no such pack.
 */
export async function readFooter(blobs: Pick<BlobStore, 'get' | 'size'>, pack: PackId, signal?: AbortSignal): Promise<PackFooter> {
  const bytes = await blobs.size(packBlobName(pack));
  if (bytes === undefined) throw absent(pack);
  if (bytes < PACK_HEADER.length + TRAILER_BYTES) throw new PackDamaged(pack, `it has only ${bytes} bytes`);
  const trailer = await readRange(blobs, { pack, offset: bytes - TRAILER_BYTES, length: TRAILER_BYTES, signal });
  const { footerOffset, footerBytes } = readTrailer(pack, bytes, trailer);
  const footer = await readRange(blobs, { pack, offset: footerOffset, length: footerBytes, signal });
  return { pack, bytes, blocks: decodeFooter(pack, footer, { trailer, footerOffset }) };
}

/**
 * Every object of a pack in its order, in one pass over all its bytes. Only when the iteration has ended without an error
 * does the pack hash to its name: believe nothing before. Ids are not recomputed here.
 * @throws PackDamaged when the pack is not what its name or its footer says.
 * @throws Unavailable when the store is away, has no such pack, or gives fewer bytes than it said.
 */
export async function* readPack(blobs: Pick<BlobStore, 'get' | 'size'>, pack: PackId, signal?: AbortSignal): AsyncGenerator<PackedObject, void, void> {
  const { bytes, blocks } = await readFooter(blobs, pack, signal);
  const readable = await blobs.get(packBlobName(pack), signal && { signal });
  if (!readable) throw absent(pack);
  try {
    const hash = createHash('sha256');
    const reader = new PieceReader(readable, (piece) => hash.update(piece));
    const source = { pack, reader };
    if (!(await takeAll(source, PACK_HEADER.length)).equals(PACK_HEADER)) throw new PackDamaged(pack, 'it does not begin like a pack');
    yield* objectsOf(source, blocks);
    await checkEnding(source, { hash, bytes, blocks });
  } finally {
    readable.destroy();
  }
}

type Source = { readonly pack: PackId; readonly reader: PieceReader };

async function* objectsOf(source: Source, blocks: readonly PackBlock[]): AsyncGenerator<PackedObject, void, void> {
  const ahead: { block: PackBlock; plain: Promise<Buffer> }[] = [];
  for (let next = 0; next < blocks.length || ahead.length > 0;) {
    const block = blocks[next];
    if (block && block.plainBytes <= OBJECT_IN_MEMORY_BYTES_MAX && ahead.length < BLOCKS_AHEAD_MAX) {
      ahead.push({ block, plain: inflateNext(source, block, await takeAll(source, block.bytes)) });
      next += 1;
    } else if (ahead.length > 0) {
      const oldest = ahead.shift()!;
      yield* cut(oldest.block, await oldest.plain);
    } else {
      yield* streamed(source, block!);
      next += 1;
    }
  }
}

function inflateNext({ pack }: Source, block: PackBlock, compressed: Buffer): Promise<Buffer> {
  const inflating = inflateBlock(compressed, block.plainBytes).then((plain) => {
    if (plain.length < block.plainBytes) throw new InflateFailed(`it inflates to ${plain.length} bytes`);
    return plain;
  }).catch((error: unknown) => { throw damagedBlock(pack, block, error); });
  // Awaited in its turn; until then a failure must not count as unhandled.
  inflating.catch(() => undefined);
  return inflating;
}

function* cut(block: PackBlock, plain: Buffer): Generator<PackedObject, void, void> {
  for (const place of block.objects) {
    yield { place, content: plain.subarray(place.placeInBlock, place.placeInBlock + place.bytes) };
  }
}

async function* streamed({ pack, reader }: Source, block: PackBlock): AsyncGenerator<PackedObject, void, void> {
  let passed = 0;
  const compressed = async function* () {
    for await (const piece of reader.pass(block.bytes)) {
      passed += piece.length;
      yield piece;
    }
    if (passed < block.bytes) throw fewerBytes(pack);
  };
  const content = (async function* () {
    try {
      yield* inflatePieces(compressed(), block.plainBytes);
    } catch (error) {
      throw error instanceof InflateFailed ? damagedBlock(pack, block, error) : error;
    }
  })();
  try {
    yield { place: block.objects[0]!, content };
  } finally {
    await content.return();
  }
  // What the consumer did not take still belongs to the pack and its hash.
  for await (const _ of reader.pass(block.bytes - passed));
}

async function checkEnding({ pack, reader }: Source, { hash, bytes, blocks }: { hash: Hash; bytes: number; blocks: readonly PackBlock[] }): Promise<void> {
  const last = blocks.at(-1);
  const missing = bytes - (last ? last.offset + last.bytes : PACK_HEADER.length);
  let seen = 0;
  for await (const piece of reader.pass(missing)) seen += piece.length;
  if (seen < missing) throw fewerBytes(pack);
  if (!(await reader.isAtEnd())) throw new PackDamaged(pack, `the store gave more than its ${bytes} bytes`);
  const sha256 = hash.digest('hex');
  if (sha256 !== pack) throw new PackDamaged(pack, `its bytes hash to ${sha256}`);
}

async function takeAll({ pack, reader }: Source, bytes: number): Promise<Buffer> {
  const taken = await reader.take(bytes);
  if (taken.length < bytes) throw fewerBytes(pack);
  return taken;
}

/** Part of a pack, piece by piece. Nothing is open before the first is asked for. @throws Unavailable, also when the store has no such pack or less of it. */
export async function* streamRange(blobs: Pick<BlobStore, 'get'>, { pack, offset, length, signal }: PackRange): AsyncGenerator<Buffer, void, void> {
  const readable: Readable | undefined = await blobs.get(packBlobName(pack), { range: { offset, length }, ...signal && { signal } });
  if (!readable) throw absent(pack);
  let seen = 0;
  for await (const piece of readable as AsyncIterable<Buffer>) {
    seen += piece.length;
    yield piece;
  }
  if (seen !== length) throw fewerBytes(pack);
}

/** The same, all of it. */
export async function readRange(blobs: Pick<BlobStore, 'get'>, range: PackRange): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of streamRange(blobs, range)) pieces.push(piece);
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
}

function damagedBlock(pack: PackId, block: PackBlock, cause: unknown): PackDamaged {
  return new PackDamaged(pack, `its block at ${block.offset} does not inflate to ${block.plainBytes} bytes (${cause instanceof Error ? cause.message : String(cause)})`, cause);
}

function absent(pack: PackId): Unavailable {
  return new Unavailable('blob store', `${packBlobName(pack)} is not there: check that this is the right store and that its volume is mounted, or restore it from a copy`);
}

function fewerBytes(pack: PackId): Unavailable {
  return new Unavailable('blob store', `${packBlobName(pack)} gave fewer bytes than the store says it has: it is asked again later; check the store when this stays`);
}
