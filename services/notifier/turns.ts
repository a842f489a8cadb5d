/** At most so many at once; the others wait in the order in which they came. */
export interface Turns { take<T>(step: () => Promise<T>): Promise<T> }

export function createTurns(atOnce: number): Turns {
  const waiting: (() => void)[] = [];
  let under = 0;
  return {
    async take(step) {
      if (under >= atOnce) await new Promise<void>((resolve) => { waiting.push(resolve); });
      else under += 1;
      try {
        return await step();
      } finally {
        // The place is handed on, so that nobody who comes just now gets before who waits.
        const next = waiting.shift();
        if (next === undefined) under -= 1;
        else next();
      }
    },
  };
}
