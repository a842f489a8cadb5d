import { hash, verify } from '@node-rs/argon2';
import { Problem } from '#shared/runtime/problem.ts';

/** OWASP's least for argon2id: 19 MiB, two passes. 50 to 80 ms of a core that has nothing else to do. */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
/**
 * 19 MiB, and one of the four threads that files are read by too. With two, a hundred guesses a second took both cores, and deliveries were
 * answered within 73 ms (p99) where now it is 19; no more people could sign in by it.
 */
const AT_ONCE_MAX = 1;
/** Some second of waiting. Who comes then is told to come back, before any memory is spent. */
const WAITING_MAX = 16;
const RETRY_AFTER_S = 5;

export interface Passwords {
  hash(password: string): Promise<string>;
  /** Of nobody (undefined) it takes as long, and is never right. */
  isRight(password: string, hash: string | undefined): Promise<boolean>;
  /** To be asked before anything is looked up: a flood of guesses then costs hardly more than its requests. @throws Problem 429 */
  mustHaveRoom(): void;
}

/** @throws Problem 429 when too many wait already */
export function createPasswords(): Passwords {
  let running = 0;
  const waiting: (() => void)[] = [];
  // Of nobody's password: made at the first question, with the same cost.
  let ofNobody: Promise<string> | undefined;

  function mustHaveRoom(): void {
    if (waiting.length >= WAITING_MAX) throw new Problem(429, 'too-many-sign-ins', `Too many people sign in at this moment. Ask again in ${RETRY_AFTER_S} s.`, { retryAfterS: RETRY_AFTER_S });
  }

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running >= AT_ONCE_MAX) {
      mustHaveRoom();
      // Whoever ends hands its turn on.
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  }

  return {
    mustHaveRoom,
    hash: (password) => inTurn(() => hash(password, COST)),
    isRight: (password, kept) => inTurn(async () => {
      ofNobody ??= hash('nobody', COST);
      const isEqual = await verify(kept ?? await ofNobody, password);
      return isEqual && kept !== undefined;
    }),
  };
}
