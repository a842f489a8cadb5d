import { StartRefused } from '#shared/runtime/start-waits.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { Batch, EventLog, SubscribeOptions } from './event-log.ts';

/** How late a follower begins when the log could not be looked at first. */
const LOOK_AGAIN_MS = 500;

export interface CheckedLogDeps {
  /** Whether it is the right log. @throws StartRefused when it is not | Unavailable when nobody can say yet */
  check(): Promise<void>;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface CheckedLog extends EventLog {
  /** Resolves once the log was found to be the right one. @throws StartRefused | Unavailable */
  check(): Promise<void>;
}

/**
 * A log to which nothing comes, and from which nothing is read, before it was found to be the right one. A wrong one is away, to
 * whoever uses it: what waits for the right one loses nothing.
 */
export function createCheckedLog(log: EventLog, { check, sleep }: CheckedLogDeps): CheckedLog {
  let isRight = false;
  let asking: Promise<void> | undefined;
  const checked = () => {
    asking ??= check().then(() => { isRight = true; }).finally(() => { asking = undefined; });
    return asking;
  };
  const right = async () => {
    if (isRight) return;
    await checked().catch((error: unknown) => { throw error instanceof StartRefused ? new Unavailable('event log', error.message, { cause: error }) : error; });
  };

  return {
    check: async () => { if (!isRight) await checked(); },
    append: async (stream, expected, facts) => { await right(); return log.append(stream, expected, facts); },
    readStream: async (stream, options) => { await right(); return log.readStream(stream, options); },
    subscribe: (options) => follow(options),
    head: async () => { await right(); return log.head(); },
    epoch: async () => { await right(); return log.epoch(); },
  };

  async function* follow(options: SubscribeOptions): AsyncGenerator<Batch, void, void> {
    while (!options.signal.aborted) {
      const isOpen = await right().then(() => true, (error: unknown) => { if (error instanceof Unavailable) return false; throw error; });
      if (isOpen) return yield* log.subscribe(options);
      await sleep(LOOK_AGAIN_MS, options.signal);
    }
  }
}
