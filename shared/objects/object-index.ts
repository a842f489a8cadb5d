import type { ObjectId, PackId } from '#schemas/brand.ts';

export type ObjectKind = 'commit' | 'tree' | 'blob';

/** Where an object's bytes are: in which pack, in which compressed block, at which place of the block's plain bytes. */
export interface ObjectPlace {
  readonly id: ObjectId;
  readonly kind: ObjectKind;
  readonly pack: PackId;
  readonly blockOffset: number;
  readonly blockBytes: number;
  readonly placeInBlock: number;
  /** Plain size of the object. */
  readonly bytes: number;
}

/** What the scanner found in a blob. */
export interface BlobFinding {
  readonly kind: 'blob';
  /** As linguist names it; null when not known. */
  readonly language: string | null;
  /** Null for binary content. */
  readonly lines: number | null;
  readonly isBinary: boolean;
  readonly isGenerated: boolean;
  readonly isVendored: boolean;
  readonly isLfsPointer: boolean;
}

/** Sums over everything below a tree; the same tree id has the same totals for ever. */
export interface TreeTotals {
  readonly kind: 'tree';
  readonly files: number;
  readonly bytes: number;
  /** Bytes by language. */
  readonly languages: Readonly<Record<string, number>>;
  /** Files and lines by language; absent where something below was stored before these were counted. */
  readonly counts?: Readonly<Record<string, readonly [files: number, lines: number]>>;
}

export type Finding = BlobFinding | TreeTotals;

/** What fetcher, scanner and query-api may ask. Ids not known are absent from the answers. */
export interface ObjectIndexReader {
  known(ids: readonly ObjectId[]): Promise<Set<ObjectId>>;
  places(ids: readonly ObjectId[]): Promise<Map<ObjectId, ObjectPlace>>;
  findings(ids: readonly ObjectId[]): Promise<Map<ObjectId, { bytes: number; finding: Finding | undefined }>>;
  /** Place and finding in one look: what it takes to answer with an object. */
  entries(ids: readonly ObjectId[]): Promise<Map<ObjectId, { place: ObjectPlace; finding: Finding | undefined }>>;
}

/** The storage-writer's alone. */
export interface ObjectIndex extends ObjectIndexReader {
  /** In one transaction. An object already known keeps the place it has. Returns how many objects were new. */
  record(objects: Iterable<ObjectPlace>, findings: ReadonlyMap<ObjectId, Finding>): Promise<{ added: number }>;
}
