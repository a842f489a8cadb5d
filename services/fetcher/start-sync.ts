import type { CodebaseId, ObjectId, RefName, SourceId, SyncId } from '#schemas/brand.ts';
import type { RefHint } from '#schemas/events/push-received.ts';
import type { Fact, NewFact } from '#schemas/events/facts.ts';
import { syncStream } from '#schemas/ids.ts';
import type { Handling, Outcome } from '#shared/bus/bus.ts';
import type { Answer, GitLab, GitLabAccess, GitLabProject, OpenGitLab } from '#shared/gitlab/gitlab.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { emptyTree } from '#shared/objects/git-objects.ts';
import { factAfter } from '#shared/runtime/new-fact.ts';
import { tookStep } from '#shared/runtime/trail.ts';
import type { SourceDirectory } from '#shared/sources/source-directory.ts';
import type { CodebaseState } from '#shared/lifecycles/codebase-state.ts';
import { bringCommit, type BringDeps, type BringOutcome, type Brought } from './bring-commit.ts';
import { decideHead, type Observed } from './decide-head.ts';
import { isFollowed } from '#shared/gitlab/followed.ts';
import type { Heads } from './heads.ts';
import { expectedOf } from './hints.ts';
import type { RefPlan } from './plan-refs.ts';
import type { SyncEnds } from './sync-ends.ts';

export interface StartSyncDeps extends BringDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly heads: Heads;
  readonly ends: SyncEnds;
  readonly sources: Pick<SourceDirectory, 'access'>;
  readonly openGitLab: OpenGitLab;
  now(): Date;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface StartSync {
  readonly cause: Fact;
  readonly codebase: CodebaseState;
  readonly plan: RefPlan;
  readonly attempt: number;
  readonly handling: Handling;
  readonly id: CodebaseId;
  readonly sync: SyncId;
  readonly hints: readonly RefHint[];
  /** The sync of a newer cause that will do the work instead. */
  readonly coveredBy: SyncId | undefined;
}

/** Credentials are mended by people: minutes, and nothing is lost by a late look. */
const REFUSED_WAIT_MS = 30_000;
/** Between the two times that GitLab must say a branch is gone. */
const GONE_AGAIN_MS = 300;

type Of = { syncId: SyncId; codebaseId: CodebaseId; ref: RefName };

/** Asks GitLab for the head, brings what is new, and begins the sync's stream with what came of it. @throws Unavailable */
export async function startSync(deps: StartSyncDeps, start: StartSync): Promise<'begun' | Outcome> {
  const { plan, coveredBy, codebase: { standing, registration, followed } } = start;
  const of: Of = { syncId: start.sync, codebaseId: start.id, ref: plan.ref };
  const skip = (data: Omit<Fact<'sync.skipped'>['data'], keyof Of>) => begin(deps, start, factFor(deps, start, { type: 'sync.skipped', data: { ...of, ...data } }));
  const nothing = { commit: null, defaultRef: null, observedAt: null, hintReached: null, coveredBy: null };
  if (standing !== 'active') return skip({ ...nothing, reason: standing === 'archived' ? 'codebase-archived' : 'codebase-removed' });
  const known = (await deps.heads.of(start.id, registration.position)).get(plan.ref);
  if (!isFollowed(plan.ref, followed)) {
    // It was: then it is no current state any more, and everybody is to know.
    if (known !== undefined && !known.isDeleted) return begin(deps, start, factFor(deps, start, { type: 'ref.unfollowed', data: { ...of, lastCommit: known.commit } }));
    return skip({ ...nothing, reason: 'not-followed' });
  }
  // Its cause names the ref: no restart forgets it, and in a burst there are thousands of these.
  if (coveredBy !== undefined) return append(deps, start, factFor(deps, start, { type: 'sync.skipped', data: { ...of, ...nothing, reason: 'newer-hint', coveredBy } }));

  const asked = await gitlabOf(deps, registration.data.sourceId);
  if (asked.kind !== 'ok') return asked.outcome;
  const listed = plan.listed?.headSync === known?.sync ? plan.listed : undefined;
  const observed = listed === undefined ? await observe(deps, asked.gitlab, start) : { at: listed.observedAt, project: listed.project, commit: listed.commit, parents: [], isExpectedKnown: undefined };
  if ('outcome' in observed) return observed.outcome;
  const decision = decideHead({ observed, known, expected: expectedOf(start.hints), sinceFirstMs: start.handling.sinceFirstMs, befores: start.hints.map((hint) => hint.before) });
  const seen = { defaultRef: defaultRefOf(observed.project), observedAt: observed.at.toISOString() };

  switch (decision.kind) {
    case 'wait': return { kind: 'aside', afterMs: decision.afterMs, reason: `GitLab does not show ${decision.expected} yet` };
    case 'skip': return skip({ ...seen, reason: decision.reason, coveredBy: decision.coveredBy, commit: decision.commit, hintReached: decision.hintReached });
    case 'deleted': return begin(deps, start, factFor(deps, start, { type: 'ref.deleted', data: { ...of, ...seen, lastCommit: decision.lastCommit } }));
    case 'empty': {
      const format = observed.project.objectFormat;
      const brought: Brought = { commitTime: null, tree: emptyTree(format), packs: [], counts: { commits: 0, trees: 0, blobs: 0 }, bytes: 0 };
      return begin(deps, start, fetchedFact(deps, start, { observed, brought, commit: null, hintReached: null }));
    }
    case 'bring': return bring(deps, start, { access: asked.access, observed, commit: decision.commit, hintReached: decision.hintReached });
    default: return decision satisfies never;
  }
}

