import type { Unavailable } from '#shared/runtime/unavailable.ts';

/** Within a second or two, for what passes by itself: a 503, a connection cut. Whoever asked waits longer, and says so. */
const RETRY_MS = [100, 400, 1_200] as const;

/** Ends early, without complaint, when told to stop. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;

export interface AskedAgain {
  readonly sleep: Sleep;
  readonly signal?: AbortSignal | undefined;
  /** Whether no retry mends it. */
  isFinal(error: unknown): boolean;
  /** As the outage that it is to whoever waits. */
  away(error: unknown): Unavailable;
}

/** Asks a store a few times. @throws what `away` makes of the last answer, or the signal's reason */
export async function askAgain<T>({ sleep, signal, isFinal, away }: AskedAgain, ask: () => Promise<T>): Promise<T> {
  for (const waitMs of [...RETRY_MS, undefined]) {
    signal?.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      signal?.throwIfAborted();
      if (waitMs === undefined || isFinal(error)) throw away(error);
      await sleep(waitMs, signal);
    }
  }
  throw new Error('unreachable');
}
