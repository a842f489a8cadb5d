import { createLogTurn, type LogTurn } from './log-turn.ts';
import type { LogQuery } from './postgres-log-query.ts';

/**
 * The turn of a log that other processes append to as well: advanced by our own appends at once, and by a look at the newest
 * position every `pollMs`, for all subscriptions together, while one of them waits.
 */
export function createPostgresHeadWatch(query: LogQuery, { pollMs }: { readonly pollMs: number }): LogTurn {
  let timer: NodeJS.Timeout | undefined;
  let known: string | null | undefined;
  const turn = createLogTurn({ onWaiting: lookLater });
  return turn;

  function lookLater(): void {
    timer ??= setTimeout(() => void look(), pollMs);
  }

  async function look(): Promise<void> {
    const before = known;
    try {
      const [row] = await query<{ head: string | null }>({ name: 'log-head', text: 'select max(position) as head from log_facts' });
      known = row?.head;
      if (known !== before) turn.advance();
    } catch {
      // Whoever waits reads for himself, meets the same fault, and knows what to do about it.
      turn.advance();
    }
    timer = undefined;
    if (turn.hasWaiting()) lookLater();
  }
}
