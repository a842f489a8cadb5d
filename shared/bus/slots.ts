/** The places at work that all shares of a group have together in this process: as many as the consumer wants, and no more. */
export interface Slots {
  areFree(): boolean;
  take(): void;
  /** Gives one back, and lets those who joined look for work, each in its turn. */
  give(): void;
  /** `pump` takes what it can use. Returns how to leave. */
  join(pump: () => void): () => void;
}

export function createSlots(count: number): Slots {
  const pumps = new Set<() => void>();
  let free = count;

  return {
    areFree: () => free > 0,
    take() { free -= 1; },
    give() {
      free += 1;
      for (const pump of [...pumps]) {
        if (free === 0) return;
        // Behind the others from now on: a share that always has work leaves something to the rest.
        if (pumps.delete(pump)) pumps.add(pump);
        pump();
      }
    },
    join(pump) {
      pumps.add(pump);
      return () => void pumps.delete(pump);
    },
  };
}
