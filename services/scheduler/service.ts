import type { Fact } from '#schemas/events/facts.ts';
import type { Bus, Outcome } from '#shared/bus/bus.ts';
import { createSourcePlaces } from '#shared/gitlab/source-places.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import type { PollingSettings } from '#shared/runtime/settings.ts';
import { deleteRemoved, type DeleteRemovedDeps } from './delete-removed.ts';
import type { flow } from './flow.ts';
import { createLooks } from './looks.ts';
import { onCodebaseRegistered, type HookWorkDeps } from './on-codebase-registered.ts';
import { onCodebaseRemoved } from './on-codebase-removed.ts';
import { poll, type PollDeps } from './poll.ts';
import { createPeopleLooks } from './people-looks.ts';
import { createReaderLooks } from './reader-looks.ts';
import { createReadersBudgets } from './readers-budgets.ts';
import { recheckSources, type RecheckDeps } from './recheck-sources.ts';
import { sweepPeople, type PeopleSweepDeps } from './sweep-people.ts';
import { sweepReaders, type SweepDeps } from './sweep-readers.ts';

/** Worked on one by one. What webhooks hint at is followed in the log instead, by the sweep that it hurries. */
const WORK = ['codebase.registered', 'codebase.restored', 'codebase.removed'] as const satisfies readonly (typeof flow.consumes)[number][];
type Eaten = Fact<(typeof WORK)[number]>;

export interface SchedulerServiceDeps extends Omit<PollDeps, 'bus' | 'looks'>, Omit<RecheckDeps, 'sources'>, Omit<SweepDeps, 'readerLooks' | 'log' | 'store' | 'sources'>, Pick<PeopleSweepDeps, 'ownAccess'> {
  readonly bus: Pick<Bus, 'consume' | 'lead' | 'parked' | 'workedUpTo'>;
  readonly query: Query;
  readonly log: PollDeps['log'] & DeleteRemovedDeps['log'];
  readonly store: PollDeps['store'] & SweepDeps['store'] & PeopleSweepDeps['store'];
}

/** Of the budget of a source: set aside, so that neither many refs nor many readers keep the other from being learnt. */
const READERS_SHARE = 0.2;

/** Keeps what GitLab must have for us, the webhooks; looks for what no webhook told; learns who reads what, by the source's token and by people's own; and ends what was removed. */
export async function start(deps: SchedulerServiceDeps, config: { readonly concurrency: number; readonly concurrencyOfSource: number; readonly polling: PollingSettings }): Promise<RunningService> {
  const stopping = new AbortController();
  const work = { ...deps, places: createSourcePlaces(config.concurrencyOfSource) };
  const consuming = deps.bus.consume({
    group: 'scheduler', types: WORK, concurrency: config.concurrency,
    handle: (fact) => handle(work, fact as Eaten),
  }, stopping.signal);
  const { requestsPerMinute } = config.polling;
  const forReaders = Math.max(1, requestsPerMinute * READERS_SHARE);
  // One scheduler at a time: two would ask GitLab twice, each within the whole of the budget.
  const watching = deps.bus.lead('scheduler-looks', async (signal) => {
    const budgets = createReadersBudgets(forReaders);
    await Promise.all([
      poll({ ...deps, looks: createLooks(deps.query) }, { ...config.polling, requestsPerMinute: requestsPerMinute - forReaders }, signal),
      sweepReaders({ ...deps, readerLooks: createReaderLooks(deps.query) }, { budgets }, signal),
      sweepPeople({ ...deps, peopleLooks: createPeopleLooks(deps.query) }, { budgets, everyMs: config.polling.peopleSeconds * 1_000 }, signal),
      deleteRemoved(deps, signal), recheckSources(deps, signal),
    ]);
  }, stopping.signal);
  return { name: 'scheduler', stop: async () => { stopping.abort(); await Promise.all([consuming, watching]); } };
}

function handle(deps: HookWorkDeps, fact: Eaten): Promise<Outcome> {
  switch (fact.type) {
    case 'codebase.registered':
    case 'codebase.restored': return onCodebaseRegistered(deps, fact);
    case 'codebase.removed': return onCodebaseRemoved(deps, fact);
    default: return fact satisfies never;
  }
}
