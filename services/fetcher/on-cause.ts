import type { CodebaseId, Position, RefName, SyncId } from '#schemas/brand.ts';
import type { RefHint } from '#schemas/events/push-received.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { codebaseStream, syncIdOf } from '#schemas/ids.ts';
import type { Handling, Outcome } from '#shared/bus/bus.ts';
import { applyToCodebase, type CodebaseState } from '#shared/lifecycles/codebase-state.ts';
import { readState } from '#shared/lifecycles/read-state.ts';
import { hintsOf, newerOf } from './hints.ts';
import { planRefs, type RefPlan } from './plan-refs.ts';
import type { SourcePlaces } from '#shared/gitlab/source-places.ts';
import { startSync, type StartSyncDeps } from './start-sync.ts';
import type { SyncState } from './sync-ends.ts';

/** A third try meets what a second did not, a fifth meets nothing new: then people look. */
const ATTEMPTS_MAX = 5;
const ATTEMPT_BACKOFF_MS = [0, 500, 2_000, 10_000, 30_000] as const;
/** GitLab may show an older head for a while after its hook (a replica behind). */
export const LAG_MS_MAX = 60_000;

type Cause = Fact<'codebase.registered' | 'codebase.changed' | 'codebase.restored' | 'push.received' | 'sync.requested' | 'gap.detected' | 'sync.failed'>;

export interface CauseMemory {
  /** The heads are listed once a cause, not once a look at it. */
  readonly plans: Map<string, RefPlan[]>;
  /** Hints that were left to a newer cause: `<cause id> <ref>`. */
  readonly leftTo: Map<string, readonly RefHint[]>;
}

export interface CauseDeps extends StartSyncDeps {
  readonly memory: CauseMemory;
  readonly places: SourcePlaces;
}

/** Brings every ref that a cause stands for to what GitLab has now, one sync after the other; done when all have ended. */
export async function onCause(deps: CauseDeps, fact: Fact, handling: Handling): Promise<Outcome> {
  const cause = fact as Cause;
  const codebase = cause.data.codebaseId;
  const state = await readState(deps.log, codebaseStream(codebase), applyToCodebase);
  if (state === undefined) return { kind: 'done' }; // Nobody follows it.
  const attempt = attemptOf(cause, handling);
  if (state.standing === 'active' && attempt > ATTEMPTS_MAX) return { kind: 'park', reason: `the sync of ${(cause as Fact<'sync.failed'>).data.ref} failed ${ATTEMPTS_MAX} times, last: ${(cause as Fact<'sync.failed'>).data.detail}` };
  const waitMs = backoffMs(cause, attempt, deps.now());
  if (state.standing === 'active' && waitMs > 0) return { kind: 'retry', afterMs: waitMs, reason: `attempt ${attempt}` };

  const { sourceId } = state.registration.data;
  const leave = deps.places.take(sourceId, cause.id);
  if (leave === undefined) return { kind: 'hold', reason: `as many codebases of source ${sourceId} as may be are worked on`, until: (signal) => deps.places.reserve(sourceId, cause.id, signal) };
  try {
    return await workThrough(deps, { cause, codebase: state, attempt, handling });
  } finally {
    leave();
  }
}

async function workThrough(deps: CauseDeps, work: Omit<Work, 'plan'>): Promise<Outcome> {
  const { cause, codebase, handling } = work;
  await deps.heads.enter(codebase.registration.data.codebaseId, handling.term);
  const plans = deps.memory.plans.get(cause.id) ?? await planRefs(deps, cause, codebase);
  if (!Array.isArray(plans)) return plans;
  deps.memory.plans.set(cause.id, plans);
  // What has ended leaves the list: a cause of 1,000 refs is looked at 1,000 times, and each look must cost the same.
  for (let plan = plans[0]; plan !== undefined; plan = plans[0]) {
    const outcome = await workOn(deps, { ...work, plan }).catch((error: unknown) => {
      // After an outage the list of heads is old: it is asked for anew.
      deps.memory.plans.delete(cause.id);
      throw error;
    });
    if (outcome.kind !== 'ended') {
      // After a wait for GitLab, or for people, the list of heads is old: it is asked for anew.
      if (outcome.kind === 'retry' || outcome.kind === 'park') deps.memory.plans.delete(cause.id);
      return outcome;
    }
    plans.shift();
    const followUp = followUpOf(plan, outcome.state, handling);
    if (followUp !== undefined) plans.unshift(followUp);
    // Kept for a follow-up: it waits for what all of the hints expect together.
    else deps.memory.leftTo.delete(`${cause.id} ${plan.ref}`);
  }
  deps.memory.plans.delete(cause.id);
  return { kind: 'done' };
}

interface Work {
  readonly cause: Cause;
  readonly codebase: CodebaseState;
  readonly plan: RefPlan;
  readonly attempt: number;
  readonly handling: Handling;
}

type Ended = { readonly kind: 'ended'; readonly state: Extract<SyncState, { kind: 'ended' }> };

