import { createLogTurn, type LogTurn } from './log-turn.ts';
import type { LogQuery } from './postgres-log-query.ts';

/**
 * The turn of a log that other processes append to as well: advanced by our own appends at once, and, for all subscriptions
 * together, by a look at the newest position when they have been waiting for `pollMs`. Nobody looks while nobody waits.
 */
export function createPostgresHeadWatch(query: LogQuery, { pollMs }: { readonly pollMs: number }): LogTurn {
  let timer: NodeJS.Timeout | undefined;
  let isLooking = false;
  let known: string | null | undefined;
  const turn = createLogTurn({ onWaiting: lookLater, onIdle: lookNoMore });
  return turn;

  function lookLater(): void {
    if (!isLooking) timer ??= setTimeout(() => void look(), pollMs);
  }

  function lookNoMore(): void {
    clearTimeout(timer);
    timer = undefined;
  }

  async function look(): Promise<void> {
    const before = known;
    timer = undefined;
    isLooking = true;
    try {
      const [row] = await query<{ head: string | null }>({ name: 'log-head', text: 'select max(position) as head from log_facts' });
      known = row?.head;
      if (known !== before) turn.advance();
    } catch {
      // Whoever waits reads for himself, meets the same fault, and knows what to do about it.
      turn.advance();
    }
    isLooking = false;
    if (turn.hasWaiting()) lookLater();
  }
}
