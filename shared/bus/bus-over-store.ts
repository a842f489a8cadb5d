import type { Bus } from './bus.ts';
import type { GroupRun } from './consumer-group.ts';
import { lead } from './lead.ts';
import type { LogBusDeps } from './log-bus.ts';

/** What a bus does beside giving facts, by the group store, however they come to it. `running`: what consumes in this process. */
export function busOverStore(deps: Omit<LogBusDeps, 'log'>, running: ReadonlySet<GroupRun>): Omit<Bus, 'consume' | 'workedUpTo'> {
  return {
    lead: (name, work, signal) => lead(deps, { name, work: (held) => work(held.signal) }, signal),

    parked: (filter = {}) => deps.store.parked(filter),

    async redrive(group, key) {
      const facts = await deps.store.redrive(group, key);
      for (const run of running) if (run.group === group) await run.lookForRedriven();
      return facts;
    },

    tellProgress: (value) => deps.progress.tell(value),
    onProgress: (listener) => deps.progress.listen(listener),
  };
}
