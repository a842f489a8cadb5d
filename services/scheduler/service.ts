import type { Fact } from '#schemas/events/facts.ts';
import type { Bus } from '#shared/bus/bus.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { flow } from './flow.ts';
import { recheckSources, type RecheckDeps } from './recheck-sources.ts';
import { onCodebaseRegistered, type SchedulerDeps } from './on-codebase-registered.ts';

/** Keeps what GitLab must have for us: today, the webhooks of registered codebases. */
export async function start(deps: SchedulerDeps & RecheckDeps & { readonly bus: Pick<Bus, 'consume'> }, config: { readonly concurrency: number }): Promise<RunningService> {
  const stopping = new AbortController();
  const consuming = deps.bus.consume({
    group: 'scheduler', types: flow.consumes, concurrency: config.concurrency,
    handle: (fact) => onCodebaseRegistered(deps, fact as Fact<'codebase.registered'>),
  }, stopping.signal);
  const checking = recheckSources(deps, stopping.signal);
  return { name: 'scheduler', stop: async () => { stopping.abort(); await Promise.all([consuming, checking]); } };
}
