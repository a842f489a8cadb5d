import type { Position } from '#schemas/brand.ts';
import type { EventLog, Recorded } from '#shared/log/event-log.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import type { PositionSignal } from '#shared/runtime/position-signal.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';

export interface TailDeps {
  readonly log: Pick<EventLog, 'subscribe'>;
  readonly store: Pick<ReadStore, 'position'>;
  readonly projected: PositionSignal;
}

/** In one process the signal comes first; over processes this is how late we may be. */
const LOOK_AGAIN_MS = 50;

/**
 * Follows the log, and tells a fact only when the tables that people read have reached it: whoever is told can read it.
 * `tell` is called in order, and again only when it has resolved.
 */
export async function followTail(deps: TailDeps, { after, signal, tell }: { after: Position; signal: AbortSignal; tell(facts: readonly Recorded[]): Promise<void> }): Promise<void> {
  for await (const batch of deps.log.subscribe({ after, prefixes: [], signal })) {
    if (batch.facts.length === 0) continue;
    while (!signal.aborted && !(await hasReached(deps.store, batch.position))) await deps.projected.next(LOOK_AGAIN_MS, signal);
    if (!signal.aborted) await tell(batch.facts);
  }
}

async function hasReached(store: Pick<ReadStore, 'position'>, position: Position): Promise<boolean> {
  try {
    return (await store.position()) >= position;
  } catch (error) {
    if (error instanceof Unavailable) return false;
    throw error;
  }
}