interface Wanted { readonly access: GitLabAccess; readonly observed: Observed; readonly commit: ObjectId; readonly hintReached: boolean | null }

async function bring(deps: StartSyncDeps, start: StartSync, wanted: Wanted): Promise<'begun' | Outcome> {
  const { outcome, close } = await bringCommit(deps, {
    sync: start.sync, correlation: start.cause.correlationId, codebase: start.id, ref: start.plan.ref, access: wanted.access, project: wanted.observed.project, commit: wanted.commit, parents: wanted.observed.parents, signal: start.handling.signal,
  });
  try {
    return await tell(deps, start, { wanted, outcome });
  } finally {
    await close();
  }
}

async function tell(deps: StartSyncDeps, start: StartSync, { wanted, outcome }: { wanted: Wanted; outcome: BringOutcome }): Promise<'begun' | Outcome> {
  switch (outcome.kind) {
    case 'brought': return begin(deps, start, fetchedFact(deps, start, { ...wanted, brought: outcome.brought }));
    // The ref was rewritten between the look and the fetch: look again.
    case 'commitGone': return { kind: 'retry', afterMs: 500, reason: outcome.detail };
    case 'refused': return { kind: 'retry', afterMs: REFUSED_WAIT_MS, reason: `GitLab refused git: ${outcome.detail}` };
    case 'failed': return begin(deps, start, factFor(deps, start, {
      type: 'sync.failed',
      data: { syncId: start.sync, codebaseId: start.id, ref: start.plan.ref, step: 'fetch', reason: outcome.reason, detail: outcome.detail.slice(0, 2_000), attempt: start.attempt },
    }));
    default: return outcome satisfies never;
  }
}

