import { Readable, addAbortSignal } from 'node:stream';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { checkBlobName, checkBlobPrefix, checkByteRange } from './blob-name.ts';
import type { BlobStore } from './blob-store.ts';
import { exactly } from './exact-length.ts';

/** Streams give pieces of this size, as a disk would, so that a reader that counts on one piece fails here too. */
const PIECE_BYTES = 65_536;

/** Blobs in this process's memory: for tests. */
export function createMemoryBlobStore(): BlobStore {
  const blobs = new Map<string, { content: Buffer; writtenAt: Date }>();

  return {
    async put(name, content, { bytes, signal }) {
      const pieces = [];
      checkBlobName(name);
      for await (const piece of exactly(content, { bytes, signal })) pieces.push(piece);
      blobs.set(name, { content: Buffer.concat(pieces), writtenAt: new Date() });
    },

    async get(name, { range, signal } = {}) {
      checkBlobName(name);
      if (range) checkByteRange(range);
      signal?.throwIfAborted();
      const blob = blobs.get(name);
      if (!blob) return undefined;

      const { offset, length } = range ?? { offset: 0, length: blob.content.length };
      if (offset + length > blob.content.length) {
        throw new Unavailable('blob store', `${name} has ${blob.content.length} bytes, asked for ${length} from ${offset}: it was cut short; restore it from a copy`);
      }
      const readable = Readable.from(piecesOf(blob.content.subarray(offset, offset + length)), { objectMode: false, highWaterMark: PIECE_BYTES });
      return signal ? addAbortSignal(signal, readable) : readable;
    },

    async size(name) {
      checkBlobName(name);
      return blobs.get(name)?.content.length;
    },

    async delete(name) {
      checkBlobName(name);
      return blobs.delete(name);
    },

    async *list(prefix) {
      checkBlobPrefix(prefix);
      for (const [name, { content, writtenAt }] of blobs) {
        if (name.startsWith(prefix)) yield { name, bytes: content.length, writtenAt };
      }
    },
  };
}

function* piecesOf(content: Buffer): Generator<Buffer, void, void> {
  for (let at = 0; at < content.length; at += PIECE_BYTES) yield content.subarray(at, at + PIECE_BYTES);
}
