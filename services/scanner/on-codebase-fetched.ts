import type { Fact } from '#schemas/events/facts.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import type { Bus, Outcome } from '#shared/bus/bus.ts';
import { putFindings } from '#shared/findings/findings-file.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { TreeMalformed } from '#shared/objects/git-tree.ts';
import type { ObjectIndexReader } from '#shared/objects/object-index.ts';
import { PackDamaged } from '#shared/objects/pack-format.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { factAfter } from '#shared/runtime/new-fact.ts';
import { tookStep } from '#shared/runtime/trail.ts';
import { scan } from './scan.ts';

export interface ScannerDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly blobs: BlobStore;
  readonly index: Pick<ObjectIndexReader, 'findings'>;
  readonly bus: Pick<Bus, 'consume' | 'tellProgress'>;
  readonly logger: Pick<Logger, 'debug'>;
  now(): Date;
}

const PROGRESS_EVERY_MS = 200;

/** Looks at what was fetched, and says so in the sync's stream. @throws Unavailable */
export async function onCodebaseFetched(deps: ScannerDeps, fact: Fact<'codebase.fetched'>, signal: AbortSignal): Promise<Outcome> {
  const [, next] = await deps.log.readStream(fact.stream, { from: 0, limit: 2 });
  if (next !== undefined) return { kind: 'done' }; // Somebody was here before: the stream is the truth.
  const { packs, counts, commit, commitTime, tree, objectFormat, defaultRef, observedAt, hintReached, attempt, syncId, codebaseId, ref } = fact.data;
  const scanned = factAfter(fact, {
    type: 'codebase.scanned', time: deps.now(), worker: 'scanner',
    data: { syncId, codebaseId, ref, commit, commitTime, tree, objectFormat, defaultRef, observedAt, hintReached, attempt, packs, counts, findings: await find(deps, fact, signal) },
  });
  const { kind } = await deps.log.append(fact.stream, fact.revision, [scanned]);
  if (kind === 'appended') tookStep(deps.logger, 'scanned', { sync: syncId, correlation: fact.correlationId, codebase: codebaseId });
  return { kind: 'done' };
}

/** A damaged pack has no findings: the storage-writer, who recomputes every id, is the one judge of it. */
async function find(deps: ScannerDeps, { data }: Fact<'codebase.fetched'>, signal: AbortSignal) {
  const total = data.packs.reduce((sum, pack) => sum + pack.objects, 0);
  let last = deps.now().getTime();
  const onProgress = (progress: { objectsDone: number; bytesDone: number }) => {
    const at = deps.now().getTime();
    if (Math.abs(at - last) < PROGRESS_EVERY_MS) return;
    last = at;
    deps.bus.tellProgress({ syncId: data.syncId, codebaseId: data.codebaseId, ref: data.ref, step: 'scan', objectsTotal: total, ...progress });
  };
  try {
    const found = await scan({ root: data.tree, format: data.objectFormat, packs: data.packs.map((pack) => pack.pack), blobs: deps.blobs, index: deps.index, signal, onProgress });
    return await putFindings(deps.blobs, found);
  } catch (error) {
    if (error instanceof PackDamaged || error instanceof TreeMalformed) return null;
    throw error;
  }
}
