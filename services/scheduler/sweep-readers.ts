import type { CodebaseId, GitLabProjectId, SourceId } from '#schemas/brand.ts';
import type { OpenGitLab } from '#shared/gitlab/gitlab.ts';
import type { CodebaseView, ReadStore } from '#shared/read-store/read-store.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { SourceDirectory } from '#shared/sources/source-directory.ts';
import type { Budget } from './budget.ts';
import { bySource } from './by-source.ts';
import { lookAtReaders, type ReaderLookDeps, type ReadersLook } from './look-at-readers.ts';
import { elapsedMs } from './plan-looks.ts';
import { dueReaders, PUT_OFF_MS_MAX, READERS_EVERY_MS, readersBoundMs, type ReadersAsked } from './plan-readers.ts';
import { NEVER_ASKED, type ReaderLookRow, type ReaderLooks } from './reader-looks.ts';
import { leftForSweep, type ReadersBudgets } from './readers-budgets.ts';
import { followReadersHints, type HintDeps, type ReadersHints } from './readers-hints.ts';

export interface SweepDeps extends ReaderLookDeps, HintDeps {
  readonly log: ReaderLookDeps['log'] & HintDeps['log'];
  readonly store: ReaderLookDeps['store'] & HintDeps['store'] & Pick<ReadStore, 'codebases'>;
  readonly sources: Pick<SourceDirectory, 'access'>;
  readonly openGitLab: OpenGitLab;
  readonly readerLooks: ReaderLooks;
  readonly logger: Logger;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Who is due is asked this often: a webhook's word is followed within it. */
const TICK_MS = 1_000;
const ROSTER_EVERY_MS = 5_000;
const CODEBASES_A_PAGE = 1_000;
/** Of one source at a time. */
const LOOKS_AT_ONCE = 2;
/** After a look that GitLab did not answer; doubled with each further one. */
const FAILED_WAIT_MS = 5_000;
/** The tables come to what was appended within it. */
const BEHIND_WAIT_MS = 1_000;

interface Swept { readonly id: CodebaseId; readonly sourceId: SourceId; readonly gitlabProjectId: GitLabProjectId; row: ReaderLookRow; isBusy: boolean; failedAt: number | null }
interface SourceState { readonly budget: Budget; underWay: number; told: number | undefined }

/** Asks GitLab again and again who reads what, soon after webhooks that say it may have changed. Until told to stop; resolves once what was begun has ended. */
export async function sweepReaders(deps: SweepDeps, { budgets }: { readonly budgets: ReadersBudgets }, signal: AbortSignal): Promise<void> {
  const sources = new Map<SourceId, SourceState>();
  const inHand = new Set<Promise<void>>();
  let roster: ReadonlyMap<CodebaseId, Swept> = new Map();
  let rosterAt = -Infinity;
  const { hints, following } = await startHints(deps, signal);
  while (!signal.aborted) {
    try {
      const now = deps.now().getTime();
      if (elapsedMs(rosterAt, now) >= ROSTER_EVERY_MS) {
        roster = await loadRoster(deps, roster);
        rosterAt = now;
        await tellBounds(deps, { roster, sources, budgets, now });
        hints.forget(Math.min(...[...roster.values()].map(({ row }) => (row.askedAt === null ? 0 : Date.parse(row.askedAt)))));
      }
      for (const swept of dueReaders([...roster.values()].filter(({ isBusy }) => !isBusy).map((one) => askedOf(one, hints)), { now, everyMs: READERS_EVERY_MS })) {
        const source = stateOf(sources, swept.of.sourceId, { budgets, now });
        if (source.underWay >= LOOKS_AT_ONCE || !source.budget.take(swept.requests, now)) continue;
        const working = lookAt(deps, { swept: swept.of, source, hints }).finally(() => inHand.delete(working));
        inHand.add(working);
      }
    } catch (error) {
      deps.logger.warn({ error }, 'the sweep of readers waits');
      await deps.sleep(FAILED_WAIT_MS, signal);
    }
    await deps.sleep(TICK_MS, signal);
  }
  await Promise.all([...inHand, following]);
}

async function startHints(deps: SweepDeps, signal: AbortSignal): Promise<Awaited<ReturnType<typeof followReadersHints>>> {
  while (!signal.aborted) {
    try {
      return await followReadersHints(deps, signal);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      deps.logger.warn({ error }, 'the sweep of readers waits');
      await deps.sleep(FAILED_WAIT_MS, signal);
    }
  }
  return { hints: { of: () => undefined, forget: () => undefined }, following: Promise.resolve() };
}

/** Archived ones too: they are read. @throws Unavailable */
async function loadRoster({ store, readerLooks }: SweepDeps, before: ReadonlyMap<CodebaseId, Swept>): Promise<ReadonlyMap<CodebaseId, Swept>> {
  const rows = await readerLooks.all();
  const roster = new Map<CodebaseId, Swept>();
  for (let after = ''; ;) {
    const page: readonly CodebaseView[] = await store.codebases({ after, limit: CODEBASES_A_PAGE });
    for (const { id, sourceId, gitlabProjectId } of page) roster.set(id, before.get(id) ?? { id, sourceId, gitlabProjectId: gitlabProjectId as GitLabProjectId, row: rows.get(id) ?? NEVER_ASKED, isBusy: false, failedAt: null });
    const last = page.at(-1);
    if (last === undefined || page.length < CODEBASES_A_PAGE) return roster;
    after = last.id;
  }
}

function askedOf(of: Swept, hints: ReadersHints): ReadersAsked & { readonly of: Swept } {
  const { row } = of;
  const hinted = hints.of(of.sourceId, of.gitlabProjectId);
  return {
    of, id: of.id, requests: row.requests, askedAt: row.askedAt === null ? null : Date.parse(row.askedAt),
    // A word that came after a failure is worth a try at once.
    nextAt: row.nextAt === null || (hinted !== undefined && hinted.at > (of.failedAt ?? 0)) ? null : Date.parse(row.nextAt),
    hintedAt: hinted?.at ?? null, isOwnHint: hinted?.isOwn === true,
  };
}

function stateOf(sources: Map<SourceId, SourceState>, id: SourceId, { budgets, now }: { budgets: ReadersBudgets; now: number }): SourceState {
  const known = sources.get(id) ?? { budget: budgets.of(id, now), underWay: 0, told: undefined };
  sources.set(id, known);
  return known;
}

async function lookAt(deps: SweepDeps, { swept, source, hints }: { swept: Swept; source: SourceState; hints: ReadersHints }): Promise<void> {
  swept.isBusy = true;
  source.underWay += 1;
  try {
    const look = await ask(deps, { swept, source, hint: hints.of(swept.sourceId, swept.gitlabProjectId)?.hint });
    if (look.kind === 'seen') source.budget.owe(Math.max(0, look.requests - swept.row.requests));
    swept.row = rowAfter(swept.row, look, deps.now());
    if (look.kind === 'unanswered' || look.kind === 'behind') swept.failedAt = deps.now().getTime();
    await deps.readerLooks.keep(swept.id, swept.row);
  } catch (error) {
    deps.logger.warn({ error, codebase: swept.id }, 'a look at readers could not be kept');
  } finally {
    swept.isBusy = false;
    source.underWay -= 1;
  }
}

/** What GitLab did not answer changes nothing but when it is asked next (I8). */
async function ask(deps: SweepDeps, { swept, source, hint }: { swept: Swept; source: SourceState; hint: Parameters<typeof lookAtReaders>[1]['hint'] }): Promise<ReadersLook> {
  try {
    const access = await deps.sources.access(swept.sourceId);
    if (access === undefined) return { kind: 'unanswered', detail: 'the source has no credentials' };
    return await lookAtReaders(deps, { id: swept.id, gitlab: deps.openGitLab(access), hint });
  } catch (error) {
    if (!(error instanceof Unavailable)) deps.logger.error({ error, codebase: swept.id }, 'a look at readers failed');
    else if (error.retryAfterMs !== undefined) source.budget.hold(deps.now().getTime(), error.retryAfterMs, error.message);
    return { kind: 'unanswered', detail: error instanceof Unavailable ? error.message : 'the look failed' };
  }
}

function rowAfter(row: ReaderLookRow, look: ReadersLook, now: Date): ReaderLookRow {
  const later = (ms: number) => new Date(now.getTime() + ms).toISOString();
  switch (look.kind) {
    case 'seen': return { askedAt: look.askedAt, requests: look.requests, failures: 0, nextAt: null, trouble: null };
    case 'behind': return { ...row, nextAt: later(BEHIND_WAIT_MS) };
    case 'left': return { ...row, askedAt: now.toISOString(), nextAt: null };
    case 'unanswered': return { ...row, failures: row.failures + 1, nextAt: later(Math.min(PUT_OFF_MS_MAX, FAILED_WAIT_MS * 2 ** Math.min(row.failures, 20))), trouble: look.detail.slice(0, 500) };
    default: return look satisfies never;
  }
}

async function tellBounds(deps: SweepDeps, { roster, sources, budgets, now }: { roster: ReadonlyMap<CodebaseId, Swept>; sources: Map<SourceId, SourceState>; budgets: ReadersBudgets; now: number }): Promise<void> {
  for (const [id, all] of bySource(roster.values())) {
    const source = stateOf(sources, id, { budgets, now });
    const boundSeconds = Math.ceil(readersBoundMs(all.map(({ row }) => row), { requestsPerMinute: leftForSweep(budgets, id), everyMs: READERS_EVERY_MS }) / 1_000);
    if (source.told === boundSeconds) continue;
    await deps.readerLooks.paced(id, boundSeconds);
    source.told = boundSeconds;
  }
}
