import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { GitObjectFormat, ObjectId, PackId } from '#schemas/brand.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import { gitId } from '#shared/objects/git-objects.ts';
import type { ObjectKind, ObjectPlace } from '#shared/objects/object-index.ts';
import { putPack, readFooter } from '#shared/objects/pack-store.ts';
import { createPackWriter } from '#shared/objects/pack-writer.ts';

/** A git object made by hand. */
export interface Made { readonly id: ObjectId; readonly kind: ObjectKind; readonly bytes: number; readonly content: Buffer }
export type MadeEntry = readonly [mode: string, name: Buffer | string, id: string];

const made = (kind: ObjectKind, content: Buffer, format: GitObjectFormat): Made => ({ id: gitId(kind, content, format), kind, bytes: content.length, content });

export const blobOf = (content: Buffer | string, format: GitObjectFormat = 'sha1') => made('blob', Buffer.from(content), format);

/** In git's order, whatever the order given. */
export function treeOf(entries: readonly MadeEntry[], format: GitObjectFormat = 'sha1'): Made {
  const keyOf = ([mode, name]: MadeEntry) => Buffer.concat([Buffer.from(name), Buffer.from(mode === '40000' ? '/' : '')]);
  const sorted = [...entries].sort((left, right) => Buffer.compare(keyOf(left), keyOf(right)));
  return made('tree', Buffer.concat(sorted.flatMap(([mode, name, id]) => [Buffer.from(`${mode} `), Buffer.from(name), Buffer.from([0]), Buffer.from(id, 'hex')])), format);
}

export const commitOf = (tree: string, message = 'change', format: GitObjectFormat = 'sha1') =>
  made('commit', Buffer.from(`tree ${tree}\nauthor Ann <a@b> 1700000000 +0000\ncommitter Ann <a@b> 1700000000 +0000\n\n${message}\n`), format);

export interface Packed { readonly packs: readonly { readonly pack: PackId; readonly bytes: number; readonly objects: number }[]; readonly places: readonly ObjectPlace[] }

/** As the fetcher leaves them: in packs in the store, trees before blobs. */
export async function packed(blobs: BlobStore, objects: readonly Made[], options: { packBytesMax?: number } = {}): Promise<Packed> {
  const directory = await mkdtemp(path.join(tmpdir(), 'tekai-packs-'));
  const writer = createPackWriter({ directory, ...options });
  try {
    for (const object of objects) await writer.add(object);
    const places: ObjectPlace[] = [];
    const finished = await writer.finish();
    for (const pack of finished) {
      await putPack(blobs, pack);
      places.push(...(await readFooter(blobs, pack.pack)).blocks.flatMap((block) => block.objects));
    }
    return { packs: finished.map(({ pack, bytes, objects: count }) => ({ pack, bytes, objects: count })), places };
  } finally {
    await writer.abandon();
    await rm(directory, { recursive: true });
  }
}
