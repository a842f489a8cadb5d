import { EventEmitter } from 'node:events';
import { runGroup, type GroupRun } from './consumer-group.ts';
import type { Bus, Consumer, Progress } from './bus.ts';
import type { GroupStore } from './group-store.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { Logger } from '#shared/runtime/logger.ts';

export interface LogBusDeps {
  readonly log: Pick<EventLog, 'subscribe'>;
  readonly store: GroupStore;
  readonly logger: Logger;
  now(): Date;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The embedded bus: consumer groups are checkpoints over the log itself; progress goes to listeners in this process. */
export function createLogBus(deps: LogBusDeps): Bus {
  const progress = new EventEmitter<{ progress: [Progress] }>();
  // One listener per notifier and waiting request, not a leak.
  progress.setMaxListeners(0);
  const running = new Set<GroupRun>();

  return {
    async consume(consumer: Consumer, signal: AbortSignal) {
      const run = runGroup(deps, consumer, signal);
      running.add(run);
      await run.ended.finally(() => running.delete(run));
    },

    workedUpTo: (group) => deps.store.loadCheckpoint(group),

    parked: (filter = {}) => deps.store.parked(filter),

    async redrive(group, key) {
      const facts = await deps.store.redrive(group, key);
      for (const run of running) if (run.group === group) await run.lookForRedriven();
      return facts;
    },

    tellProgress: (value) => void progress.emit('progress', value),
    onProgress(listener) {
      progress.on('progress', listener);
      return () => void progress.off('progress', listener);
    },
  };
}
