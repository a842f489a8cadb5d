import { createHash } from 'node:crypto';
import type { ObjectId, PackId } from '#schemas/brand.ts';
import type { ObjectKind, ObjectPlace } from './object-index.ts';

/*
 * A pack, from its first byte to its last:
 *
 *   header    8    "TEKPACK" and the version, 1
 *   blocks    n    deflate streams without a header (RFC 1951), one behind the other, nothing between
 *   footer    f    for each block: its length, how many objects are in it, and for each: tag, id, plain bytes
 *   trailer   32   SHA-256 of the footer
 *             4    length of the footer, big-endian
 *             8    "KCAPKET" and the version
 *
 * Numbers in the footer are LEB128. Offsets are not written: blocks and the objects in them lie without gaps, so a footer
 * cannot claim what overlaps. Objects share a block up to BLOCK_BYTES_MAX of plain bytes; a larger one has a block alone.
 */

const VERSION = 1;
export const PACK_HEADER = Buffer.from([...Buffer.from('TEKPACK'), VERSION]);
const PACK_ENDING = Buffer.from([...Buffer.from('KCAPKET'), VERSION]);
export const TRAILER_BYTES = 32 + 4 + PACK_ENDING.length;

/** 64 KiB plain. A deflate for every object of 1 KB took eight times as long, and packs were 0.42 of raw, not 0.26; to read one blob one block is inflated, 0.13 ms. */
export const BLOCK_BYTES_MAX = 65_536;

/** What one pack may list: 250,000 footer entries are 37 MB in the memory of whoever reads them. A fuller pack is closed and another begun. */
export const PACK_OBJECTS_MAX = 250_000;

/** 250,000 entries of at most 41 bytes, and their blocks. A trailer that asks for more lies. */
const FOOTER_BYTES_MAX = 16 * 1_048_576;

const KINDS: readonly ObjectKind[] = ['commit', 'tree', 'blob'];
const TAG_SHA256 = 4;

export interface PackBlock {
  readonly offset: number;
  readonly bytes: number;
  readonly plainBytes: number;
  readonly objects: readonly ObjectPlace[];
}

/** A pack that is not what its name or footer says: it was damaged, or never ours. Reading again does not help; writing it anew does. */
export class PackDamaged extends Error {
  override readonly name = 'PackDamaged';
  readonly pack: PackId;
  readonly detail: string;

  constructor(pack: PackId, detail: string, cause?: unknown) {
    super(`pack ${pack} is damaged: ${detail}; sync a codebase that uses it again to write it anew, or restore it from a copy`, { cause });
    this.pack = pack;
    this.detail = detail;
  }
}

/** What deflate makes of incompressible bytes, with room: Node's zlib was seen to add 1.2 in 1,000. */
export function deflatedBytesMax(plainBytes: number): number {
  return plainBytes + Math.ceil(plainBytes / 128) + 64;
}

/** One block's part of the footer. */
export function encodeBlock(blockBytes: number, objects: readonly Pick<ObjectPlace, 'id' | 'kind' | 'bytes'>[]): Buffer {
  const encoded = Buffer.allocUnsafe(20 + objects.length * 43);
  let at = writeNumber(encoded, blockBytes, 0);
  at = writeNumber(encoded, objects.length, at);
  for (const { id, kind, bytes } of objects) {
    encoded[at++] = KINDS.indexOf(kind) | (id.length === 64 ? TAG_SHA256 : 0);
    at += encoded.write(id, at, 'hex');
    at = writeNumber(encoded, bytes, at);
  }
  return encoded.subarray(0, at);
}

export function encodeTrailer(footer: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(footer.length);
  return Buffer.concat([createHash('sha256').update(footer).digest(), length, PACK_ENDING]);
}

/** Where the footer lies in a pack of `packBytes`. @throws PackDamaged */
export function readTrailer(pack: PackId, packBytes: number, trailer: Buffer): { footerOffset: number; footerBytes: number } {
  if (!trailer.subarray(36).equals(PACK_ENDING)) throw new PackDamaged(pack, `its last bytes are not those of a pack of version ${VERSION}`);
  const footerBytes = trailer.readUInt32BE(32);
  const footerOffset = packBytes - TRAILER_BYTES - footerBytes;
  if (footerBytes > FOOTER_BYTES_MAX || footerOffset < PACK_HEADER.length) throw new PackDamaged(pack, `its trailer claims a footer of ${footerBytes} bytes in a pack of ${packBytes}`);
  return { footerOffset, footerBytes };
}

