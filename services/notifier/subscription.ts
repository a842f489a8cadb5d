import type { Position } from '#schemas/brand.ts';
import type { ServerFrame } from '#schemas/live/frames.ts';
import { positionOutside } from '#schemas/positions.ts';
import type { EventLog, Recorded } from '#shared/log/event-log.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';

/** Beyond this a client loads the state anew instead: catching up would take longer. */
export const CATCH_UP_FACTS_MAX = 10_000;
const PAGE_FACTS = 200;
/** What arrives while a subscription catches up; more is read from the index instead. */
const WAITING_FACTS_MAX = 1_000;

export interface SubscriptionDeps {
  readonly log: Pick<EventLog, 'readStream'>;
  readonly store: Pick<ReadStore, 'facts'>;
  readonly epoch: string;
}

/** One channel of one socket: first what was missed, then what comes, every position once and in order. */
export interface Subscription {
  readonly ch: string;
  /** Where this channel stands: the position to resume from. */
  position(): string;
  /** A fact became readable. Facts of other channels are passed over. */
  take(fact: Recorded): void;
  /** Reads what was missed. Resolves when live; rejects with Unavailable. */
  catchUp(signal: AbortSignal): Promise<void>;
}

export function createSubscription(deps: SubscriptionDeps, options: { ch: string; since: Position; send(frame: ServerFrame): void }): Subscription {
  const { ch, send } = options;
  const key = ch === 'all' ? undefined : ch.slice('codebase:'.length);
  let at = options.since;
  let isLive = false;
  let waiting: Recorded[] = [];
  let hasMissed = false;

  const publish = (fact: Recorded) => {
    // Catching up and the tail may both bring it: the position decides.
    if (fact.position <= at) return;
    const previous = positionOutside(deps.epoch, at);
    at = fact.position;
    send({ op: 'pub', ch, position: positionOutside(deps.epoch, at), previous, type: fact.type, id: fact.id, time: fact.time, key: fact.key, data: fact.data });
  };

  return {
    ch,
    position: () => positionOutside(deps.epoch, at),

    take(fact) {
      if (key !== undefined && fact.key !== key) return;
      if (isLive) publish(fact);
      else if (waiting.length < WAITING_FACTS_MAX) waiting.push(fact);
      else hasMissed = true;
    },

    async catchUp(signal) {
      while (!signal.aborted) {
        const page = await deps.store.facts({ after: at, limit: PAGE_FACTS, ...(key === undefined ? {} : { key }) });
        for (const { stream, revision } of page) {
          const [fact] = await deps.log.readStream(stream, { from: revision, limit: 1 });
          if (fact !== undefined) publish(fact);
        }
        if (page.length === PAGE_FACTS) continue;
        // From here to `isLive` nothing is awaited: no fact can slip between.
        const arrived = waiting;
        waiting = [];
        if (hasMissed) { hasMissed = false; continue; }
        for (const fact of arrived) publish(fact);
        isLive = true;
        return;
      }
    },
  };
}
