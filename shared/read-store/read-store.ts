import type { CodebaseId, FactId, GitObjectFormat, ObjectId, Position, ProjectId, RefName, SourceId, StreamName, SyncId } from '#schemas/brand.ts';
import type { Progress } from '#shared/bus/bus.ts';
import type { FollowedRefs } from '#schemas/events/codebase-registered.ts';

export interface CodebaseView {
  readonly id: CodebaseId;
  readonly sourceId: SourceId;
  readonly gitlabProjectId: number;
  readonly path: string | null;
  readonly followed: FollowedRefs;
  readonly defaultRef: RefName | null;
  readonly hook: { readonly state: 'pending' | 'installed' | 'refused' | 'removed'; readonly reason: string | null; readonly isSigned: boolean | null };
  readonly registeredAt: string;
  readonly lastHintAt: string | null;
  /** The newest cause that stands for every followed ref. */
  readonly lastWholeHintAt: string | null;
  readonly lastObservedAt: string | null;
  /** Archived: readable, no longer synced. Removed: hidden, and can be undone until it is deleted. */
  readonly state: 'active' | 'archived' | 'removed' | 'deleted';
  readonly removedAt: string | null;
  /** Of its stream, as far as folded: what If-Match compares. */
  readonly revision: number;
}

/** A group of codebases. */
export interface ProjectView {
  readonly id: ProjectId;
  readonly name: string;
  readonly state: 'active' | 'archived' | 'removed';
  readonly createdAt: string;
  readonly removedAt: string | null;
  readonly revision: number;
  /** How many codebases it has that are not removed. */
  readonly codebases: number;
}

export interface SourceView {
  readonly id: SourceId;
  readonly name: string;
  readonly baseUrl: string;
  readonly registeredAt: string;
  readonly revision: number;
}

export interface CodebaseFilter {
  readonly after: string;
  readonly limit: number;
  readonly project?: ProjectId;
  readonly source?: SourceId;
  /** Active and archived ones, unless said. */
  readonly states?: readonly CodebaseView['state'][];
}

/** Where a ref pointed, from `position` on. */
export interface VersionView {
  readonly ref: RefName;
  /** Unfollowed: it is followed no longer, whatever GitLab has. */
  readonly state: 'stored' | 'deleted' | 'unfollowed';
  readonly commit: ObjectId | null;
  readonly commitTime: string | null;
  readonly tree: ObjectId | null;
  readonly objectFormat: GitObjectFormat | null;
  readonly sync: SyncId;
  readonly storedAt: string;
  readonly observedAt: string;
  readonly position: Position;
}

export interface SyncView {
  readonly id: SyncId;
  readonly codebaseId: CodebaseId;
  readonly ref: RefName;
  readonly cause: FactId | null;
  readonly correlationId: string;
  readonly state: 'waiting' | 'fetched' | 'scanned' | 'stored' | 'skipped' | 'deleted' | 'failed';
  readonly reason: string | null;
  readonly detail: string | null;
  readonly coveredBy: SyncId | null;
  readonly commit: ObjectId | null;
  readonly tree: ObjectId | null;
  readonly hintReached: boolean | null;
  readonly attempt: number | null;
  readonly begunAt: string;
  readonly fetchedAt: string | null;
  readonly scannedAt: string | null;
  readonly endedAt: string | null;
  readonly counts: object | null;
  readonly bytes: number | null;
  readonly objectsAdded: number | null;
}

export interface IndexedFact {
  readonly position: Position;
  readonly key: string;
  readonly stream: StreamName;
  readonly revision: number;
  readonly type: string;
}

/** What a moment is named by: a commit, a place in the log, or a time. */
export type At = { readonly commit: ObjectId } | { readonly position: Position } | { readonly time: string };

/** The projector's tables, for looking only. @throws Unavailable */
export interface ReadStore {
  /** Everything up to here is in the tables. */
  position(): Promise<Position>;
  /** Without those that were removed. */
  sources(): Promise<readonly SourceView[]>;
  /** By id. */
  codebases(filter: CodebaseFilter): Promise<readonly CodebaseView[]>;
  /** By id; active and archived ones, unless said. */
  projects(options: { after: string; limit: number; states?: readonly ProjectView['state'][] }): Promise<readonly ProjectView[]>;
  project(id: ProjectId): Promise<ProjectView | undefined>;
  codebase(id: CodebaseId): Promise<CodebaseView | undefined>;
  /** Nothing from before the codebase was registered last, here and of versions. */
  refs(codebase: CodebaseId): Promise<readonly VersionView[]>;
  /** Refs of which a sync has not ended yet, or has not begun. */
  refsUnderWay(codebase: CodebaseId): Promise<ReadonlySet<RefName>>;
  /** Newest first, from before a position on. */
  versions(codebase: CodebaseId, options: { ref?: RefName; before?: Position; limit: number }): Promise<readonly VersionView[]>;
  /** What the ref pointed to at that moment: the newest version stored by then; of a commit, its newest version on that ref, or on any. */
  versionAt(codebase: CodebaseId, ref: RefName, at: At): Promise<VersionView | undefined>;
  sync(id: SyncId): Promise<SyncView | undefined>;
  syncs(filter: { cause?: FactId; codebase?: CodebaseId; limit: number }): Promise<readonly SyncView[]>;
  facts(filter: { key?: string; stream?: string; type?: string; after: Position; limit: number }): Promise<readonly IndexedFact[]>;
  /** How far a sync under way is, as last told; undefined when nobody told. */
  progress(id: SyncId): Promise<Progress | undefined>;
  /** How many facts of this key could not be folded. */
  unfolded(key: string): Promise<number>;
}