async function workOn(deps: CauseDeps, work: Work): Promise<Outcome | Ended> {
  const { plan, cause } = work;
  const codebase = cause.data.codebaseId;
  const sync = syncIdOf(plan.cause, codebase, plan.ref);
  let state = await deps.ends.stateOfSync(sync);
  if (state.kind === 'none') {
    const before = await endLastBegun(deps, work);
    if (before !== undefined) return before;
    const coveredBy = await leaveToNewer(deps, work);
    const hints = [...(deps.memory.leftTo.get(`${cause.id} ${plan.ref}`) ?? []), ...(hintsOf(cause, plan.ref) ?? [])];
    const outcome = await startSync(deps, { ...work, id: codebase, sync, hints, coveredBy });
    if (outcome !== 'begun') return outcome;
    state = await deps.ends.stateOfSync(sync);
  }
  if (state.kind !== 'ended') return untilEnded(deps, cause, sync);
  await rememberHead(deps, codebase, plan.ref, state);
  return { kind: 'ended', state };
}

/**
 * A cause that waited aside, for GitLab or over a restart, may come back in the middle of a later one's sync of the same ref: until that
 * has ended, and is remembered, nobody knows the head, and the same commit would be brought once more. Undefined when nothing is under way.
 */
async function endLastBegun(deps: CauseDeps, { cause, plan }: Work): Promise<Outcome | undefined> {
  const codebase = cause.data.codebaseId;
  const last = await deps.heads.lastBegun(codebase, plan.ref);
  if (last === undefined) return undefined;
  const sync = syncIdOf(last.cause, codebase, plan.ref);
  if (sync === last.headSync) return undefined;
  const state = await deps.ends.stateOfSync(sync);
  if (state.kind === 'underWay') return untilEnded(deps, cause, sync);
  if (state.kind === 'ended') await rememberHead(deps, codebase, plan.ref, state);
  return undefined;
}

async function untilEnded({ ends }: CauseDeps, { key }: Cause, sync: SyncId): Promise<Outcome> {
  if (await ends.isParkedBehind(key)) return { kind: 'park', reason: `behind sync ${sync}, whose scan or storing is parked` };
  return { kind: 'hold', reason: `sync ${sync} is under way`, until: (signal) => ends.untilEnded(sync, key, signal) };
}

/** Waiting hints of one ref are taken together: the newest does the work, this one ends at once. Not to one that has looked at GitLab already. */
async function leaveToNewer({ memory, ends }: CauseDeps, { cause, plan, handling }: Work): Promise<SyncId | undefined> {
  if (hintsOf(cause, plan.ref) === undefined || plan.cause !== cause.id) return undefined;
  const newer = newerOf(handling.waiting, plan.ref);
  if (newer === undefined) return undefined;
  const sync = syncIdOf(newer.id, cause.data.codebaseId, plan.ref);
  if ((await ends.stateOfSync(sync)).kind !== 'none') return undefined;
  const own = `${cause.id} ${plan.ref}`;
  const theirs = `${newer.id} ${plan.ref}`;
  const hints = [...(memory.leftTo.get(own) ?? []), ...(hintsOf(cause, plan.ref) ?? [])];
  const before = memory.leftTo.get(theirs) ?? [];
  memory.leftTo.set(theirs, [...before, ...hints.filter((hint) => !before.includes(hint))]);
  return sync;
}

async function rememberHead(deps: StartSyncDeps, codebase: CodebaseId, ref: RefName, { end }: Ended['state']): Promise<void> {
  const at: Position = end.position;
  if (end.type === 'codebase.stored') await deps.heads.remember(codebase, { ref, commit: end.data.commit, isDeleted: false, sync: end.data.syncId }, at);
  if (end.type === 'ref.deleted' || end.type === 'ref.unfollowed') await deps.heads.remember(codebase, { ref, commit: null, isDeleted: true, sync: end.data.syncId }, at);
}

/** GitLab had something new, but not yet what the hint named: asked again in a sync that follows from this one's end. */
function followUpOf(plan: RefPlan, { end }: Ended['state'], handling: Handling): RefPlan | undefined {
  if (end.type !== 'codebase.stored' || end.data.hintReached !== false || handling.sinceFirstMs > LAG_MS_MAX) return undefined;
  return { ref: plan.ref, cause: end.id, causeTime: end.time, listed: undefined };
}

function attemptOf(cause: Cause, handling: Handling): number {
  return cause.type === 'sync.failed' && !handling.isRedriven ? cause.data.attempt + 1 : 1;
}

function backoffMs(cause: Cause, attempt: number, now: Date): number {
  if (cause.type !== 'sync.failed' || attempt === 1) return 0;
  const wanted = ATTEMPT_BACKOFF_MS[attempt - 1] ?? 30_000;
  return Math.max(0, Math.min(wanted, Date.parse(cause.time) + wanted - now.getTime()));
}
