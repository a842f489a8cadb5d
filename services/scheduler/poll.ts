import type { CodebaseId, SourceId } from '#schemas/brand.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import type { Metrics } from '#shared/runtime/metrics.ts';
import type { PollingSettings } from '#shared/runtime/settings.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { createBudget, type Budget } from './budget.ts';
import { bySource } from './by-source.ts';
import { checkHook, HOOK_CHECK_REQUESTS } from './check-hook.ts';
import { hookWishOf } from './ensure-hook.ts';
import { lookAtCodebase, type Look, type LookDeps } from './look-at-codebase.ts';
import type { Looks } from './looks.ts';
import type { SchedulerDeps } from './on-codebase-registered.ts';
import { boundOf, dueLooks, elapsedMs } from './plan-looks.ts';
import { loadRoster, lookedOf, type Roster, type Watched } from './roster.ts';

export interface PollDeps extends SchedulerDeps, LookDeps {
  readonly log: SchedulerDeps['log'] & LookDeps['log'];
  readonly store: LookDeps['store'] & Pick<ReadStore, 'codebases'>;
  readonly looks: Looks;
  readonly metrics: Pick<Metrics, 'looks' | 'gaps' | 'gitlabBudgetLeft' | 'oldestLookSeconds' | 'pollBoundSeconds'>;
  readonly logger: Logger;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Who is due is asked this often. */
const TICK_MS = 1_000;
/** New codebases and hints are seen within this. At 5,000 codebases reading them takes some 50 ms. */
const ROSTER_EVERY_MS = 5_000;
/** Between the two looks that make a gap: longer than a webhook is on its way through GitLab's queue, mostly. */
const CONFIRM_MS = 3_000;
/** Of one source at a time: two fifths of what it serves us at once, so that syncs go before. */
const LOOKS_AT_ONCE = 4;
/** After a failed look of one codebase; doubled with each further one, up to the idle pace. */
const FAILED_WAIT_MS = 5_000;
/** So many looks in a row that a source did not answer are about the source. */
const SOURCE_FAILURES_MAX = 3;
const SOURCE_WAIT_MS_MAX = 60_000;

interface SourceState { readonly budget: Budget; underWay: number; failures: number; told: string; basis: string | undefined; secrets: number }

/** Looks at what is due, and after webhooks, until told to stop; resolves once what was begun has ended. */
export async function poll(deps: PollDeps, config: PollingSettings, signal: AbortSignal): Promise<void> {
  const sources = new Map<SourceId, SourceState>();
  const inHand = new Set<Promise<void>>();
  let roster: Roster = new Map();
  let rosterAt = -Infinity;
  while (!signal.aborted) {
    try {
      const now = deps.now().getTime();
      if (elapsedMs(rosterAt, now) >= Math.min(ROSTER_EVERY_MS, config.activeSeconds * 500)) {
        roster = await loadRoster(deps, roster);
        rosterAt = now;
        await tellPace(deps, config, { sources, roster });
      }
      for (const work of due({ deps, config, sources, roster, now })) {
        const working = work().finally(() => inHand.delete(working));
        inHand.add(working);
      }
    } catch (error) {
      deps.logger.warn({ error }, 'polling waits');
      await deps.sleep(FAILED_WAIT_MS, signal);
    }
    await deps.sleep(TICK_MS, signal);
  }
  await Promise.all(inHand);
}

interface Round { readonly deps: PollDeps; readonly config: PollingSettings; readonly sources: Map<SourceId, SourceState>; readonly roster: Roster; readonly now: number }

/** What may be begun now: within each source's budget and places, second looks and looks before hooks. */
function due({ deps, config, sources, roster, now }: Round): (() => Promise<void>)[] {
  const idle = [...roster.values()].filter((one) => !one.isBusy);
  const pace = { activeMs: config.activeSeconds * 1_000, idleMs: config.idleSeconds * 1_000 };
  const begun: (() => Promise<void>)[] = [];
  const begin = (watched: Watched, requests: number, work: (source: SourceState) => Promise<void>) => {
    const source = stateOf(sources, watched.sourceId, { config, now });
    if (watched.isBusy || source.underWay >= LOOKS_AT_ONCE || !source.budget.take(requests, now)) return;
    watched.isBusy = true;
    source.underWay += 1;
    begun.push(() => work(source).finally(() => { watched.isBusy = false; source.underWay -= 1; }));
  };
  for (const { watched, requests } of dueLooks(idle.map(lookedOf), { now, pace })) begin(watched, requests, (source) => lookAt({ deps, config, source, watched }));
  for (const watched of idle.filter((one) => isHookDue(one, { config, now, source: sources.get(one.sourceId) }))) begin(watched, HOOK_CHECK_REQUESTS, (source) => lookAfterHook({ deps, config, source, watched }));
  return begun;
}

function stateOf(sources: Map<SourceId, SourceState>, id: SourceId, { config, now }: { config: PollingSettings; now: number }): SourceState {
  const known = sources.get(id) ?? { budget: createBudget(config.requestsPerMinute, now), underWay: 0, failures: 0, told: '', basis: undefined, secrets: 0 };
  sources.set(id, known);
  return known;
}

function isHookDue({ hook, row, registeredAt, isHookDoubted }: Watched, { config, now, source }: { config: PollingSettings; now: number; source: Pick<SourceState, 'basis' | 'secrets'> | undefined }): boolean {
  const { basis, secrets = 0 } = source ?? {};
  const hasOldSecrets = (row.hookSecrets ?? 0) < secrets;
  if (hook === 'pending') return false; // Who eats the registration is at it.
  if (isHookDoubted && hook === 'installed') return true;
  // Another address or other credentials: what was refused may be taken now, what was made may lead nowhere.
  if (basis !== undefined && basis !== row.hookBasis && (hook === 'refused' || row.hookBasis !== null || hasOldSecrets)) return true;
  const every = hook === 'installed' && !hasOldSecrets ? config.hookCheckSeconds : config.hookRetrySeconds;
  return elapsedMs(row.hookCheckedAt === null ? registeredAt : Date.parse(row.hookCheckedAt), now) >= every * 1_000;
}

interface Working { readonly deps: PollDeps; readonly config: PollingSettings; readonly source: SourceState; readonly watched: Watched }

async function lookAt(work: Working): Promise<void> {
  const { deps, watched, source } = work;
  const outcome = await attempt(work, async () => {
    const access = await deps.sources.access(watched.sourceId);
    if (access === undefined) return { kind: 'unanswered', detail: 'the source has no credentials' } as const;
    return lookAtCodebase(deps, { id: watched.id, gitlab: deps.openGitLab(access), mind: { suspects: watched.suspects, whole: watched.whole, settledHintAt: watched.row.settledHintAt } });
  });
  if (outcome?.kind === 'left') return;
  if (outcome?.kind === 'seen') seen(work, outcome);
  else failed(work, outcome?.detail);
  const { row } = watched;
  await deps.looks.looked(watched.id, row).catch((error: unknown) => deps.logger.warn({ error, codebase: watched.id }, 'a look could not be kept'));
  if (outcome?.kind === 'seen') source.failures = 0;
}

/** What GitLab did not answer is undefined: away, tried later, nothing concluded (I8). */
async function attempt<T>({ deps, source, watched }: Working, step: () => Promise<T>): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof Unavailable)) deps.logger.error({ error, codebase: watched.id }, 'a look failed');
    else if (error.retryAfterMs !== undefined) source.budget.hold(deps.now().getTime(), error.retryAfterMs, error.message);
    return undefined;
  }
}

