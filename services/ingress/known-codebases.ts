import type { CodebaseId } from '#schemas/brand.ts';
import { codebaseStream } from '#schemas/ids.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { withDeadline } from '#shared/runtime/deadline.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';

export interface KnownCodebases {
  standing(codebase: CodebaseId): Promise<'registered' | 'unregistered' | 'unknown'>;
}

/** A silent log must not hold a delivery: it is taken all the same. */
const ANSWER_MS_MAX = 500;

/** Registration is for ever until facts say otherwise, so a yes is remembered; a no is asked anew each time. */
export function createKnownCodebases(log: Pick<EventLog, 'readStream'>): KnownCodebases {
  const registered = new Set<CodebaseId>();

  return {
    async standing(codebase) {
      if (registered.has(codebase)) return 'registered';
      try {
        const [first] = await withDeadline(log.readStream(codebaseStream(codebase), { limit: 1 }), { ms: ANSWER_MS_MAX, dependency: 'event log' });
        if (first === undefined) return 'unregistered';
        registered.add(codebase);
        return 'registered';
      } catch (error) {
        if (error instanceof Unavailable) return 'unknown';
        throw error;
      }
    },
  };
}
