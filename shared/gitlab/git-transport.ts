import type { CodebaseId, GitObjectFormat, ObjectId } from '#schemas/brand.ts';
import type { ObjectKind } from '#shared/objects/object-index.ts';
import type { GitLabAccess } from './gitlab.ts';

export interface OpenCommit {
  /** Whose cache to use: one folder a codebase, one user at a time, disposable. */
  readonly codebaseId: CodebaseId;
  readonly access: GitLabAccess;
  /** `http_url_to_repo`, as GitLab names it today. */
  readonly url: string;
  readonly objectFormat: GitObjectFormat;
  readonly commit: ObjectId;
  /** Its parents, as GitLab names them; none when it does not. How the commit is asked for follows from them, and nothing else. */
  readonly parents: readonly ObjectId[];
  readonly signal: AbortSignal;
}

export interface GitObject {
  readonly id: ObjectId;
  readonly kind: ObjectKind;
  readonly bytes: number;
  /** A buffer up to OBJECT_IN_MEMORY_BYTES_MAX; above, pieces that must be taken before the next object is asked for. */
  readonly content: Buffer | AsyncIterable<Buffer>;
}

/** 1 MiB: larger objects are streamed, so that memory does not grow with what people commit. */
export const OBJECT_IN_MEMORY_BYTES_MAX = 1_048_576;

/** The objects below one commit, near at hand or one request away. Close it, always. */
export interface CommitObjects {
  /**
   * The named objects, in the order asked. What the cache lacks is brought from GitLab first, all of it in few requests.
   * An id that the server does not have is a MissingObject. @throws Unavailable | MissingObject
   */
  read(ids: readonly ObjectId[]): AsyncIterable<GitObject>;
  /** Brings everything below the commit in one request: cheaper than level by level when nothing is known yet. */
  bringAll(onProgress?: (bytes: number) => void): Promise<void>;
  /** False after the cheap opening of a commit without a cache: trees and blobs then come as they are read. */
  readonly isComplete: boolean;
  /** Keeps the cache's ref on this commit so that the next push costs a thin delta; drops what is no longer needed. */
  close(): Promise<void>;
}

export type Opened =
  | { readonly kind: 'ok'; readonly objects: CommitObjects }
  /** "not our ref": the commit is not there (any more). */
  | { readonly kind: 'commitAbsent'; readonly detail: string }
  /** GitLab's 401 or 403 by git: confirm over REST before believing it. */
  | { readonly kind: 'refused'; readonly status: 401 | 403; readonly detail: string }
  | { readonly kind: 'absent'; readonly detail: string };

/** Content by the git protocol. @throws Unavailable when GitLab cannot be asked now, or answers nonsense. */
export interface GitTransport {
  open(request: OpenCommit): Promise<Opened>;
}

export class MissingObject extends Error {
  override readonly name = 'MissingObject';
}

/** What GitLab sends is larger than the operator allows: no waiting heals it. */
export class PackTooLarge extends Error {
  override readonly name = 'PackTooLarge';
}
