import type { Logger } from '#shared/runtime/logger.ts';
import type { Acceptance, SpooledArrival } from './acceptance.ts';
import type { Spool } from './spool.ts';

const IDLE_MS = 100;
const RETRY_MS = 1_000;

/** Whatever stands in the spool, also from before a crash, goes to the log in order as soon as that answers. */
export async function drainForever(deps: { spool: Spool<SpooledArrival>; acceptance: Pick<Acceptance, 'recordSpooled'>; logger: Logger; signal: AbortSignal; sleep(ms: number, signal: AbortSignal): Promise<void> }): Promise<void> {
  const { spool, acceptance, logger, signal } = deps;
  while (!signal.aborted) {
    let waitMs = IDLE_MS;
    if (!spool.isEmpty) {
      try {
        await spool.drain(async (entry) => {
          signal.throwIfAborted();
          return acceptance.recordSpooled(entry);
        });
        if (spool.isEmpty) logger.info('the spool is drained');
      } catch (error) {
        if (!signal.aborted) logger.warn({ error, bytes: spool.bytes }, 'the spool waits');
        waitMs = RETRY_MS;
      }
    }
    await deps.sleep(waitMs, signal);
  }
}
