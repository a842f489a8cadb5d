import type { BlobName, ByteRange } from './blob-store.ts';

/** The disk adapter makes one file name of it, and file systems take 255 bytes. Ours have 80 at most. */
export const BLOB_NAME_LENGTH_MAX = 200;

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;
const PREFIX = /^[A-Za-z0-9._/-]*$/;

/** What every adapter asks of a name before it touches anything. @throws TypeError */
export function checkBlobName(name: BlobName): void {
  if (name.length > BLOB_NAME_LENGTH_MAX || !NAME.test(name) || name.includes('..')) {
    throw new TypeError(`not a blob name: ${JSON.stringify(name.slice(0, 300))}; use at most ${BLOB_NAME_LENGTH_MAX} letters, digits, "-", "_", "." and "/", no part beginning with "." and no ".."`);
  }
}

/** @throws TypeError */
export function checkBlobPrefix(prefix: string): void {
  if (prefix.length > BLOB_NAME_LENGTH_MAX || !PREFIX.test(prefix) || prefix.includes('..')) {
    throw new TypeError(`no blob name begins with ${JSON.stringify(prefix.slice(0, 300))}`);
  }
}

/** @throws RangeError */
export function checkByteRange({ offset, length }: ByteRange): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
    throw new RangeError(`not a range of bytes: offset ${offset}, length ${length}`);
  }
}
