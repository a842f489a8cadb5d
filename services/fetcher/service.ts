import type { Bus } from '#shared/bus/bus.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { flow } from './flow.ts';
import { createHeads } from './heads.ts';
import { onCause } from './on-cause.ts';
import type { StartSyncDeps } from './start-sync.ts';
import { createSyncEnds } from './sync-ends.ts';

export interface FetcherDeps extends Omit<StartSyncDeps, 'heads' | 'ends' | 'bus' | 'log'> {
  readonly log: Pick<EventLog, 'append' | 'readStream' | 'subscribe' | 'head'>;
  readonly bus: Pick<Bus, 'consume' | 'parked' | 'tellProgress'>;
  readonly query: Query;
}

export interface FetcherConfig {
  /** Codebases worked on at once. */
  readonly concurrency: number;
}

/** Brings refs to what GitLab has now: eats causes, asks for the head, packs what is new. */
export async function start(deps: FetcherDeps, config: FetcherConfig): Promise<RunningService> {
  const stopping = new AbortController();
  const ends = createSyncEnds(deps);
  const work = { ...deps, ends, heads: createHeads(deps.query), memory: { plans: new Map(), leftTo: new Map() } };
  const following = ends.follow(await deps.log.head(), stopping.signal);
  const consuming = deps.bus.consume(
    { group: 'fetcher', types: flow.consumes, concurrency: config.concurrency, handle: (fact, handling) => onCause(work, fact, handling) },
    stopping.signal);
  return { name: 'fetcher', stop: async () => { stopping.abort(); await Promise.all([following, consuming]); } };
}
