/** Gives its place to the next who waits. Calling it twice is harmless. */
export type Release = () => void;

/** At most so many at a time, first come first served; a wait can be told to stop. */
export interface Slots {
  /** @throws the signal's reason, when it is aborted before there is a place. */
  take(signal?: AbortSignal): Promise<Release>;
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

  return {
    async take(signal) {
      signal?.throwIfAborted();
      if (free > 0) {
        free -= 1;
        return releaseOnce();
      }

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
export function createKeyedSlots(slotsMax: number): { take(key: string, signal?: AbortSignal): Promise<Release> } {
  const slotsOf = new Map<string, { slots: Slots; users: number }>();
  return {
    async take(key, signal) {
      const entry = slotsOf.get(key) ?? { slots: createSlots(slotsMax), users: 0 };
      slotsOf.set(key, entry);
      entry.users += 1;
      // A key nobody uses is forgotten, so that the map does not grow with every codebase ever seen.
      const leave = () => { entry.users -= 1; if (entry.users === 0) slotsOf.delete(key); };

      let release: Release;
      try {
        release = await entry.slots.take(signal);
      } catch (reason) {
        leave();
        throw reason;
      }
      let isReleased = false;
      return () => {
        if (isReleased) return;
        isReleased = true;
        release();
        leave();
      };
    },
  };
}
