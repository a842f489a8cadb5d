import type { Fact } from '#schemas/events/facts.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { flow } from './flow.ts';
import { onCodebaseScanned, type StorageWriterDeps } from './on-codebase-scanned.ts';

/** The gate: no version is visible that does not recompute to its commit's tree. The only writer of the object index. */
export async function start(deps: StorageWriterDeps, config: { readonly concurrency: number }): Promise<RunningService> {
  const stopping = new AbortController();
  const consuming = deps.bus.consume({
    group: 'storage-writer', types: flow.consumes, concurrency: config.concurrency,
    handle: (fact, { signal }) => onCodebaseScanned(deps, fact as Fact<'codebase.scanned'>, signal),
  }, stopping.signal);
  return { name: 'storage-writer', stop: async () => { stopping.abort(); await consuming; } };
}
