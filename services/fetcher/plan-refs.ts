import type { FactId, ObjectId, RefName, SyncId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import type { FollowedRefs } from '#schemas/events/codebase-registered.ts';
import type { Outcome } from '#shared/bus/bus.ts';
import type { GitLabProject, RefHead } from '#shared/gitlab/gitlab.ts';
import { isFollowed } from '#shared/gitlab/followed.ts';
import type { CodebaseState } from '#shared/lifecycles/codebase-state.ts';
import type { Head } from './heads.ts';
import { refsNamed } from './hints.ts';
import { gitlabOf, waitForSource, type StartSyncDeps } from './start-sync.ts';

/** One ref of a list. */
export interface Listed {
  readonly project: GitLabProject;
  readonly commit: ObjectId;
  readonly observedAt: Date;
  /** Whose head we knew then: once another sync moved it, the list is old. */
  readonly headSync: SyncId | undefined;
}

/** One sync to come. */
export interface RefPlan {
  readonly ref: RefName;
  /** The fact that the sync's id follows from: the cause itself, or the end of the sync before it. */
  readonly cause: FactId;
  readonly causeTime: string;
  /** What the list of heads showed, asked for after the cause was recorded; undefined when this ref was not listed. */
  readonly listed: Listed | undefined;
}

/** Which refs a cause stands for: those it names, or every followed one, default branch first, and those that were followed before. @throws Unavailable */
export async function planRefs(deps: StartSyncDeps, cause: Fact, codebase: CodebaseState): Promise<RefPlan[] | Outcome> {
  const { registration: { data: registration, position }, followed, standing } = codebase;
  const heads = await deps.heads.of(registration.codebaseId, position);
  const plan = (ref: RefName, listed?: RefPlan['listed']): RefPlan => ({ ref, cause: cause.id, causeTime: cause.time, listed });
  const named = refsNamed(cause);
  if (named !== undefined) return [...new Set([...named, ...phantoms(heads)])].map((ref) => plan(ref));

  // Begun before a restart: its end is waited for, also when GitLab lists the ref no longer; else nobody would learn that it is gone.
  const begun = await deps.heads.begunFor(registration.codebaseId, cause.id);
  // Nobody is asked: each ref that we know is skipped, with the reason.
  if (standing !== 'active') return [...new Set([...begun, ...[...heads.values()].filter((head) => !head.isDeleted).map((head) => head.ref)])].map((ref) => plan(ref));

  const asked = await gitlabOf(deps, registration.sourceId);
  if (asked.kind !== 'ok') return asked.outcome;
  const observedAt = deps.now();
  const [project, listed] = await Promise.all([
    asked.gitlab.project(registration.gitlabProjectId),
    asked.gitlab.heads(registration.gitlabProjectId, { withTags: followed.tags.length > 0 }),
  ]);
  if (project.kind !== 'ok') return waitForSource(project, 'the project');
  const all = listed.kind === 'ok' ? listed.value : [];
  if (listed.kind !== 'ok' && !project.value.isEmpty) return waitForSource(listed, 'the list of branches');
  const defaultRef = `refs/heads/${project.value.defaultBranch ?? 'main'}` as RefName;
  const wanted = new Set([...begun, ...orderRefs({ listed: all, heads, defaultRef, followed })]);
  return [...wanted].map((ref) => {
    const head = all.find((one) => one.ref === ref);
    return plan(ref, head === undefined ? undefined : { project: project.value, commit: head.commit, observedAt, headSync: heads.get(ref)?.sync });
  });
}

/** GitLab's followed refs, those that we know and it no longer lists or that are followed no longer, and at least the default one, so that an empty repository is a state too. */
function orderRefs({ listed, heads, defaultRef, followed }: { listed: readonly RefHead[]; heads: ReadonlyMap<RefName, Head>; defaultRef: RefName; followed: FollowedRefs }): RefName[] {
  const there = new Set(listed.map((head) => head.ref).filter((ref) => isFollowed(ref, followed)));
  const gone = [...heads.values()].filter((head) => !head.isDeleted && !there.has(head.ref)).map((head) => head.ref);
  const all = new Set([...there, ...gone]);
  if (all.size === 0 && isFollowed(defaultRef, followed)) return [defaultRef];
  return all.has(defaultRef) ? [defaultRef, ...[...all].filter((ref) => ref !== defaultRef)] : [...all];
}

/** The ref that stood for an empty repository is looked at with the first push: it may go by another name. */
function phantoms(heads: ReadonlyMap<RefName, Head>): RefName[] {
  return [...heads.values()].filter((head) => head.commit === null && !head.isDeleted).map((head) => head.ref);
}
