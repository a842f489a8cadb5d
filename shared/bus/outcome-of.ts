import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { Consumer, Outcome } from './bus.ts';
import type { Entry } from './lanes.ts';
import type { Held } from './lead.ts';
import type { LogBusDeps } from './log-bus.ts';
import { backoffMs } from './patience.ts';

/** A bug may be a race that a second try does not meet; a fifth will not help. */
const FAILURES_MAX = 5;

export interface HandleDeps extends Pick<LogBusDeps, 'logger' | 'now'> {
  readonly consumer: Consumer;
  readonly held: Held;
}

/** Has the consumer work on a fact, and says what is to become of it; what was thrown is an outcome too. `behind`: what waits with it. */
export async function outcomeOf(deps: HandleDeps, entry: Entry, behind: readonly Entry[]): Promise<Outcome> {
  const { consumer, held: { lease: { term }, signal }, now } = deps;
  if (entry.fact === undefined) return { kind: 'park', reason: entry.unreadable ?? 'unreadable' };
  const at = now().getTime();
  // From zero again when the clock was set back: it must not wait for GitLab that much longer.
  entry.firstHandledAt = Math.min(entry.firstHandledAt ?? at, at);
  const waiting = behind.flatMap((other) => (other.fact === undefined ? [] : [other.fact]));
  try {
    const outcome = await consumer.handle(entry.fact, { waiting, sinceFirstMs: at - entry.firstHandledAt, isRedriven: entry.isRedriven, term, signal });
    entry.failures = 0;
    entry.waits = 0;
    return outcome;
  } catch (error) {
    return afterError(deps, entry, error);
  }
}

function afterError({ consumer, held: { signal }, logger }: HandleDeps, entry: Entry, error: unknown): Outcome {
  if (signal.aborted) return { kind: 'retry', afterMs: 0, reason: 'stopping' };
  if (error instanceof Unavailable) {
    // No fault of the fact: however often, it never counts towards parking.
    entry.waits += 1;
    return { kind: 'retry', afterMs: error.retryAfterMs ?? backoffMs(entry.waits), reason: error.message };
  }
  entry.failures += 1;
  logger.error({ error, group: consumer.group, key: entry.recorded.key, fact: entry.recorded.id, failures: entry.failures }, 'a fact could not be worked on');
  if (entry.failures < FAILURES_MAX) return { kind: 'retry', afterMs: backoffMs(entry.failures), reason: String(error) };
  return { kind: 'park', reason: `failed ${entry.failures} times: ${String(error)}` };
}
