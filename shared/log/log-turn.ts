/**
 * Says that a log has grown. A hint, not the truth: whoever waits takes `current()` before it reads, and waits only when what it
 * read held nothing new; so nothing that was appended between the look and the wait is slept through.
 */
export interface LogTurn {
  current(): number;
  /** Resolves when the turn is another than `seen`, at once if it is already, and when `signal` aborts. */
  changed(seen: number, signal: AbortSignal): Promise<void>;
  advance(): void;
  /** Whether anybody waits: nobody needs to look at the log for them otherwise. */
  hasWaiting(): boolean;
}

export interface LogTurnOptions {
  /** Somebody began to wait. */
  onWaiting?(): void;
  /** The last who waited does so no longer. */
  onIdle?(): void;
}

export function createLogTurn({ onWaiting, onIdle }: LogTurnOptions = {}): LogTurn {
  const waiting = new Set<() => void>();
  let turn = 0;

  return {
    current: () => turn,
    hasWaiting: () => waiting.size > 0,

    advance() {
      turn += 1;
      for (const wake of [...waiting]) wake();
    },

    changed(seen, signal) {
      if (turn !== seen || signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          if (waiting.size === 0) onIdle?.();
          resolve();
        };
        waiting.add(wake);
        signal.addEventListener('abort', wake, { once: true });
        onWaiting?.();
      });
    },
  };
}
