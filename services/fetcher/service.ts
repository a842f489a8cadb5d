import type { Bus } from '#shared/bus/bus.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { flow } from './flow.ts';
import { createHeads } from './heads.ts';
import { onCause, type CauseMemory } from './on-cause.ts';
import { createSourcePlaces } from '#shared/gitlab/source-places.ts';
import type { StartSyncDeps } from './start-sync.ts';
import { createSyncEnds } from './sync-ends.ts';

export interface FetcherDeps extends Omit<StartSyncDeps, 'heads' | 'ends' | 'bus' | 'log'> {
  readonly log: Pick<EventLog, 'append' | 'readStream' | 'subscribe' | 'head'>;
  readonly bus: Pick<Bus, 'consume' | 'parked' | 'tellProgress'>;
  readonly query: Query;
}

export interface FetcherConfig {
  /** Codebases worked on at once, of all sources and of one. */
  readonly concurrency: number;
  readonly concurrencyOfSource: number;
}

/** Brings refs to what GitLab has now: eats causes, asks for the head, packs what is new. */
export async function start(deps: FetcherDeps, config: FetcherConfig): Promise<RunningService> {
  const stopping = new AbortController();
  const ends = createSyncEnds(deps);
  const work = { ...deps, ends, heads: createHeads(deps.query), places: createSourcePlaces(config.concurrencyOfSource) };
  const memoryOf = createMemories();
  const following = ends.follow(await deps.log.head(), stopping.signal);
  const consuming = deps.bus.consume(
    { group: 'fetcher', types: flow.consumes, concurrency: config.concurrency, handle: (fact, handling) => onCause({ ...work, memory: memoryOf(handling.signal) }, fact, handling) },
    stopping.signal);
  return { name: 'fetcher', stop: async () => { stopping.abort(); await Promise.all([following, consuming]); } };
}

/** What was planned in one term is nothing to the next: another fetcher was at work between. Each term of each share has one signal, and what it remembers goes with that. */
function createMemories(): (ofTerm: AbortSignal) => CauseMemory {
  const memories = new WeakMap<AbortSignal, CauseMemory>();
  return (ofTerm) => {
    const known = memories.get(ofTerm);
    if (known !== undefined) return known;
    const memory = { plans: new Map(), leftTo: new Map() };
    memories.set(ofTerm, memory);
    return memory;
  };
}