/** Every block with its objects, in the order of the pack. @throws PackDamaged when the footer says what cannot be. */
export function decodeFooter(pack: PackId, footer: Buffer, { trailer, footerOffset }: { trailer: Buffer; footerOffset: number }): PackBlock[] {
  if (!createHash('sha256').update(footer).digest().equals(trailer.subarray(0, 32))) throw new PackDamaged(pack, 'its footer does not hash to what its trailer says');
  const reader = new FooterReader(pack, footer);
  const blocks: PackBlock[] = [];
  let blockOffset = PACK_HEADER.length;
  let objectCount = 0;
  while (!reader.isAtEnd()) {
    const block = readBlock(reader, pack, blockOffset);
    blocks.push(block);
    blockOffset += block.bytes;
    objectCount += block.objects.length;
    if (objectCount > PACK_OBJECTS_MAX) throw new PackDamaged(pack, `its footer lists more than ${PACK_OBJECTS_MAX} objects`);
  }
  if (blockOffset !== footerOffset) throw new PackDamaged(pack, `its footer says that blocks end at ${blockOffset}, the trailer at ${footerOffset}`);
  return blocks;
}

function readBlock(reader: FooterReader, pack: PackId, offset: number): PackBlock {
  const bytes = reader.number();
  const count = reader.number();
  if (count < 1 || count > PACK_OBJECTS_MAX) throw new PackDamaged(pack, `its footer puts ${count} objects into the block at ${offset}`);
  const objects: ObjectPlace[] = [];
  let plainBytes = 0;
  for (let n = 0; n < count; n++) {
    const object = reader.object();
    objects.push({ id: object.id, kind: object.kind, pack, blockOffset: offset, blockBytes: bytes, placeInBlock: plainBytes, bytes: object.bytes });
    plainBytes += object.bytes;
  }
  if (count > 1 && plainBytes > BLOCK_BYTES_MAX) throw new PackDamaged(pack, `its footer puts ${plainBytes} bytes into the shared block at ${offset}`);
  if (bytes < 1 || bytes > deflatedBytesMax(plainBytes)) throw new PackDamaged(pack, `its footer gives the block at ${offset} ${bytes} bytes for ${plainBytes} plain ones`);
  return { offset, bytes, plainBytes, objects };
}

class FooterReader {
  readonly #pack: PackId;
  readonly #footer: Buffer;
  #at = 0;

  constructor(pack: PackId, footer: Buffer) {
    this.#pack = pack;
    this.#footer = footer;
  }

  isAtEnd(): boolean {
    return this.#at === this.#footer.length;
  }

  object(): { id: ObjectId; kind: ObjectKind; bytes: number } {
    const tag = this.#byte();
    const kind = KINDS[tag & 3];
    if (kind === undefined || tag > (TAG_SHA256 | 3)) throw new PackDamaged(this.#pack, `its footer has a tag ${tag} that version ${VERSION} does not know`);
    const idBytes = tag & TAG_SHA256 ? 32 : 20;
    // One cut short is refused by the number that must follow it.
    const id = this.#footer.toString('hex', this.#at, this.#at + idBytes);
    this.#at += idBytes;
    return { id: id as ObjectId, kind, bytes: this.number() };
  }

  number(): number {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 49; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * factor;
      if (byte < 128 && value <= Number.MAX_SAFE_INTEGER) return value;
    }
    throw new PackDamaged(this.#pack, 'its footer has a number above 2^53');
  }

  #byte(): number {
    const byte = this.#footer[this.#at++];
    if (byte === undefined) throw new PackDamaged(this.#pack, 'its footer ends within an entry');
    return byte;
  }
}

function writeNumber(target: Buffer, value: number, at: number): number {
  let rest = value;
  while (rest > 127) {
    target[at++] = rest % 128 + 128;
    rest = Math.floor(rest / 128);
  }
  target[at++] = rest;
  return at;
}
