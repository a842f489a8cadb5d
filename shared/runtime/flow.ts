import type { FactType } from '#schemas/events/facts.ts';

/** What a service eats, what it adds to the log, and whose stores it looks into. Data, so that a test and a diagram can read it. */
export interface Flow {
  readonly consumes: readonly FactType[];
  readonly emits: readonly FactType[];
  /** Stores of others, read through their owner's port in shared/. */
  readonly reads: readonly string[];
}
