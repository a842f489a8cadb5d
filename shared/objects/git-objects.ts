import { createHash } from 'node:crypto';
import type { GitObjectFormat, ObjectId } from '#schemas/brand.ts';
import type { ObjectKind } from './object-index.ts';

/** The name git gives these bytes. */
export function gitId(kind: ObjectKind, content: Buffer, format: GitObjectFormat): ObjectId {
  return createHash(format).update(`${kind} ${content.length}\0`).update(content).digest('hex') as ObjectId;
}

/** The same, piece by piece. The length comes first in what is hashed, so it must be known. */
export function gitIdHash(kind: ObjectKind, bytes: number, format: GitObjectFormat): { update(piece: Buffer): void; id(): ObjectId } {
  const hash = createHash(format).update(`${kind} ${bytes}\0`);
  return { update: (piece) => { hash.update(piece); }, id: () => hash.digest('hex') as ObjectId };
}

/** 40 hex digits or 64. */
export function formatOf(id: ObjectId): GitObjectFormat {
  return id.length === 64 ? 'sha256' : 'sha1';
}

const EMPTY_TREES: Readonly<Record<GitObjectFormat, ObjectId>> = {
  sha1: gitId('tree', Buffer.alloc(0), 'sha1'),
  sha256: gitId('tree', Buffer.alloc(0), 'sha256'),
};

/** A tree without entries. Git knows it without being told, so it is not in every repository. */
export function emptyTree(format: GitObjectFormat): ObjectId {
  return EMPTY_TREES[format];
}
