import type { CodebaseId, FactId, GitObjectFormat, ObjectId, Position, RefName, SourceId, StreamName, SyncId } from '#schemas/brand.ts';
import type { Progress } from '#shared/bus/bus.ts';
import type { FollowedRefs } from '#schemas/events/codebase-registered.ts';

export interface CodebaseView {
  readonly id: CodebaseId;
  readonly sourceId: SourceId;
  readonly gitlabProjectId: number;
  readonly path: string | null;
  readonly followed: FollowedRefs;
  readonly defaultRef: RefName | null;
  readonly hook: { readonly state: 'pending' | 'installed' | 'refused'; readonly reason: string | null; readonly isSigned: boolean | null };
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
  /** The scheduler's last look; null or left out when it never looked. */
  readonly look?: LookView | null;
}

/** What the scheduler's last look at a codebase's refs saw. Not folded: it stands in the scheduler's own table. */
export interface LookView {
  /** When GitLab was asked; null when it never answered. */
  readonly lookedAt: string | null;
  /** The look speaks of versions up to here. */
  readonly position: Position | null;
  /** Refs that it saw differ; null when there were too many to name. */
  readonly different: readonly RefName[] | null;
  /** Why the installed webhook does not work, as far as known. */
  readonly hookTrouble: string | null;
}

/** How close the looks at a source can be within its budget of requests. */
export interface PollingView {
  /** A lost webhook is found within so many seconds: of a codebase active in the last hour, and of one that is quiet. */
  readonly activeBoundSeconds: number;
  readonly idleBoundSeconds: number;
  readonly requestsPerMinute: number;
  /** What the wanted pace would take. Above the budget the bounds are stretched. */
  readonly wantedPerMinute: number;
  /** GitLab asked for a pause, or is away: no look before this. */
  readonly heldUntil: string | null;
  readonly heldReason: string | null;
}

/** Where a ref pointed, from `position` on. */
export interface VersionView {
  readonly ref: RefName;
  readonly state: 'stored' | 'deleted';
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
  sources(): Promise<readonly { id: SourceId; name: string; baseUrl: string; registeredAt: string }[]>;
  codebases(options: { after: string; limit: number }): Promise<readonly CodebaseView[]>;
  codebase(id: CodebaseId): Promise<CodebaseView | undefined>;
  refs(codebase: CodebaseId): Promise<readonly VersionView[]>;
  /** Refs of which a sync has not ended yet, or has not begun. */
  refsUnderWay(codebase: CodebaseId): Promise<ReadonlySet<RefName>>;
  /** The last sync of each of these refs that has ended, in any way. */
  lastEnded(codebase: CodebaseId, refs: readonly RefName[]): Promise<ReadonlyMap<RefName, Pick<SyncView, 'id' | 'begunAt'>>>;
  /** Undefined until the scheduler has looked at anything of that source. */
  polling(source: SourceId): Promise<PollingView | undefined>;
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
  /** Facts of any of these keys, in log order. */
  factsOf(filter: { keys: readonly string[]; after: Position; limit: number }): Promise<readonly IndexedFact[]>;
  /** Who is in a project, and the position at which that is so: one look. Of a project that nobody made, nobody. */
  members(project: string): Promise<{ readonly codebases: readonly CodebaseId[]; readonly position: Position }>;
}
