import type { Logger } from './logger.ts';
import { Unavailable } from './unavailable.ts';

/** What is there within seconds of a restart is seen at once; what is away for hours is asked twelve times a minute. */
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

/** Neither waiting nor another start helps: somebody has to change what the engine was told. */
export class StartRefused extends Error {
  override readonly name = 'StartRefused';
}

/** The start of a process, which waits for what it needs for as long as that is away, and says what that is. */
export interface StartWaits {
  /** Does a step of the start, and again while what it needs is away. @throws what else went wrong; or when told to stop */
  until<T>(step: () => Promise<T>): Promise<T>;
  /** What is waited for, in words. Not empty before `over` was called. */
  reasons(): readonly string[];
  isOver(): boolean;
  over(): void;
}

export interface StartWaitsDeps {
  readonly logger: Logger;
  readonly signal: AbortSignal;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Told of every change. */
  onReasons?(reasons: readonly string[]): void;
}

export function createStartWaits({ logger, signal, sleep, onReasons }: StartWaitsDeps): StartWaits {
  const waiting = new Map<object, string>();
  const told = new Set<string>();
  let isOver = false;
  const reasons = () => (isOver ? [] : waiting.size === 0 ? ['starting'] : [...new Set(waiting.values())]);

  return {
    reasons,
    isOver: () => isOver,
    over: () => { isOver = true; },

    async until(step) {
      const own = {};
      try {
        for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
          signal.throwIfAborted();
          try {
            return await step();
          } catch (error) {
            if (!(error instanceof Unavailable)) throw error;
            tell(own, error.message);
          }
          await sleep(waitMs, signal);
        }
      } finally {
        if (waiting.delete(own)) onReasons?.(reasons());
      }
    },
  };

  /** Once a reason, and not at every try. */
  function tell(step: object, reason: string): void {
    const isNew = waiting.get(step) !== reason;
    waiting.set(step, reason);
    if (isNew) onReasons?.(reasons());
    if (told.has(reason)) return;
    told.add(reason);
    logger.warn({ reason }, 'the start waits; it goes on by itself');
  }
}
