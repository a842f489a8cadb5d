import type { Bus } from '#shared/bus/bus.ts';
import { TopicUnfit, type FactTopic } from '#shared/bus/fact-topic.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import type { Metrics } from '#shared/runtime/metrics.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { followLog } from './follow-log.ts';
import { createLag, type Lag } from './lag.ts';

export interface RelayDeps {
  readonly log: Pick<EventLog, 'subscribe' | 'epoch'>;
  readonly topic: FactTopic;
  readonly bus: Pick<Bus, 'lead'>;
  readonly metrics: Pick<Metrics, 'relayLagSeconds' | 'relayLeads' | 'relayFacts'>;
  readonly logger: Logger;
  now(): Date;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface RunningRelay extends RunningService {
  /** Resolves with what it is about; rejects with why it waits. */
  check(): Promise<string>;
}

const LEASE = 'relay';
/** Beside the tries of Kafka's client, which last some seconds. */
const RETRY_MS = 1_000;
const REFRESH_MS = 1_000;
/** What a start after a kill may have to look through: some 20,000 records. Each checkpoint is 2 kB, until it is compacted. */
const CHECKPOINT_EVERY_MS = 1_000;

/** Fills the topic of facts from the log: one process at a time, for as long as it takes, whatever is away. */
export async function start(deps: RelayDeps): Promise<RunningRelay> {
  const stopping = new AbortController();
  const lag = createLag(deps);
  const running = deps.bus.lead(LEASE, (signal) => relay(deps, lag, signal).finally(() => lag.become({ kind: 'standing-by' })), stopping.signal);
  const refreshing = refresh(deps, lag, stopping.signal);
  return {
    name: 'relay',
    check: () => told(lag),
    stop: async () => { stopping.abort(); await Promise.all([running, refreshing]); },
  };
}

/** One term. What stands in the topic is looked at anew after whatever went wrong, so nothing need be remembered of it. */
async function relay({ log, topic, logger, sleep }: RelayDeps, lag: Lag, signal: AbortSignal): Promise<void> {
  const said = new Set<string>();
  while (!signal.aborted) {
    try {
      lag.become(lag.state().kind === 'waiting' ? lag.state() : { kind: 'opening' });
      const writer = await topic.open(await log.epoch(), signal);
      try {
        logger.info({ after: writer.after, partitions: writer.partitions }, 'the relay follows the log');
        lag.become({ kind: 'following' });
        said.clear();
        await followLog({ log, writer, lag, checkpointEveryMs: CHECKPOINT_EVERY_MS, sleep }, signal);
      } finally {
        await writer.close();
      }
    } catch (error) {
      if (signal.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      if (!said.has(reason)) tellWhy(logger, error, reason);
      said.add(reason);
      lag.become({ kind: 'waiting', reason });
      await sleep(RETRY_MS, signal);
    }
  }
}

/** Each reason once an outage: it is tried every second. */
function tellWhy(logger: Logger, error: unknown, reason: string): void {
  if (error instanceof Unavailable) logger.warn({ reason }, 'the relay waits');
  else if (error instanceof TopicUnfit) logger.error({ reason }, 'the relay cannot fill the topic, and waits until that is mended');
  else logger.error({ error }, 'the relay failed, and begins anew from what stands in the topic');
}

async function refresh({ sleep }: RelayDeps, lag: Lag, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    lag.refresh();
    await sleep(REFRESH_MS, signal);
  }
}

async function told(lag: Lag): Promise<string> {
  const state = lag.state();
  const behind = `${lag.seconds().toFixed(1)} s behind the log`;
  switch (state.kind) {
    case 'standing-by': return 'standing by';
    case 'opening': return 'looking at what stands in the topic';
    case 'following': return behind;
    case 'waiting': throw new Error(`${state.reason} (${behind})`);
    default: return state satisfies never;
  }
}
