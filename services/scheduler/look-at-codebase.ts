import type { CodebaseId, Position, RefName, SyncId } from '#schemas/brand.ts';
import { gapKeyOf, gapStream, syncIdOf } from '#schemas/ids.ts';
import type { Bus } from '#shared/bus/bus.ts';
import type { GitLab, RefHead } from '#shared/gitlab/gitlab.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { CodebaseView, ReadStore } from '#shared/read-store/read-store.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { differencesOf, judge, type Gap, type Judgement } from './find-gaps.ts';

export interface LookDeps {
  readonly log: Pick<EventLog, 'append' | 'head' | 'readStream'>;
  readonly store: Pick<ReadStore, 'codebase' | 'position' | 'refs' | 'refsUnderWay' | 'lastEnded' | 'sync'>;
  readonly bus: Pick<Bus, 'parked' | 'workedUpTo'>;
  now(): Date;
}

/** What the looks before left in mind. Lost with the process: that costs one more look. */
export interface Mind {
  readonly suspects: ReadonlyMap<RefName, SyncId | null>;
  /** A cause for every ref, and a place in the log behind it. */
  readonly whole: { readonly hintAt: string; readonly position: Position } | undefined;
  /** The newest such cause that the fetcher is known to have finished. */
  readonly settledHintAt: string | null;
}

export type Look =
  | {
    readonly kind: 'seen'; readonly lookedAt: string; readonly position: Position; readonly different: readonly RefName[] | null;
    readonly requests: number; readonly gaps: number; readonly mind: Mind;
  }
  /** GitLab's 401, 403 or 404: it proves nothing (I8). */
  | { readonly kind: 'unanswered'; readonly detail: string }
  /** Not followed any more. */
  | { readonly kind: 'left' };

/** Appends that one look may lead to. What is beyond is found by the next. */
const GAPS_MAX = 1_000;
/** Names kept of the refs that differed; beyond, the look speaks of none. */
const DIFFERENT_MAX = 1_000;
/** Times that one head was found anew while the clock caught up with itself. */
const TOLD_BEFORE_MAX = 100;
const PER_PAGE = 100;
const FETCHER = 'fetcher';

/** Compares GitLab's refs with ours and tells what is missing. @throws Unavailable, and then nothing is concluded */
export async function lookAtCodebase(deps: LookDeps, { id, gitlab, mind }: { id: CodebaseId; gitlab: GitLab; mind: Mind }): Promise<Look> {
  const { store } = deps;
  const codebase = await store.codebase(id);
  if (codebase?.state !== 'active') return { kind: 'left' };
  const whole = await settle(deps, codebase, mind);
  // In this order: what the tables say before GitLab is asked can only be older than what it answers.
  const position = await store.position();
  const stored = await store.refs(id);
  const head = await deps.log.head();
  const lookedAt = deps.now().toISOString();
  const withTags = codebase.followed.tags.length > 0;
  const listed = await gitlab.heads(codebase.gitlabProjectId as never, { withTags });
  if (listed.kind !== 'ok') return { kind: 'unanswered', detail: listed.detail };

  const { followed } = codebase;
  let different = differencesOf({ listed: listed.value, stored, followed });
  let judgement: Judgement = { gaps: [], suspects: new Map() };
  if (different.length > 0) {
    // Asked again behind the answer: every hint that was in the log before it is in the tables now, or nothing is concluded.
    const isCurrent = (await store.position()) >= head;
    const [storedNow, refsUnderWay, lastEnded] = await Promise.all([store.refs(id), store.refsUnderWay(id), store.lastEnded(id, different.map(({ ref }) => ref))]);
    const still = new Set(differencesOf({ listed: listed.value, stored: storedNow, followed }).map(({ ref }) => ref));
    different = different.filter(({ ref }) => still.has(ref));
    if (isCurrent) judgement = judge({ codebase: id, differences: different, refsUnderWay, lastEnded, wholeHintAt: whole.settledHintAt === codebase.lastWholeHintAt ? null : codebase.lastWholeHintAt, suspects: mind.suspects });
  }
  const gaps = await tellGaps(deps, { codebase, judgement, lookedAt });
  return {
    kind: 'seen', lookedAt, position, gaps, requests: requestsOf(listed.value, withTags),
    different: different.length > DIFFERENT_MAX ? null : different.map(({ ref }) => ref),
    mind: { ...whole, suspects: judgement.suspects },
  };
}

/** A cause for every ref leaves no trace of refs that it has not reached yet: until the fetcher is through with it, they may be coming. */
async function settle({ store, bus }: LookDeps, { lastWholeHintAt }: CodebaseView, { whole, settledHintAt }: Mind): Promise<Pick<Mind, 'whole' | 'settledHintAt'>> {
  if (lastWholeHintAt === null || lastWholeHintAt === settledHintAt) return { whole: undefined, settledHintAt };
  if (whole?.hintAt !== lastWholeHintAt) return { whole: { hintAt: lastWholeHintAt, position: await store.position() }, settledHintAt };
  const done = await bus.workedUpTo(FETCHER);
  return done !== undefined && done >= whole.position ? { whole: undefined, settledHintAt: lastWholeHintAt } : { whole, settledHintAt };
}

async function tellGaps(deps: LookDeps, { codebase, judgement, lookedAt }: { codebase: CodebaseView; judgement: Judgement; lookedAt: string }): Promise<number> {
  // Behind a parked key a gap would only wait; that it is parked is shown, and what is redriven looks at GitLab anew.
  if (judgement.gaps.length === 0 || (await deps.bus.parked({ key: codebase.id })).length > 0) return 0;
  let told = 0;
  for (const gap of judgement.gaps.slice(0, GAPS_MAX)) if (await tellGap(deps, gap, { id: codebase.id, lookedAt })) told += 1;
  return told;
}

/** False when another scheduler, or a look before, has told this very gap. */
async function tellGap({ log, store, now }: LookDeps, { ref, found, known, lastEnded }: Gap, { id, lookedAt }: { id: CodebaseId; lookedAt: string }): Promise<boolean> {
  let after = lastEnded?.id ?? null;
  for (let toldBefore = 0; toldBefore < TOLD_BEFORE_MAX; toldBefore += 1) {
    const key = gapKeyOf(id, ref, { lastEnded: after, found });
    const fact = newFact({
      type: 'gap.detected', key: id, actor: { kind: 'scheduler', id: 'poll' }, correlationId: key, causationId: null, time: now(),
      data: { codebaseId: id, ref, found, known, lookedAt, how: 'poll' },
    });
    if ((await log.append(gapStream(key), 'noStream', [fact])).kind === 'appended') return true;
    // What ended last is known by our clock: where that was set back, it is what ended last before, and the same head again has the key
    // of then. Its own sync tells the two apart: that has ended, and by the clock sooner than what counts as the last.
    const [then] = await log.readStream(gapStream(key), { limit: 1 });
    if (then === undefined || lastEnded === undefined) return false;
    const sync = syncIdOf(then.id, id, ref);
    const endedAt = (await store.sync(sync))?.endedAt ?? null;
    if (endedAt === null || endedAt >= lastEnded.begunAt) return false;
    after = sync;
  }
  return false;
}

/** As the lists were paged: a page of each kind, and one more for each hundred. */
function requestsOf(heads: readonly RefHead[], withTags: boolean): number {
  const tags = heads.filter(({ ref }) => ref.startsWith('refs/tags/')).length;
  return 1 + Math.floor((heads.length - tags) / PER_PAGE) + (withTags ? 1 + Math.floor(tags / PER_PAGE) : 0);
}
