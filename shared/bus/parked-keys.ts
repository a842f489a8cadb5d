import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import type { HeldGroup } from './held-group.ts';

export interface ParkedKeysDeps {
  readonly store: HeldGroup;
  /** Whether facts of this key are ours to work on. */
  has(key: string): boolean;
  now(): Date;
  /** Repeats a step until the store has answered: true; false when we are told to stop before it has. */
  untilStored(step: () => Promise<void>): Promise<boolean>;
}

/**
 * Which keys of a group are set aside, and which of their facts somebody wants tried again. Everything that looks at the rows
 * and acts on them goes one after the other: a fact that comes while its key is parked or redriven must not fall between.
 */
export function createParkedKeys({ store, has, now, untilStored }: ParkedKeysDeps) {
  const keys = new Set<string>();
  const redriven = new Set<Position>();
  let turn: Promise<unknown> = Promise.resolve();

  function inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = turn.then(step);
    turn = result.catch(() => undefined);
    return result;
  }

  return {
    /** What was set aside before this process. */
    load: () => inTurn(async () => { for (const { key } of await store.parked()) if (has(key)) keys.add(key); }),

    has: (key: string) => keys.has(key),

    /** Given to be worked on again by this process: the log need not bring it a second time. */
    isRedriven: (position: Position) => redriven.has(position),

    /** False when the key is not set aside any more, or nothing was kept because we are to stop: the fact is still the caller's. */
    parkBehind: (fact: Recorded) => inTurn(async () =>
      keys.has(fact.key) && untilStored(() => store.park(fact.key, [{ fact, reason: null }], now().toISOString()))),

    /** Sets a key aside with what `factsOf` gives once it is our turn. False when nothing was kept because we are to stop. */
    park: (key: string, factsOf: () => Parameters<HeldGroup['park']>[1]) => inTurn(async () => {
      // From here on arriving facts go behind it; what is here already is parked with it.
      keys.add(key);
      const facts = factsOf();
      const isKept = await untilStored(() => store.park(key, facts, now().toISOString()));
      if (isKept) for (const { fact } of facts) redriven.delete(fact.position);
      return isKept;
    }),

    /** Gives every redriven fact that was not given yet, oldest first; its key is set aside no longer. */
    takeRedriven: (give: (fact: Recorded) => void) => inTurn(async () => {
      const isNew = ({ key, position }: Recorded) => has(key) && !redriven.has(position);
      const fresh = new Set((await store.redriven()).filter(isNew).map(({ key }) => key));
      if (fresh.size === 0) return;
      // What came to wait since somebody redrove the key goes with it: else it would be passed, and stay behind.
      for (const key of fresh) await store.redriveBehind(key);
      const facts = (await store.redriven()).filter((fact) => isNew(fact) && fresh.has(fact.key));
      for (const key of fresh) keys.delete(key);
      for (const fact of facts) {
        redriven.add(fact.position);
        give(fact);
      }
    }),
  };
}
