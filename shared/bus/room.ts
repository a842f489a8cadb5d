/** One share's part of the room. */
export interface RoomPart {
  /** How many facts the share has that are not finished. */
  hold(count: number): void;
  isFull(): boolean;
  /** Resolves when there may be room again, or the signal aborts. */
  untilRoom(signal: AbortSignal): Promise<void>;
  leave(): void;
}

/** The room for unfinished facts that all shares of a group have together in this process. */
export interface Room {
  enter(): RoomPart;
}

/**
 * A share is full when all of the room is taken and it has its part of it: so one share may use what the others do not need, and
 * what fills it stops no other.
 */
export function createRoom(factsMax: number): Room {
  const parts = new Set<() => void>();
  let total = 0;

  return {
    enter() {
      let own = 0;
      let awake: () => void = () => undefined;
      const wake = () => awake();
      parts.add(wake);
      const hold = (count: number) => {
        const isLess = count < own && total >= factsMax;
        total += count - own;
        own = count;
        if (isLess) for (const one of [...parts]) one();
      };
      return {
        hold,
        isFull: () => total >= factsMax && own >= factsMax / parts.size,
        untilRoom: (signal) => new Promise((resolve) => {
          awake = () => { signal.removeEventListener('abort', wake); resolve(); };
          signal.addEventListener('abort', wake, { once: true });
        }),
        leave() {
          hold(0);
          parts.delete(wake);
          // The part of each of the others has grown.
          for (const one of [...parts]) one();
        },
      };
    },
  };
}
