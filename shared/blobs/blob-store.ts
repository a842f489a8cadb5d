import type { Readable } from 'node:stream';

/** Names are ours: `packs/<sha256>`, `findings/<sha256>`, and for a moment `probes/<uuid>`. Letters, digits, `/`, `-`, `_`, `.`; no `..`. */
export type BlobName = string;

export interface ByteRange { readonly offset: number; readonly length: number }

/**
 * Bytes under a name: local disk, S3, GCS. Written once, never changed; what every adapter must do is blob-store.contract.ts.
 * Every method @throws Unavailable when the store is away, full, or gives fewer bytes than it said.
 */
export interface BlobStore {
  /**
   * Durable once resolved; readers see all of it or nothing. Always writes, also over a blob of that name, which may be damaged.
   * `bytes` is the exact length; a source that ends early or late is an error and leaves nothing.
   */
  put(name: BlobName, content: Buffer | Readable, options: { readonly bytes: number; readonly signal?: AbortSignal }): Promise<void>;

  /** The whole blob, or a range of it; undefined when there is none of that name. */
  get(name: BlobName, options?: { readonly range?: ByteRange; readonly signal?: AbortSignal }): Promise<Readable | undefined>;

  /** Size in bytes; undefined when there is none. */
  size(name: BlobName): Promise<number | undefined>;

  /** True if there was one. */
  delete(name: BlobName): Promise<boolean>;

  /** Names that begin with a prefix, with size and time of writing, in no order. */
  list(prefix: string): AsyncIterable<{ readonly name: BlobName; readonly bytes: number; readonly writtenAt: Date }>;
}
