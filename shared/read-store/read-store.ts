import type { CodebaseId, FactId, GitObjectFormat, ObjectId, Position, ProjectId, RefName, SourceId, StreamName, SyncId } from '#schemas/brand.ts';
import type { MemberRole } from '#schemas/events/project-member-added.ts';
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

/** How soon it is learnt what active people read, by their own tokens. */
export interface PeopleAskedView {
  /** Who are active now, and somebody in that GitLab. */
  readonly active: number;
  /** Of these, those who let us ask with their token and whom GitLab answered last. */
  readonly asked: number;
  readonly boundSeconds: number;
}

/** How close the looks at a source can be within its budget of requests. */
export interface PollingView {
  /** A lost webhook is found within so many seconds: of a codebase active in the last hour, and of one that is quiet. */
  readonly activeBoundSeconds: number;
  readonly idleBoundSeconds: number;
  readonly requestsPerMinute: number;
  /** What the wanted pace would take. Above the budget the bounds are stretched. */
  readonly wantedPerMinute: number;
  /** Who reads what is learnt within so many seconds of its change, also when no webhook tells; null until it was reckoned. */
  readonly readersBoundSeconds: number | null;
  /** What people's own tokens say; null until it was reckoned, and where nobody is asked by theirs. */
  readonly people: PeopleAskedView | null;
  /** GitLab asked for a pause, or is away: no look before this. */
  readonly heldUntil: string | null;
  readonly heldReason: string | null;
}

/** A group of codebases. */
export interface PersonView { readonly userId: string; readonly role: MemberRole; readonly since: string }

export interface GitLabReadersView {
  /** GitLab's ids. */
  readonly users: readonly number[];
  readonly beyondMembers: 'nobody' | 'signed-in' | 'everybody';
  /** Whoever is signed in reads it: GitLab shows its code beyond its members, and its source's open projects were opened to them. */
  readonly isOpen: boolean;
  /** When it was found to be other than before. */
  readonly observedAt: string;
  readonly revision: number;
}

/** One user, once. Ids as they were named: they need not be any. */
export interface RightsAsked { readonly user: string; readonly codebases: readonly string[]; readonly projects: readonly string[] }
/** Codebases: of those asked for, and of those that the projects have or ever had, the ones that they may read. Projects: those that they are in. */
export interface RightsFound { readonly codebases: ReadonlySet<string>; readonly projects: ReadonlySet<string> }

export interface ReadersAskedView { readonly askedAt: string | null; readonly trouble: string | null }
export interface ProjectReaderView { readonly userId: string; readonly project: ProjectId; readonly projectName: string }

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
  /** Only what this user may read; without one, everything. */
  readonly readableBy?: string;
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

/** A fact as the index knows it beside its place. */
export interface FactMark extends IndexedFact {
  readonly id: FactId;
  /** The delivery or command that began it. */
  readonly correlationId: string;
  readonly time: string;
}

/** What was known: up to a place in the log, or up to a time by our clock. */
export type Known = { readonly position: Position } | { readonly time: string };

/** What a moment is named by: a commit, what was stored by then, or what GitLab was seen to have by then (as far as `known` goes; now when absent). */
export type At = { readonly commit: ObjectId } | Known | { readonly observedAt: string; readonly known?: Known };

/** Which versions of a codebase. What is not given is not asked for. */
export interface VersionFilter {
  /** Full names, or patterns of them in which `*` stands for anything, `/` too. Any of them. */
  readonly refs?: readonly string[];
  /** How a commit's id begins. */
  readonly commit?: string;
  readonly before?: Position;
  readonly limit: number;
}

export interface SyncFilter {
  readonly cause?: FactId;
  readonly codebase?: CodebaseId;
  /** A full name or a pattern, as in `VersionFilter`; any of them. */
  readonly refs?: readonly string[];
  readonly states?: readonly SyncView['state'][];
  /** When they began: from this time on, and before that. */
  readonly since?: string;
  readonly until?: string;
  /** Those behind this one. */
  readonly after?: { readonly begunAt: string; readonly id: SyncId };
  /** Only of codebases that this user may read. */
  readonly readableBy?: string;
  readonly limit: number;
}

export interface FactFilter {
  readonly key?: string;
  readonly stream?: string;
  /** Any of them. */
  readonly type?: string | readonly string[];
  readonly after: Position;
  /** Up to this place, or before this time. */
  readonly until?: Known;
  /** Only about codebases that this user may read, and not who else reads them. */
  readonly readableBy?: string;
  readonly limit: number;
}

/** Facts newest first. */
export interface NewestFilter {
  readonly types: readonly string[];
  readonly key?: string;
  /** How the name of the stream begins. */
  readonly streamPrefix?: string;
  readonly since?: string;
  readonly until?: string;
  readonly before?: Position;
  readonly limit: number;
}

/** A codebase, and where one of its refs points now. */
export interface StandingView {
  readonly codebase: CodebaseView;
  /** Undefined when the ref is gone, or nothing of it is stored yet. */
  readonly version: VersionView | undefined;
  /** A sync of that ref has not ended yet, or has not begun. */
  readonly isUnderWay: boolean;
}

