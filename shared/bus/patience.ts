import type { LogBusDeps } from './log-bus.ts';

const BACKOFF_MS = [100, 500, 2_000, 5_000, 15_000, 30_000] as const;

/** After so many failures in a row. */
export const backoffMs = (failures: number) => BACKOFF_MS[Math.min(failures, BACKOFF_MS.length) - 1] ?? 30_000;

/** How a group's work goes on while its store is away. */
export function createPatience({ logger, sleep }: Pick<LogBusDeps, 'logger' | 'sleep'>, group: string, signal: AbortSignal) {
  const tell = (error: unknown) => logger.warn({ error, group }, 'the bus waits for its store');

  return {
    /** Repeats until the store has answered: true; false when we are told to stop before it has, or to leave the work to another. */
    async untilStored(step: () => Promise<void>): Promise<boolean> {
      for (let failures = 1; ; failures += 1) {
        try {
          await step();
          return true;
        } catch (error) {
          if (signal.aborted) return false;
          tell(error);
          await sleep(backoffMs(failures), signal);
        }
      }
    },

    async every(ms: number, step: () => Promise<void>): Promise<void> {
      while (!signal.aborted) {
        await sleep(ms, signal);
        await step().catch((error: unknown) => { if (!signal.aborted) tell(error); });
      }
    },
  };
}