function seen({ deps, source, watched }: Working, look: Extract<Look, { kind: 'seen' }>): void {
  const { row } = watched;
  source.budget.owe(Math.max(0, look.requests - row.requests));
  watched.row = { ...row, lookedAt: look.lookedAt, position: look.position, different: look.different, requests: look.requests, failures: 0, nextAt: null, settledHintAt: look.mind.settledHintAt };
  watched.whole = look.mind.whole;
  watched.suspects = look.mind.suspects;
  watched.confirmAt = look.mind.suspects.size > 0 ? deps.now().getTime() + CONFIRM_MS : null;
  deps.metrics.looks.inc({ outcome: look.different?.length === 0 ? 'equal' : 'different' });
  if (look.gaps === 0) return;
  deps.metrics.gaps.inc(look.gaps);
  watched.isHookDoubted = true;
  deps.logger.warn({ codebase: watched.id, gaps: look.gaps }, 'GitLab had changed and no webhook had told');
}

function failed({ deps, config, source, watched }: Working, detail: string | undefined): void {
  const { row } = watched;
  const now = deps.now().getTime();
  const waitMs = Math.min(config.idleSeconds * 1_000, FAILED_WAIT_MS * 2 ** Math.min(row.failures, 20));
  watched.row = { ...row, failures: row.failures + 1, nextAt: new Date(now + waitMs).toISOString() };
  source.failures += 1;
  if (source.failures >= SOURCE_FAILURES_MAX) source.budget.hold(now, Math.min(SOURCE_WAIT_MS_MAX, FAILED_WAIT_MS * 2 ** Math.min(source.failures - SOURCE_FAILURES_MAX, 20)), detail ?? 'GitLab does not answer');
  deps.metrics.looks.inc({ outcome: detail === undefined ? 'away' : 'unanswered' });
  deps.logger.info({ codebase: watched.id, detail, waitMs }, 'a look was not answered');
}

