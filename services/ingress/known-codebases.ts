import type { CodebaseId } from '#schemas/brand.ts';
import { codebaseStream } from '#schemas/ids.ts';
import { applyToCodebase, type Standing } from '#shared/lifecycles/codebase-state.ts';
import { readState } from '#shared/lifecycles/read-state.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { withDeadline } from '#shared/runtime/deadline.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';

export interface KnownCodebases {
  standing(codebase: CodebaseId): Promise<Standing | 'unregistered' | 'unknown'>;
  /** Something was decided about it here. */
  forget(codebase: CodebaseId): void;
}

/** A silent log must not hold a delivery: it is taken all the same. */
const ANSWER_MS_MAX = 500;
/** What was removed by way of another ingress is taken for active this long: then the fetcher skips its pushes. */
const FRESH_MS = 10_000;
/** At 100 bytes each, 10 MB; beyond it each delivery costs a look. */
const ENTRIES_MAX = 100_000;

/** A yes is remembered for a while; a no is asked anew each time: a push to what was restored just now must not be passed over. */
export function createKnownCodebases({ log, now }: { readonly log: Pick<EventLog, 'readStream'>; now(): Date }): KnownCodebases {
  const active = new Map<CodebaseId, number>();

  return {
    forget: (codebase) => void active.delete(codebase),

    async standing(codebase) {
      const since = active.get(codebase);
      if (since !== undefined && Math.abs(now().getTime() - since) < FRESH_MS) return 'active';
      try {
        const state = await withDeadline(readState(log, codebaseStream(codebase), applyToCodebase), { ms: ANSWER_MS_MAX, dependency: 'event log' });
        if (state?.standing !== 'active') active.delete(codebase);
        else if (active.size < ENTRIES_MAX || since !== undefined) active.set(codebase, now().getTime());
        return state?.standing ?? 'unregistered';
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        // It was, and while nobody can know better it is.
        return since === undefined ? 'unknown' : 'active';
      }
    },
  };
}
