import type { Actor } from '#schemas/events/fact.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import type { PositionSignal } from '#shared/runtime/position-signal.ts';
import type { Cursor } from './cursor.ts';
import { nextPage, type FeedDeps, type Page } from './feed.ts';

/** Waits are measured by the steady clock: one that is set back must not make seconds an hour. */
export interface WaitDeps extends FeedDeps {
  readonly store: Pick<ReadStore, 'position'>;
  readonly projected: PositionSignal;
  now(): Date;
}

/** In one process the signal comes first. Over processes, and when rights change, this is how late we may be. */
const LOOK_AGAIN_MS = 500;

/** An end alone says only that nothing happened. */
export const hasNews = ({ entries }: Pick<Page, 'entries'>) => entries.some(({ op }) => op !== 'end');

/** The next page that has news; after `waitMs`, whatever there is then. */
export async function pageWithNews(deps: WaitDeps, { id, actor }: { id: string; actor: Actor }, options: { after?: Cursor | undefined; limit: number; waitMs: number; signal: AbortSignal }): Promise<Page> {
  const until = performance.now() + options.waitMs;
  for (;;) {
    const page = await nextPage(deps, id, options);
    const leftMs = until - performance.now();
    if (hasNews(page) || leftMs <= 0 || options.signal.aborted) return page;
    await untilChanged(deps, actor, { seen: page.seen, ms: leftMs, signal: options.signal });
  }
}

/** Resolves when the tables or the actor's rights are no longer as they were seen; or after `ms`, or when told to stop. */
export async function untilChanged(deps: WaitDeps, actor: Actor, { seen, ms, signal }: { seen: Page['seen']; ms: number; signal: AbortSignal }): Promise<void> {
  const until = performance.now() + ms;
  while (!signal.aborted && !(await isChanged(deps, actor, seen))) {
    const leftMs = until - performance.now();
    if (leftMs <= 0) return;
    await deps.projected.next(Math.min(leftMs, LOOK_AGAIN_MS), signal);
  }
}

export async function isChanged(deps: WaitDeps, actor: Actor, { position, codebases, shown }: Page['seen']): Promise<boolean> {
  if ((await deps.store.position()) !== position) return true;
  const now = await deps.readable(actor, codebases);
  return now.size !== shown.size || [...now].some((codebase) => !shown.has(codebase));
}
