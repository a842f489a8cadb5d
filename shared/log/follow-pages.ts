import type { Position } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { Batch, SubscribeOptions } from './event-log.ts';
import type { LogTurn } from './log-turn.ts';

export type ReadPage = (options: { readonly after: Position; readonly prefixes: readonly string[] }) => Promise<Batch>;

export interface FollowDeps {
  readonly readPage: ReadPage;
  readonly turn: LogTurn;
  /** Ends, by whatever way, when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The first is about a server's restart; the last is how late a consumer may learn that the log is back. */
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 2_000;

/**
 * A subscription over a log that can be read in pages: old facts and new ones by the same code. Between two pages it waits for
 * the log to turn; while the log is away it tries again from the last position that it gave.
 */
export async function* followPages(deps: FollowDeps, { after, prefixes, signal }: SubscribeOptions): AsyncGenerator<Batch, void, void> {
  const { turn } = deps;
  let position = after;
  let wasCaughtUp: boolean | undefined;

  while (!signal.aborted) {
    const seen = turn.current();
    const page = await untilRead(deps, { after: position, prefixes, signal });
    if (page === undefined || signal.aborted) return;

    if (page.facts.length > 0 || page.position !== position || page.isCaughtUp !== wasCaughtUp) yield page;
    // Only now: whoever took the page has asked for the next one.
    position = page.position;
    wasCaughtUp = page.isCaughtUp;
    if (page.isCaughtUp) await turn.changed(seen, signal);
  }
}

/** Undefined once aborted, however long the read under way would still take. @throws whatever is not "the log is away" */
async function untilRead({ readPage, sleep }: FollowDeps, { signal, ...place }: SubscribeOptions): Promise<Batch | undefined> {
  for (let waitMs = RETRY_MS_MIN; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
    try {
      return await orAborted(readPage(place), signal);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
    }
    // An abort ends the wait; the loop sees it.
    await sleep(waitMs, signal).catch(() => undefined);
  }
  return undefined;
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const stop = () => resolve(undefined);
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