async function lookAfterHook(work: Working): Promise<void> {
  const { deps, watched, source } = work;
  const checked = await attempt(work, () => checkHook(deps, { id: watched.id, trouble: watched.row.hookTrouble, secrets: watched.row.hookSecrets }));
  // Not answered: as if it had been, so that it is tried again when it is due next.
  const { hookTrouble, hookBasis, hookSecrets } = watched.row;
  const check = checked?.row ?? { hookCheckedAt: deps.now().toISOString(), hookTrouble, hookBasis: source.basis ?? hookBasis, hookSecrets };
  watched.isHookDoubted = checked?.isUntried === true;
  watched.row = { ...watched.row, ...check };
  await deps.looks.hookChecked(watched.id, check).catch((error: unknown) => deps.logger.warn({ error, codebase: watched.id }, 'a check of a webhook could not be kept'));
}

/** Says how close the looks can be: in the metrics, and in the table where it changed. */
async function tellPace(deps: PollDeps, config: PollingSettings, { sources, roster }: { sources: Map<SourceId, SourceState>; roster: ReadonlyMap<CodebaseId, Watched> }): Promise<void> {
  const now = deps.now().getTime();
  const pace = { activeMs: config.activeSeconds * 1_000, idleMs: config.idleSeconds * 1_000 };
  for (const [id, all] of bySource(roster.values())) {
    const source = stateOf(sources, id, { config, now });
    const wish = await hookWishOf(deps, id);
    source.basis = wish?.basis;
    source.secrets = wish?.secrets ?? 0;
    const looked = all.map(lookedOf);
    const bound = boundOf(looked, { now, pace, requestsPerMinute: config.requestsPerMinute });
    const held = source.budget.held;
    const isHeld = held !== undefined && held.until > now;
    const told = {
      activeBoundSeconds: Math.ceil(bound.activeMs / 1_000), idleBoundSeconds: Math.ceil(bound.idleMs / 1_000), requestsPerMinute: config.requestsPerMinute,
      wantedPerMinute: Math.ceil(bound.wantedPerMinute), heldUntil: isHeld ? new Date(held.until).toISOString() : null, heldReason: isHeld ? held.reason.slice(0, 500) : null,
    };
    deps.metrics.pollBoundSeconds.set({ source: id, pace: 'active' }, told.activeBoundSeconds);
    deps.metrics.pollBoundSeconds.set({ source: id, pace: 'idle' }, told.idleBoundSeconds);
    deps.metrics.gitlabBudgetLeft.set({ source: id }, Math.floor(source.budget.left(now)));
    deps.metrics.oldestLookSeconds.set({ source: id }, Math.max(0, ...looked.map(({ lookedAt }) => (now - lookedAt) / 1_000)));
    if (source.told === JSON.stringify(told)) continue;
    await deps.looks.paced(id, told);
    source.told = JSON.stringify(told);
  }
}
