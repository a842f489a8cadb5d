import type { ObjectId } from '#schemas/brand.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';

/** What one answer holds of files that it has not sent yet. */
const HELD_BYTES_MAX = 16 * 1_048_576;

/** Files asked for together: their places are one question to the index. */
export const AHEAD_MAX = 256;

/**
 * The content of many small blobs at once, each block of a pack read once; at most HELD_BYTES_MAX (and one blob) of it. What is not in
 * the answer is large, or did not fit, or is not stored: it is to be asked for by itself. @throws as ObjectReader
 */
export async function readAhead(reader: Pick<ObjectReader, 'readMany'>, ids: Iterable<ObjectId>, signal?: AbortSignal): Promise<Map<ObjectId, Buffer>> {
  const held = new Map<ObjectId, Buffer>();
  let bytes = 0;
  for await (const { id, content } of reader.readMany([...new Set(ids)], signal)) {
    if (!Buffer.isBuffer(content)) continue;
    held.set(id, content);
    bytes += content.length;
    if (bytes > HELD_BYTES_MAX) break;
  }
  return held;
}
