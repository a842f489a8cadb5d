import type { Position } from '#schemas/brand.ts';
import type { Batch } from './event-log.ts';
import type { ReadPage } from './follow-pages.ts';
import type { LogTurn } from './log-turn.ts';

/** A page of all streams, of what stood after `after` when the log had this turn. */
interface JointPage { readonly after: Position; readonly turn: number; readonly batch: Promise<Batch> }

/**
 * The end of the log is read once for all subscriptions of this process, where each had read it for itself: with nine of them a
 * push took 52 reads of a page. Only the end: who is behind it reads its own pages, of the streams that it wants. A page is
 * shared only with who asks in the turn in which it was read, or earlier: so it holds all that any of them was told of.
 */
export function createJointPages(readPage: ReadPage, turn: Pick<LogTurn, 'current'>): ReadPage {
  /** The newest page, no larger than any other. */
  let last: JointPage | undefined;
  /** Where the log was last seen to end: whoever is there reads with the others. */
  let end: Position | undefined;

  return async ({ after, prefixes }) => {
    if (end !== after && last?.after !== after) return noteEnd(await readPage({ after, prefixes }));
    const batch = await atTheEnd(after);
    // More came than a page holds: who wants little of it passes over the rest faster by itself.
    if (!batch.isCaughtUp && prefixes.length > 0) return noteEnd(await readPage({ after, prefixes }));
    return partOf(batch, prefixes);
  };

  async function atTheEnd(after: Position): Promise<Batch> {
    const now = turn.current();
    if (last?.after === after && last.turn === now) return last.batch;
    const shared: JointPage = { after, turn: now, batch: readPage({ after, prefixes: [] }) };
    last = shared;
    try {
      return noteEnd(await shared.batch);
    } catch (error) {
      // Whoever tries again reads again.
      if (last === shared) last = undefined;
      throw error;
    }
  }

  function noteEnd(batch: Batch): Batch {
    if (batch.isCaughtUp && (end === undefined || batch.position > end)) end = batch.position;
    return batch;
  }
}

function partOf(batch: Batch, prefixes: readonly string[]): Batch {
  if (prefixes.length === 0) return batch;
  return { ...batch, facts: batch.facts.filter(({ stream }) => prefixes.some((prefix) => stream.startsWith(prefix))) };
}
