/** Loads under way at once: with one, a slow load would hold up all that are asked for behind it. More would share less. */
const LOADS_MAX = 2;

interface Waiting<Value> { readonly answer: Promise<Value | undefined>; resolve(value: Value | undefined): void; reject(error: unknown): void }

/**
 * Many who ask at the same time are answered by one load: what is asked for while LOADS_MAX are under way waits for the next, and a key
 * that several wait for is loaded once. Nobody is given what was loaded before they asked: answers are as fresh as those of a load each.
 * A load that fails fails for all who waited for it. @param keysMax of one load
 */
export function askedTogether<Key, Value>(load: (keys: readonly Key[]) => Promise<ReadonlyMap<Key, Value>>, { keysMax }: { readonly keysMax: number }): (key: Key) => Promise<Value | undefined> {
  const waiting = new Map<Key, Waiting<Value>>();
  let underWay = 0;
  let isDue = false;

  /** After this turn of the event loop, so that all whose requests came in it are in the same load; after a microtask each would still be alone. */
  function runSoon(): void {
    if (isDue || underWay >= LOADS_MAX || waiting.size === 0) return;
    isDue = true;
    setImmediate(() => {
      isDue = false;
      while (underWay < LOADS_MAX && waiting.size > 0) void run();
    });
  }

  async function run(): Promise<void> {
    const taken = [...waiting].slice(0, keysMax);
    for (const [key] of taken) waiting.delete(key);
    underWay += 1;
    try {
      const loaded = await load(taken.map(([key]) => key));
      for (const [key, asker] of taken) asker.resolve(loaded.get(key));
    } catch (error) {
      for (const [, asker] of taken) asker.reject(error);
    } finally {
      underWay -= 1;
      runSoon();
    }
  }

  return (key) => {
    const known = waiting.get(key);
    if (known !== undefined) return known.answer;
    let asker = {} as Waiting<Value>;
    const answer = new Promise<Value | undefined>((resolve, reject) => { asker = { resolve, reject } as Waiting<Value>; });
    waiting.set(key, { ...asker, answer });
    runSoon();
    return answer;
  };
}
