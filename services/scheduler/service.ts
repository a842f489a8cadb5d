import type { Fact } from '#schemas/events/facts.ts';
import type { Bus, Outcome } from '#shared/bus/bus.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import type { PollingSettings } from '#shared/runtime/settings.ts';
import { deleteRemoved, type DeleteRemovedDeps } from './delete-removed.ts';
import { flow } from './flow.ts';
import { createLooks } from './looks.ts';
import { onCodebaseRegistered, type SchedulerDeps } from './on-codebase-registered.ts';
import { onCodebaseRemoved } from './on-codebase-removed.ts';
import { poll, type PollDeps } from './poll.ts';
import { recheckSources, type RecheckDeps } from './recheck-sources.ts';

type Eaten = Fact<(typeof flow.consumes)[number]>;

export interface SchedulerServiceDeps extends Omit<PollDeps, 'bus' | 'looks'>, Omit<RecheckDeps, 'sources'> {
  readonly bus: Pick<Bus, 'consume' | 'parked' | 'workedUpTo'>;
  readonly query: Query;
  readonly log: PollDeps['log'] & DeleteRemovedDeps['log'];
}

/** Keeps what GitLab must have for us, the webhooks; looks for what no webhook told; and ends what was removed. */
export async function start(deps: SchedulerServiceDeps, config: { readonly concurrency: number; readonly polling: PollingSettings }): Promise<RunningService> {
  const stopping = new AbortController();
  const consuming = deps.bus.consume({
    group: 'scheduler', types: flow.consumes, concurrency: config.concurrency,
    handle: (fact) => handle(deps, fact as Eaten),
  }, stopping.signal);
  const polling = poll({ ...deps, looks: createLooks(deps.query) }, config.polling, stopping.signal);
  const deleting = deleteRemoved(deps, stopping.signal);
  const checking = recheckSources(deps, stopping.signal);
  return { name: 'scheduler', stop: async () => { stopping.abort(); await Promise.all([consuming, polling, checking, deleting]); } };
}

function handle(deps: SchedulerDeps, fact: Eaten): Promise<Outcome> {
  switch (fact.type) {
    case 'codebase.registered':
    case 'codebase.restored': return onCodebaseRegistered(deps, fact);
    case 'codebase.removed': return onCodebaseRemoved(deps, fact);
    default: return fact satisfies never;
  }
}
