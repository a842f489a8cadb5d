import { streamPrefixesOf } from '#schemas/events/facts.ts';
import { REDRIVE_LOOK_EVERY_MS, runShare, UNFINISHED_MAX, type GroupRun } from './consumer-group.ts';
import type { Bus, Consumer } from './bus.ts';
import { busOverStore } from './bus-over-store.ts';
import type { GroupStore } from './group-store.ts';
import { lead } from './lead.ts';
import { createPatience } from './patience.ts';
import type { ProgressChannel } from './progress-channel.ts';
import { createRoom } from './room.ts';
import { createSlots } from './slots.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { Logger } from '#shared/runtime/logger.ts';

export interface LogBusDeps {
  readonly log: Pick<EventLog, 'subscribe'>;
  readonly store: GroupStore;
  readonly progress: ProgressChannel;
  readonly logger: Logger;
  now(): Date;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The embedded bus: consumer groups are checkpoints over the log itself, and a lease each. */
export function createLogBus(deps: LogBusDeps): Bus {
  const running = new Set<GroupRun>();

  return {
    ...busOverStore(deps, running),

    consume: (consumer: Consumer, signal: AbortSignal) => lead(deps, {
      name: consumer.group,
      async work(held) {
        const run = runShare(deps, consumer, {
          held, has: () => true, slots: createSlots(consumer.concurrency), room: createRoom(UNFINISHED_MAX),
          follow: (after, following) => deps.log.subscribe({ after, prefixes: streamPrefixesOf(consumer.types), signal: following }),
        });
        const looking = createPatience(deps, consumer.group, held.signal).every(REDRIVE_LOOK_EVERY_MS, run.lookForRedriven);
        running.add(run);
        await Promise.all([run.ended, looking]).finally(() => running.delete(run));
      },
    }, signal),

    workedUpTo: (group) => deps.store.loadCheckpoint(group),
  };
}
