import type { Fact } from '#schemas/events/facts.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { flow } from './flow.ts';
import { onCodebaseFetched, type ScannerDeps } from './on-codebase-fetched.ts';

/** Says what the new blobs and trees of a sync are: languages, lines, sizes, sums. */
export async function start(deps: ScannerDeps, config: { readonly concurrency: number }): Promise<RunningService> {
  const stopping = new AbortController();
  const consuming = deps.bus.consume({
    group: 'scanner', types: flow.consumes, concurrency: config.concurrency,
    handle: (fact, { signal }) => onCodebaseFetched(deps, fact as Fact<'codebase.fetched'>, signal),
  }, stopping.signal);
  return { name: 'scanner', stop: async () => { stopping.abort(); await consuming; } };
}
