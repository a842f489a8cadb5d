/** Gives its place to the next who waits. Calling it twice is harmless. */
export type Release = () => void;

/** At most so many at a time, first come first served; a wait can be told to stop. */
export interface Slots {
  /** @throws the signal's reason, when it is aborted before there is a place. */
  take(signal?: AbortSignal): Promise<Release>;
  /** A place that is free now; else undefined. */
  tryTake(): Release | undefined;
}

export function createSlots(slotsMax: number): Slots {
  let free = slotsMax;
  const waiting: (() => void)[] = [];

  const releaseOnce = (): Release => {
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    };
  };

  const tryTake = () => {
    if (free === 0) return undefined;
    free -= 1;
    return releaseOnce();
  };

  return {
    tryTake,
    async take(signal) {
      signal?.throwIfAborted();
      const release = tryTake();
      if (release !== undefined) return release;

      await new Promise<void>((resolve, reject) => {
        const enter = () => {
          signal?.removeEventListener('abort', leave);
          resolve();
        };
        const leave = () => {
          waiting.splice(waiting.indexOf(enter), 1);
          reject(signal?.reason as Error);
        };
        waiting.push(enter);
        signal?.addEventListener('abort', leave, { once: true });
      });
      return releaseOnce();
    },
  };
}

/** Slots by name: one set a key, made when first asked for. */
export function createKeyedSlots(slotsMax: number): { take(key: string, signal?: AbortSignal): Promise<Release>; tryTake(key: string): Release | undefined } {
  const slotsOf = new Map<string, { slots: Slots; users: number }>();

  // A key nobody uses is forgotten, so that the map does not grow with every codebase ever seen.
  const enter = (key: string) => {
    const entry = slotsOf.get(key) ?? { slots: createSlots(slotsMax), users: 0 };
    slotsOf.set(key, entry);
    entry.users += 1;
    return { slots: entry.slots, leave: () => { entry.users -= 1; if (entry.users === 0) slotsOf.delete(key); } };
  };
  const leavingOnce = (release: Release, leave: () => void): Release => {
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      release();
      leave();
    };
  };

  return {
    async take(key, signal) {
      const { slots, leave } = enter(key);
      try {
        return leavingOnce(await slots.take(signal), leave);
      } catch (reason) {
        leave();
        throw reason;
      }
    },
    tryTake(key) {
      const { slots, leave } = enter(key);
      const release = slots.tryTake();
      if (release !== undefined) return leavingOnce(release, leave);
      leave();
      return undefined;
    },
  };
}
