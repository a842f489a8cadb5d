import type { Position } from '#schemas/brand.ts';

/** Says within this process that a position was reached. A hint only: whoever waits looks at the state itself, too. */
export interface PositionSignal {
  tell(position: Position): void;
  /** Resolves at the next `tell`, after `ms`, or when `signal` aborts. */
  next(ms: number, signal: AbortSignal): Promise<void>;
}

export function createPositionSignal(): PositionSignal {
  const waiting = new Set<() => void>();

  return {
    tell() {
      for (const wake of [...waiting]) wake();
    },
    next: (ms, signal) => new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
      if (signal.aborted) wake();
    }),
  };
}