/** What GitLab shows of the ref, asked after the cause was recorded. */
async function observe(deps: StartSyncDeps, gitlab: GitLab, { codebase, plan, hints, handling }: StartSync): Promise<Observed | { outcome: Outcome }> {
  const id = codebase.registration.data.gitlabProjectId;
  const at = deps.now();
  const [project, head] = await Promise.all([gitlab.project(id), gitlab.head(id, plan.ref)]);
  if (project.kind !== 'ok') return { outcome: waitForSource(project, 'the project') };
  if (head.kind === 'refused') return { outcome: waitForSource(head, 'the branch') };
  let shown = head.kind === 'ok' ? head.value : undefined;
  if (shown === undefined && !project.value.isEmpty) {
    // One 404 is no proof.
    await deps.sleep(GONE_AGAIN_MS, handling.signal);
    const again = await gitlab.head(id, plan.ref);
    if (again.kind === 'refused') return { outcome: waitForSource(again, 'the branch') };
    shown = again.kind === 'ok' ? again.value : undefined;
  }
  const commit = shown?.commit;
  const expected = expectedOf(hints);
  // Only asked when the head is another: does GitLab know the commit at all, or is what we ask behind?
  const asked = expected === null || expected === 'deleted' || expected === commit ? undefined : await gitlab.hasCommit(id, expected);
  return { at, project: project.value, commit, parents: shown?.parents ?? [], isExpectedKnown: asked?.kind === 'ok' ? asked.value : undefined };
}

export type Asked =
  | { readonly kind: 'ok'; readonly gitlab: GitLab; readonly access: GitLabAccess }
  | { readonly kind: 'wait'; readonly outcome: Outcome };

/** The GitLab of a source. @throws Unavailable */
export async function gitlabOf(deps: Pick<StartSyncDeps, 'sources' | 'openGitLab'>, source: SourceId): Promise<Asked> {
  const access = await deps.sources.access(source);
  if (access === undefined) return { kind: 'wait', outcome: { kind: 'retry', afterMs: REFUSED_WAIT_MS, reason: `source ${source} has no credentials` } };
  return { kind: 'ok', gitlab: deps.openGitLab(access), access };
}

/** GitLab does not let us see it, or has none: no proof of anything (I8). The key waits until that changes. */
export function waitForSource(answer: Exclude<Answer<unknown>, { kind: 'ok' }>, what: string): Outcome {
  return { kind: 'retry', afterMs: REFUSED_WAIT_MS, reason: `GitLab does not show us ${what}: ${answer.detail}` };
}

function defaultRefOf(project: GitLabProject): RefName | null {
  return project.defaultBranch === null ? null : (`refs/heads/${project.defaultBranch}` as RefName);
}

function fetchedFact(deps: StartSyncDeps, start: StartSync, made: { observed: Observed; brought: Brought; commit: ObjectId | null; hintReached: boolean | null }): NewFact {
  const { observed, brought } = made;
  return factFor(deps, start, {
    type: 'codebase.fetched',
    data: {
      syncId: start.sync, codebaseId: start.id, ref: start.plan.ref, commit: made.commit, objectFormat: observed.project.objectFormat,
      defaultRef: defaultRefOf(observed.project), observedAt: observed.at.toISOString(), hintReached: made.hintReached, attempt: start.attempt, ...brought,
    },
  });
}

type First = 'codebase.fetched' | 'sync.skipped' | 'ref.deleted' | 'ref.unfollowed' | 'sync.failed';

function factFor<Type extends First>(deps: StartSyncDeps, { cause, plan }: StartSync, parts: { type: Type; data: NewFact<Type>['data'] }): NewFact<Type> {
  return { ...factAfter<Type>(cause, { ...parts, time: deps.now(), worker: 'fetcher' }), causationId: plan.cause };
}

async function begin(deps: StartSyncDeps, start: StartSync, fact: NewFact): Promise<'begun' | Outcome> {
  const { id, plan, handling } = start;
  if (!(await deps.heads.begin(id, plan.ref, { cause: plan.cause, term: handling.term }))) return { kind: 'retry', afterMs: 1_000, reason: 'another fetcher has taken over' };
  return append(deps, start, fact);
}

/** Another fetcher may have begun this sync meanwhile: then its fact is the truth, and ours is dropped. */
async function append(deps: StartSyncDeps, { id, sync }: StartSync, fact: NewFact): Promise<'begun'> {
  const { kind } = await deps.log.append(syncStream(sync), 'noStream', [fact]);
  if (kind === 'appended' && fact.type !== 'codebase.fetched') tookStep(deps.logger, 'ended', { sync, correlation: fact.correlationId, codebase: id, type: fact.type });
  return 'begun';
}
