import type { ObjectId } from '#schemas/brand.ts';
import type { Fact, NewFact } from '#schemas/events/facts.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import type { Bus, Outcome } from '#shared/bus/bus.ts';
import { FindingsDamaged, getFindings } from '#shared/findings/findings-file.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { Finding, ObjectIndex } from '#shared/objects/object-index.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { factAfter } from '#shared/runtime/new-fact.ts';
import { tookStep } from '#shared/runtime/trail.ts';
import { verifyPacks } from './verify-packs.ts';

export interface StorageWriterDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly blobs: BlobStore;
  readonly index: ObjectIndex;
  readonly reader: Pick<ObjectReader, 'read'>;
  readonly bus: Pick<Bus, 'consume' | 'tellProgress'>;
  readonly logger: Pick<Logger, 'debug'>;
  now(): Date;
}

const PROGRESS_EVERY_MS = 200;

/** Makes a version visible, if and only if every object of it is what its id says. @throws Unavailable */
export async function onCodebaseScanned(deps: StorageWriterDeps, fact: Fact<'codebase.scanned'>, signal: AbortSignal): Promise<Outcome> {
  const [next] = await deps.log.readStream(fact.stream, { from: fact.revision + 1, limit: 1 });
  if (next !== undefined) return { kind: 'done' }; // Somebody was here before: the stream is the truth.
  // Wrong revision: another writer was quicker, and recorded the same objects.
  const judged = await judge(deps, fact, signal);
  const outcome = await deps.log.append(fact.stream, fact.revision, [judged]);
  if (outcome.kind === 'appended') tookStep(deps.logger, judged.type === 'codebase.stored' ? 'stored' : 'ended', { ...tookOf(fact), type: judged.type, position: outcome.position });
  return { kind: 'done' };
}

const tookOf = ({ data, correlationId: correlation }: Fact<'codebase.scanned'>) => ({ sync: data.syncId, correlation, codebase: data.codebaseId });

async function judge(deps: StorageWriterDeps, fact: Fact<'codebase.scanned'>, signal: AbortSignal): Promise<NewFact> {
  const { data } = fact;
  const verified = await verifyPacks({
    commit: data.commit, tree: data.tree, format: data.objectFormat, packs: data.packs.map((pack) => pack.pack),
    blobs: deps.blobs, index: deps.index, reader: deps.reader, signal, onProgress: progressTeller(deps, data),
  });
  const { syncId, codebaseId, ref } = data;
  if (verified.kind === 'wrong') return failed(deps, fact, verified.reason, verified.detail);
  const findings = await findingsOf(deps, data);
  if (findings === undefined) return failed(deps, fact, 'object-damaged', 'what the scanner found does not hash to its name');
  const { added } = await deps.index.record(verified.places, findings);
  tookStep(deps.logger, 'recorded', tookOf(fact));
  return factAfter(fact, {
    type: 'codebase.stored', time: deps.now(), worker: 'storage-writer',
    data: {
      syncId, codebaseId, ref, commit: data.commit, commitTime: data.commitTime, tree: data.tree, objectFormat: data.objectFormat,
      defaultRef: data.defaultRef, observedAt: data.observedAt, hintReached: data.hintReached, counts: data.counts, objectsAdded: added,
    },
  });
}

function failed(deps: StorageWriterDeps, fact: Fact<'codebase.scanned'>, reason: Fact<'sync.failed'>['data']['reason'], detail: string): NewFact {
  const { syncId, codebaseId, ref, attempt } = fact.data;
  return factAfter(fact, { type: 'sync.failed', time: deps.now(), worker: 'storage-writer', data: { syncId, codebaseId, ref, step: 'store', reason, detail: detail.slice(0, 2_000), attempt } });
}

/** Undefined when they are damaged. */
async function findingsOf(deps: StorageWriterDeps, { findings }: Fact<'codebase.scanned'>['data']): Promise<Map<ObjectId, Finding> | undefined> {
  if (findings === null) return new Map();
  try {
    return await getFindings(deps.blobs, findings);
  } catch (error) {
    if (error instanceof FindingsDamaged) return undefined;
    throw error;
  }
}

function progressTeller({ bus, now }: StorageWriterDeps, data: Fact<'codebase.scanned'>['data']) {
  const { syncId, codebaseId, ref } = data;
  const objectsTotal = data.packs.reduce((sum, pack) => sum + pack.objects, 0);
  let last = now().getTime();
  return (progress: { objectsDone: number; bytesDone: number }) => {
    const at = now().getTime();
    if (Math.abs(at - last) < PROGRESS_EVERY_MS) return;
    last = at;
    bus.tellProgress({ syncId, codebaseId, ref, step: 'store', objectsTotal, ...progress });
  };
}
