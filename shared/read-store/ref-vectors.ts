import type { CodebaseId, ObjectId, Position, RefName } from '#schemas/brand.ts';

/** Which refs of which codebases somebody follows. */
export interface RefScope {
  readonly codebases: { readonly kind: 'listed'; readonly ids: readonly string[] } | { readonly kind: 'project'; readonly id: string } | { readonly kind: 'all' };
  /** Full names, `*` matches anything, `/` too. Null: the default branch of each codebase. */
  readonly refs: readonly string[] | null;
}

/** What a ref points to since `position`. */
export interface RefAt {
  readonly codebaseId: CodebaseId;
  readonly ref: RefName;
  /** Null: an empty repository. */
  readonly commit: ObjectId | null;
  readonly tree: ObjectId;
  readonly position: Position;
}

/** Everything that a scope holds at one position of the log. Codebases that are removed are not in it. */
export interface RefVector {
  readonly position: Position;
  readonly codebases: readonly CodebaseId[];
  readonly refs: readonly RefAt[];
}

/** Many refs at one moment, out of the projector's tables. For looking only. @throws Unavailable */
export interface RefVectors {
  /**
   * The vector at the position that the tables stand at; with `at`, what the refs pointed to there. Membership, removal and
   * default branch are always those of now: what may be shown is judged when it is asked.
   */
  read(scope: RefScope, at?: Position): Promise<RefVector>;
  /** Those of the codebases that are in the scope, and not removed, now. */
  inScope(scope: RefScope, codebases: readonly CodebaseId[]): Promise<ReadonlySet<CodebaseId>>;
}
