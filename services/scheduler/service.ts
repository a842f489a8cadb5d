import type { Fact } from '#schemas/events/facts.ts';
import type { Bus, Outcome } from '#shared/bus/bus.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { deleteRemoved, type DeleteRemovedDeps } from './delete-removed.ts';
import { flow } from './flow.ts';
import { onCodebaseRegistered, type SchedulerDeps } from './on-codebase-registered.ts';
import { onCodebaseRemoved } from './on-codebase-removed.ts';

type Eaten = Fact<(typeof flow.consumes)[number]>;

/** Keeps what GitLab must have for us, and what the clock asks for: webhooks of codebases, and the end of what was removed. */
export async function start(deps: SchedulerDeps & DeleteRemovedDeps & { readonly bus: Pick<Bus, 'consume'> }, config: { readonly concurrency: number }): Promise<RunningService> {
  const stopping = new AbortController();
  const consuming = deps.bus.consume({ group: 'scheduler', types: flow.consumes, concurrency: config.concurrency, handle: (fact) => handle(deps, fact as Eaten) }, stopping.signal);
  const deleting = deleteRemoved(deps, stopping.signal);
  return { name: 'scheduler', stop: async () => { stopping.abort(); await Promise.all([consuming, deleting]); } };
}

function handle(deps: SchedulerDeps, fact: Eaten): Promise<Outcome> {
  switch (fact.type) {
    case 'codebase.registered':
    case 'codebase.restored': return onCodebaseRegistered(deps, fact);
    case 'codebase.removed': return onCodebaseRemoved(deps, fact);
    default: return fact satisfies never;
  }
}
