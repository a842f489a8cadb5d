import type { Logger } from '#shared/runtime/logger.ts';
import type { Metrics } from '#shared/runtime/metrics.ts';
import type { Acceptance, SpooledArrival } from './acceptance.ts';
import type { Spool } from './spool.ts';

const IDLE_MS = 100;
const RETRY_MS = 1_000;

export interface DrainDeps {
  readonly spool: Spool<SpooledArrival>;
  readonly acceptance: Pick<Acceptance, 'recordSpooled'>;
  readonly metrics: Pick<Metrics, 'spoolBytes'>;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Whatever stands in the spool, also from before a crash, goes to the log in order as soon as that answers. */
export async function drainForever(deps: DrainDeps): Promise<void> {
  const { spool, acceptance, metrics, logger, signal } = deps;
  while (!signal.aborted) {
    let waitMs = IDLE_MS;
    metrics.spoolBytes.set(spool.bytes);
    const hadEntries = !spool.isEmpty;
    try {
      // Also when it is empty: a file of which everything was taken may still be there.
      await spool.drain(async (entry) => {
        signal.throwIfAborted();
        return acceptance.recordSpooled(entry);
      });
      if (hadEntries && spool.isEmpty) logger.info('the spool is drained');
    } catch (error) {
      if (!signal.aborted) logger.warn({ error, bytes: spool.bytes }, 'the spool waits');
      waitMs = RETRY_MS;
    }
    await deps.sleep(waitMs, signal);
  }
}
