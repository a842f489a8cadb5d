import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import type { ObjectId } from '#schemas/brand.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import type { Finding } from '#shared/objects/object-index.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';

const compress = promisify(deflateRaw);
const expand = promisify<Buffer, Buffer>(inflateRaw);

export interface FindingsFile { readonly sha256: string; readonly bytes: number }

/** What the scanner found is not what its name says. */
export class FindingsDamaged extends Error {
  override readonly name = 'FindingsDamaged';
}

/** Findings lie in the blob store, one JSON line an object, compressed, under their SHA-256; null when there are none. */
export async function putFindings(blobs: Pick<BlobStore, 'put'>, findings: ReadonlyMap<ObjectId, Finding>): Promise<FindingsFile | null> {
  if (findings.size === 0) return null;
  const lines = [...findings].map(([id, finding]) => `${JSON.stringify([id, finding])}\n`);
  const content = await compress(lines.join(''));
  const sha256 = createHash('sha256').update(content).digest('hex');
  await blobs.put(`findings/${sha256}`, content, { bytes: content.length });
  return { sha256, bytes: content.length };
}

/** @throws FindingsDamaged | Unavailable */
export async function getFindings(blobs: Pick<BlobStore, 'get'>, file: FindingsFile): Promise<Map<ObjectId, Finding>> {
  const readable = await blobs.get(`findings/${file.sha256}`);
  if (readable === undefined) throw new Unavailable('blob store', `findings/${file.sha256} is not there`);
  const content = await buffer(readable);
  if (createHash('sha256').update(content).digest('hex') !== file.sha256) throw new FindingsDamaged(`findings/${file.sha256} does not hash to its name`);
  const text = (await expand(content)).toString('utf8');
  return new Map(text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as [ObjectId, Finding]));
}
