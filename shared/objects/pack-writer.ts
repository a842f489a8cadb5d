import { createHash, randomUUID } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createDeflateRaw, deflateRaw, type ZlibOptions } from 'node:zlib';
import type { ObjectId, PackId } from '#schemas/brand.ts';
import { asFileTrouble } from '#shared/blobs/file-trouble.ts';
import { OBJECT_IN_MEMORY_BYTES_MAX } from '#shared/gitlab/git-transport.ts';
import { makeFolder } from '#shared/runtime/make-folder.ts';
import type { ObjectKind } from './object-index.ts';
import { BLOCK_BYTES_MAX, PACK_HEADER, PACK_OBJECTS_MAX, TRAILER_BYTES, encodeBlock, encodeTrailer } from './pack-format.ts';

/** 256 MiB: a pack is rewritten whole when garbage or an erased object is in it. */
export const PACK_BYTES_MAX = 256 * 1_048_576;

/** Blocks being compressed at once: the libuv pool has four threads. With what waits to be written, at most 4 MiB of plain bytes. */
const BLOCKS_IN_FLIGHT_MAX = 4;

/** Level 1: level 6 made packs of source text 15 % smaller and took 2.6 times as long (40 MB: 0.27 s, 0.71 s). */
const DEFLATE: ZlibOptions = { level: 1 };
const STREAM_PIECE_BYTES = 65_536;

const compress = promisify<Buffer, ZlibOptions, Buffer>(deflateRaw);

export interface PackObject {
  readonly id: ObjectId;
  readonly kind: ObjectKind;
  readonly bytes: number;
  /** Must not be changed after it was given. Pieces are taken before `add` resolves. */
  readonly content: Buffer | AsyncIterable<Buffer>;
}

export interface FinishedPack {
  readonly pack: PackId;
  readonly bytes: number;
  /** How many. */
  readonly objects: number;
  /** Where the file is until `abandon`. */
  readonly path: string;
}

/** Writes objects into packs in a folder for temporary files, in the order given. */
export interface PackWriter {
  /**
   * One at a time. Neither looks whether the content has that id, nor whether it was given before: the storage-writer does.
   * After an error nothing can be done but `abandon`. @throws Unavailable when the disk is full or away.
   */
  add(object: PackObject): Promise<void>;
  /** No packs when nothing was added. */
  finish(): Promise<readonly FinishedPack[]>;
  /** Removes every file of this writer, finished or not. Call it always, after the packs were put. */
  abandon(): Promise<void>;
}

export function createPackWriter(options: { readonly directory: string; readonly packBytesMax?: number }): PackWriter {
  return new BlockingPackWriter(options.directory, options.packBytesMax ?? PACK_BYTES_MAX);
}

type Entry = Pick<PackObject, 'id' | 'kind' | 'bytes'>;

class BlockingPackWriter implements PackWriter {
  readonly #directory: string;
  readonly #packBytesMax: number;
  readonly #finished: FinishedPack[] = [];
  readonly #paths: string[] = [];
  #state: 'ready' | 'busy' | 'failed' | 'finished' = 'ready';
  #pack: OpenPack | undefined;
  /** The shared block being filled, and what is in it. */
  #block = Buffer.allocUnsafe(BLOCK_BYTES_MAX);
  #blockBytes = 0;
  #blockEntries: Entry[] = [];
  /** Compressed or about to be, oldest first; written in this order. */
  readonly #inFlight: { compressed: Promise<Buffer>; entries: readonly Entry[] }[] = [];

  constructor(directory: string, packBytesMax: number) {
    this.#directory = directory;
    this.#packBytesMax = packBytesMax;
  }

  add(object: PackObject): Promise<void> {
    return this.#alone(async () => {
      if (!Number.isSafeInteger(object.bytes) || object.bytes < 0) throw new RangeError(`object ${object.id} cannot have ${object.bytes} bytes`);
      if (object.bytes > OBJECT_IN_MEMORY_BYTES_MAX) return this.#addStreamed(object);
      const content = Buffer.isBuffer(object.content) ? checked(object, object.content) : await collected(object);
      if (object.bytes > BLOCK_BYTES_MAX) {
        await this.#seal();
        return this.#compressBlock(content, [entryOf(object)]);
      }
      if (this.#blockBytes + content.length > BLOCK_BYTES_MAX) await this.#seal();
      content.copy(this.#block, this.#blockBytes);
      this.#blockBytes += content.length;
      this.#blockEntries.push(entryOf(object));
    });
  }

