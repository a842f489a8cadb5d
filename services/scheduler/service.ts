import type { Fact } from '#schemas/events/facts.ts';
import type { Bus } from '#shared/bus/bus.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import type { PollingSettings } from '#shared/runtime/settings.ts';
import { flow } from './flow.ts';
import { createLooks } from './looks.ts';
import { onCodebaseRegistered } from './on-codebase-registered.ts';
import { poll, type PollDeps } from './poll.ts';
import { recheckSources, type RecheckDeps } from './recheck-sources.ts';

export interface SchedulerServiceDeps extends Omit<PollDeps, 'bus' | 'looks'>, Omit<RecheckDeps, 'sources'> {
  readonly bus: Pick<Bus, 'consume' | 'parked' | 'workedUpTo'>;
  readonly query: Query;
}

/** Keeps what GitLab must have for us, the webhooks, and looks for what no webhook told. */
export async function start(deps: SchedulerServiceDeps, config: { readonly concurrency: number; readonly polling: PollingSettings }): Promise<RunningService> {
  const stopping = new AbortController();
  const consuming = deps.bus.consume({
    group: 'scheduler', types: flow.consumes, concurrency: config.concurrency,
    handle: (fact) => onCodebaseRegistered(deps, fact as Fact<'codebase.registered'>),
  }, stopping.signal);
  const polling = poll({ ...deps, looks: createLooks(deps.query) }, config.polling, stopping.signal);
  const checking = recheckSources(deps, stopping.signal);
  return { name: 'scheduler', stop: async () => { stopping.abort(); await Promise.all([consuming, polling, checking]); } };
}
