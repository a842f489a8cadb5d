import type { Metrics } from '#shared/runtime/metrics.ts';

/** What the relay is about, for people. */
export type RelayState =
  /** Another process does it. */
  | { readonly kind: 'standing-by' }
  | { readonly kind: 'opening' }
  | { readonly kind: 'following' }
  /** Kafka is away, or is not as it must be. */
  | { readonly kind: 'waiting'; readonly reason: string };

/** How far behind the log the topic is: told to people, and never asked by the relay itself. */
export interface Lag {
  /** A fact of this time is the oldest that is not there yet. */
  behindFrom(time: string): void;
  /** All of the log is there. */
  caughtUp(): void;
  become(state: RelayState): void;
  written(facts: number, repeated: number): void;
  /** Sets the figures, which grow while nothing is written. */
  refresh(): void;
  state(): RelayState;
  seconds(): number;
}

export function createLag({ metrics, now }: { metrics: Pick<Metrics, 'relayLagSeconds' | 'relayLeads' | 'relayFacts'>; now(): Date }): Lag {
  let state: RelayState = { kind: 'standing-by' };
  let behindSince: number | undefined;
  const seconds = () => (behindSince === undefined || state.kind === 'standing-by' ? 0 : Math.max(0, (now().getTime() - behindSince) / 1_000));
  const lag: Lag = {
    behindFrom: (time) => { behindSince = Date.parse(time); },
    caughtUp() {
      behindSince = undefined;
      lag.refresh();
    },
    become(next) {
      state = next;
      // Whether there is anything to write nobody can say: so it counts from here.
      if (next.kind === 'waiting') behindSince ??= now().getTime();
      if (next.kind === 'standing-by') behindSince = undefined;
      lag.refresh();
    },
    written(facts, repeated) {
      metrics.relayFacts.inc({ outcome: 'written' }, facts);
      metrics.relayFacts.inc({ outcome: 'there already' }, repeated);
    },
    refresh() {
      metrics.relayLagSeconds.set(seconds());
      metrics.relayLeads.set(state.kind === 'standing-by' ? 0 : 1);
    },
    state: () => state,
    seconds,
  };
  return lag;
}
