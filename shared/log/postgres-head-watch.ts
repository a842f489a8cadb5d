import { createLogTurn, type LogTurn } from './log-turn.ts';
import type { LogQuery } from './postgres-log-query.ts';

export interface PostgresHeadWatch extends LogTurn {
  /** The log is known to hold all up to here: advances, unless that was known. Positions are committed in their order. */
  reached(position: string): void;
}

/**
 * The turn of a log that other processes append to as well: advanced by whoever knows of a newer head, our own appends at once, and,
 * for all subscriptions together, by a look at the newest position when they have been waiting for `pollMs`. Nobody looks while nobody waits.
 */
export function createPostgresHeadWatch(query: LogQuery, { pollMs }: { readonly pollMs: number }): PostgresHeadWatch {
  let timer: NodeJS.Timeout | undefined;
  let isLooking = false;
  let known: string | null | undefined;
  const turn = createLogTurn({ onWaiting: lookLater, onIdle: lookNoMore });
  return {
    ...turn,
    reached(position) {
      if (Number(position) <= Number(known ?? 0)) return;
      known = String(Number(position));
      turn.advance();
    },
  };

  function lookLater(): void {
    if (!isLooking) timer ??= setTimeout(() => void look(), pollMs);
  }

  function lookNoMore(): void {
    clearTimeout(timer);
    timer = undefined;
  }

  async function look(): Promise<void> {
    timer = undefined;
    isLooking = true;
    const before = known;
    try {
      const [row] = await query<{ head: string | null }>({ name: 'log-head', text: 'select max(position) as head from log_facts' });
      // An append of ours that was told meanwhile may be newer than this look.
      if (known === before && row?.head !== before) {
        known = row?.head;
        turn.advance();
      }
    } catch {
      // Whoever waits reads for himself, meets the same fault, and knows what to do about it.
      turn.advance();
    }
    isLooking = false;
    if (turn.hasWaiting()) lookLater();
  }
}