  finish(): Promise<readonly FinishedPack[]> {
    return this.#alone(async () => {
      await this.#drain();
      await this.#closePack();
      return this.#finished;
    }, 'finished');
  }

  async abandon(): Promise<void> {
    this.#state = 'failed';
    await Promise.allSettled(this.#inFlight.splice(0).map(({ compressed }) => compressed));
    await this.#pack?.discard();
    this.#pack = undefined;
    await Promise.all(this.#paths.splice(0).map((path) => rm(path, { force: true })));
  }

  async #alone<T>(act: () => Promise<T>, afterwards: 'ready' | 'finished' = 'ready'): Promise<T> {
    if (this.#state !== 'ready') throw new Error(`this pack writer is ${this.#state}: add objects one at a time, and none after an error or the end`);
    this.#state = 'busy';
    try {
      const result = await act();
      if (this.#state === 'busy') this.#state = afterwards;
      return result;
    } catch (error) {
      this.#state = 'failed';
      throw error;
    }
  }

  /** Sends the shared block on its way and begins another. */
  async #seal(): Promise<void> {
    if (this.#blockEntries.length === 0) return;
    const [plain, entries] = [this.#block.subarray(0, this.#blockBytes), this.#blockEntries];
    this.#block = Buffer.allocUnsafe(BLOCK_BYTES_MAX);
    this.#blockBytes = 0;
    this.#blockEntries = [];
    await this.#compressBlock(plain, entries);
  }

  async #compressBlock(plain: Buffer, entries: readonly Entry[]): Promise<void> {
    while (this.#inFlight.length >= BLOCKS_IN_FLIGHT_MAX) await this.#writeOldest();
    const compressed = compress(plain, DEFLATE);
    // Awaited in its turn; until then a failure must not count as unhandled.
    compressed.catch(() => undefined);
    this.#inFlight.push({ compressed, entries });
  }

  async #writeOldest(): Promise<void> {
    const { compressed, entries } = this.#inFlight[0]!;
    const bytes = await compressed;
    this.#inFlight.shift();
    const pack = await this.#packWithRoom(bytes.length, entries.length);
    await pack.append(bytes);
    pack.endBlock(bytes.length, entries);
  }

  async #drain(): Promise<void> {
    await this.#seal();
    while (this.#inFlight.length > 0) await this.#writeOldest();
  }

  /** Memory does not grow with the object: pieces go from the source through deflate to the file. */
  async #addStreamed(object: PackObject): Promise<void> {
    await this.#drain();
    const pack = await this.#packWithRoom(object.bytes, 1);
    let blockBytes = 0;
    await pipeline(counted(object), createDeflateRaw({ ...DEFLATE, chunkSize: STREAM_PIECE_BYTES }), async (pieces: AsyncIterable<Buffer>) => {
      for await (const piece of pieces) {
        await pack.append(piece);
        blockBytes += piece.length;
      }
    });
    pack.endBlock(blockBytes, [entryOf(object)]);
  }

  /** The pack being written, or a new one when it is full. One object larger than a pack may be gets a pack to itself. */
  async #packWithRoom(bytes: number, objects: number): Promise<OpenPack> {
    const pack = this.#pack;
    if (pack && (pack.bytes + bytes > this.#packBytesMax || pack.objects + objects > PACK_OBJECTS_MAX)) await this.#closePack();
    if (!this.#pack) {
      const path = join(this.#directory, `${randomUUID()}.pack`);
      this.#paths.push(path);
      this.#pack = await OpenPack.begin(this.#directory, path);
    }
    return this.#pack;
  }

  async #closePack(): Promise<void> {
    if (!this.#pack) return;
    this.#finished.push(await this.#pack.end());
    this.#pack = undefined;
  }
}

/** One pack file while it grows. */
class OpenPack {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #hash = createHash('sha256');
  readonly #footer: Buffer[] = [];
  #footerBytes = 0;
  #written = 0;
  objects = 0;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  static async begin(directory: string, path: string): Promise<OpenPack> {
    const file = await onDisk(directory, async () => {
      await makeFolder(directory);
      return open(path, 'wx', 0o640);
    });
    const pack = new OpenPack(path, file);
    try {
      await pack.append(PACK_HEADER);
      return pack;
    } catch (error) {
      await pack.discard();
      throw error;
    }
  }

  /** As large as it would be if it ended now. */
  get bytes(): number {
    return this.#written + this.#footerBytes + TRAILER_BYTES;
  }

  async append(piece: Buffer): Promise<void> {
    this.#hash.update(piece);
    await onDisk(this.#path, async () => {
      for (let at = 0; at < piece.length;) at += (await this.#file.write(piece, at, piece.length - at)).bytesWritten;
    });
    this.#written += piece.length;
  }

  endBlock(blockBytes: number, entries: readonly Entry[]): void {
    const encoded = encodeBlock(blockBytes, entries);
    this.#footer.push(encoded);
    this.#footerBytes += encoded.length;
    this.objects += entries.length;
  }

  /** Not fsynced: whoever puts it does that to the copy that counts. */
  async end(): Promise<FinishedPack> {
    const footer = Buffer.concat(this.#footer);
    await this.append(footer);
    await this.append(encodeTrailer(footer));
    await onDisk(this.#path, () => this.#file.close());
    return { pack: this.#hash.digest('hex') as PackId, bytes: this.#written, objects: this.objects, path: this.#path };
  }

  async discard(): Promise<void> {
    await this.#file.close();
  }
}

function entryOf({ id, kind, bytes }: PackObject): Entry {
  return { id, kind, bytes };
}

/** The id cannot be right when the length is not. */
function checked({ id, bytes }: PackObject, content: Buffer): Buffer {
  if (content.length !== bytes) throw wrongLength({ id, bytes }, content.length);
  return content;
}

async function collected(object: PackObject): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of counted(object)) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function* counted({ id, bytes, content }: PackObject): AsyncGenerator<Buffer, void, void> {
  let seen = 0;
  for await (const piece of Buffer.isBuffer(content) ? [content] : content) {
    seen += piece.length;
    if (seen > bytes) throw wrongLength({ id, bytes }, seen);
    yield piece;
  }
  if (seen < bytes) throw wrongLength({ id, bytes }, seen);
}

function wrongLength({ id, bytes }: Pick<Entry, 'id' | 'bytes'>, seen: number): Error {
  return new Error(`object ${id} was announced with ${bytes} bytes and has ${seen > bytes ? `at least ${seen}` : seen}: whoever read it cut it wrongly`);
}

async function onDisk<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw asFileTrouble('folder for packs being written', path, error);
  }
}