/** The projector's tables, for looking only. @throws Unavailable */
export interface ReadStore {
  /** Everything up to here is in the tables. */
  position(): Promise<Position>;
  /** Of the last fact in the tables whose own time is not later: what was known then ends there. Before all of them, BEGINNING. */
  positionBy(time: string): Promise<Position>;
  /** Without those that were removed. */
  sources(): Promise<readonly SourceView[]>;
  /** By id. */
  codebases(filter: CodebaseFilter): Promise<readonly CodebaseView[]>;
  /** By id; active and archived ones, unless said. */
  projects(options: { after: string; limit: number; states?: readonly ProjectView['state'][]; /** Only those that they are in, with how many codebases of each they may read. */ person?: string }): Promise<readonly ProjectView[]>;
  /** @param readableBy only the codebases that they may read are counted */
  project(id: ProjectId, readableBy?: string): Promise<ProjectView | undefined>;
  /** Who reads a codebase by what its GitLab project says; undefined when that was never learnt. The revision is of the stream it is told in. */
  gitlabReaders(codebase: CodebaseId): Promise<GitLabReadersView | undefined>;
  /** When GitLab was last asked who reads it and answered, and why it did not since; undefined when it was never asked. */
  readersAsked(codebase: CodebaseId): Promise<ReadersAskedView | undefined>;
  /** Of these GitLab's codebases, those whose code a user of it reads by what their projects say, known here or not. */
  readBy(source: SourceId, gitlabUser: number): Promise<readonly CodebaseId[]>;
  /** Who reads a codebase because an admin of a project said so. */
  projectReaders(codebase: CodebaseId): Promise<readonly ProjectReaderView[]>;
  /** Who of us these users of a GitLab are, by GitLab's id; disabled ones too. */
  gitlabUsers(source: SourceId, gitlabUsers: readonly number[]): Promise<ReadonlyMap<number, string>>;
  /** The projects that a codebase was ever in, or somebody was. */
  projectsEver(of: { readonly codebase: CodebaseId } | { readonly user: string }): Promise<readonly ProjectId[]>;
  /** Of these codebases, those that a user may read, now. */
  readable(user: string, codebases: readonly CodebaseId[]): Promise<ReadonlySet<CodebaseId>>;
  /** The same of many users at once, and which of these projects each is in: one look. Who may do nothing of it may be left out. */
  rightsOf(asked: readonly RightsAsked[]): Promise<ReadonlyMap<string, RightsFound>>;
  /** What somebody is in a project, now. */
  roleOf(project: string, user: string): Promise<MemberRole | undefined>;
  /** Who is in it, by user id. */
  people(project: ProjectId): Promise<readonly PersonView[]>;
  codebase(id: CodebaseId): Promise<CodebaseView | undefined>;
  /** Nothing from before the codebase was registered last, here and of versions. */
  refs(codebase: CodebaseId): Promise<readonly VersionView[]>;
  /**
   * The same for one ref in one look, however many there are: what every read of content needs. The first of `names` that is stored;
   * without names the default branch, or the first by name where nobody knows which that is. Undefined: there is no such codebase.
   */
  standing(codebase: CodebaseId, names: readonly RefName[] | undefined): Promise<StandingView | undefined>;
  /** Refs of which a sync has not ended yet, or has not begun. */
  refsUnderWay(codebase: CodebaseId): Promise<ReadonlySet<RefName>>;
  /** The last sync of each of these refs that has ended, in any way. */
  lastEnded(codebase: CodebaseId, refs: readonly RefName[]): Promise<ReadonlyMap<RefName, Pick<SyncView, 'id' | 'begunAt'>>>;
  /** Whether each installed webhook of the source's active codebases was last made with its secrets of this revision, or newer ones. */
  haveHooksSecrets(source: SourceId, revision: number): Promise<boolean>;
  /** Undefined until the scheduler has looked at anything of that source. */
  polling(source: SourceId): Promise<PollingView | undefined>;
  /** Newest first, from before a position on. */
  versions(codebase: CodebaseId, filter: VersionFilter): Promise<readonly VersionView[]>;
  /**
   * What the ref pointed to at that moment. By position or time: the newest version stored by then. By `observedAt`: the version
   * of the newest look at GitLab by then. By commit: its newest version on that ref, or else on any.
   */
  versionAt(codebase: CodebaseId, ref: RefName, at: At): Promise<VersionView | undefined>;
  sync(id: SyncId): Promise<SyncView | undefined>;
  /** Those of these ids that are known, in no order. */
  syncsById(ids: readonly SyncId[]): Promise<readonly SyncView[]>;
  /** The latest begun first; of one time by id. */
  syncs(filter: SyncFilter): Promise<readonly SyncView[]>;
  /** In log order. */
  facts(filter: FactFilter): Promise<readonly IndexedFact[]>;
  newestFacts(filter: NewestFilter): Promise<readonly FactMark[]>;
  /** The facts of these ids, or those that these deliveries or commands began; in log order. */
  marks(of: { readonly ids: readonly string[] } | { readonly correlations: readonly string[]; readonly types: readonly string[] }): Promise<readonly FactMark[]>;
  /** How far a sync under way is, as last told; undefined when nobody told. */
  progress(id: SyncId): Promise<Progress | undefined>;
  /** How many facts of this key could not be folded. */
  unfolded(key: string): Promise<number>;
  /** Facts of any of these keys, in log order. */
  factsOf(filter: { keys: readonly string[]; after: Position; limit: number }): Promise<readonly IndexedFact[]>;
  /** Who is in a project, and the position at which that is so: one look. Of a project that nobody made, nobody. */
  members(project: string): Promise<{ readonly codebases: readonly CodebaseId[]; readonly position: Position }>;
}
