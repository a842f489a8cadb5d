/** Breaks something under a running engine, and looks whether every invariant still holds. */
export interface Drill {
  /** As `make drills ARGS=<name>` takes it, and its file: `<name>.drill.ts`. */
  readonly name: string;
  /** What is done to the engine, and which invariants must hold: the sentence that is printed. */
  readonly says: string;
  /** For one run in full, on two cores. */
  readonly minutesMax: number;
  /** What this machine lacks for it; undefined when nothing. Asked before it begins: what is not tried is neither green nor red. */
  whyNotHere?(): string | undefined;
  /** Resolves to what was seen, in one line with its figures. @throws when something was lost, doubled or wrong: what, and where */
  run(how: DrillRun): Promise<string>;
}

export interface DrillRun {
  /** The same seed asks for the same things in the same order; what the machine makes of it differs. */
  readonly chance: Chance;
  /** The form that is part of `make test`: seconds, not minutes. */
  readonly isShort: boolean;
  /** For people who wait. */
  note(text: string): void;
}

export interface Chance {
  readonly seed: number;
  /** From 0 to below 1. */
  random(): number;
  /** A whole number from 0 to below `count`. */
  below(count: number): number;
  oneOf<T>(items: readonly T[]): T;
}

export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x80000000;
  };
  const below = (count: number) => Math.floor(random() * count);
  return { seed, random, below, oneOf: (items) => items[below(items.length)]! };
}

export function inOrderOfChance<T>(items: readonly T[], chance: Chance): T[] {
  return items.map((item) => ({ item, at: chance.random() })).sort((one, other) => one.at - other.at).map(({ item }) => item);
}
