import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { FactId, GitLabProjectId, RefName, SourceId } from '#schemas/brand.ts';
import type { Fact, NewFact } from '#schemas/events/facts.ts';
import { codebaseIdOf, syncIdOf, syncStream } from '#schemas/ids.ts';
import { createMemoryBlobStore } from '#shared/blobs/memory-blob-store.ts';
import type { Progress } from '#shared/bus/bus.ts';
import { getFindings } from '#shared/findings/findings-file.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createMemoryObjectIndex } from '#shared/objects/memory-object-index.ts';
import { packBlobName } from '#shared/objects/pack-store.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { blobOf, commitOf, packed, treeOf } from '#tests/harness/git-objects.ts';
import { onCodebaseFetched, type ScannerDeps } from './on-codebase-fetched.ts';

const FILE = blobOf('one\ntwo\n');
const ROOT = treeOf([['100644', 'f.ts', FILE.id]]);
const COMMIT = commitOf(ROOT.id);

let log: EventLog;
let blobs = createMemoryBlobStore();
let told: Progress[];
let clock: number;
let deps: ScannerDeps;
beforeEach(() => {
  log = createMemoryEventLog();
  blobs = createMemoryBlobStore();
  told = [];
  clock = Date.UTC(2026, 0, 1);
  deps = { log, blobs, index: createMemoryObjectIndex(), logger: createLogger('silent'), bus: { consume: async () => {}, tellProgress: (progress) => { told.push(progress); } }, now: () => new Date(clock += 150) };
});

async function fetched(more: Partial<NewFact<'codebase.fetched'>['data']> = {}): Promise<Fact<'codebase.fetched'>> {
  const codebaseId = codebaseIdOf(randomUUID() as SourceId, 15 as GitLabProjectId);
  const ref = 'refs/heads/main' as RefName;
  const cause = randomUUID() as FactId;
  const syncId = syncIdOf(cause, codebaseId, ref);
  const { packs } = await packed(blobs, [COMMIT, ROOT, FILE]);
  const time = new Date(Date.UTC(2026, 0, 1));
  await log.append(syncStream(syncId), 'noStream', [newFact({
    type: 'codebase.fetched', key: codebaseId, actor: { kind: 'worker', id: 'fetcher' }, correlationId: 'c', causationId: cause, time,
    data: {
      syncId, codebaseId, ref, commit: COMMIT.id, commitTime: time.toISOString(), tree: ROOT.id, objectFormat: 'sha1', defaultRef: ref, observedAt: time.toISOString(), hintReached: false,
      packs: [...packs], counts: { commits: 1, trees: 1, blobs: 1 }, bytes: 100, attempt: 3, ...more,
    },
  })]);
  return (await log.readStream(syncStream(syncId), { limit: 1 }))[0] as Fact<'codebase.fetched'>;
}

const handle = (fact: Fact<'codebase.fetched'>, more: Partial<ScannerDeps> = {}) => onCodebaseFetched({ ...deps, ...more }, fact, AbortSignal.timeout(10_000));
const factsOf = async ({ stream }: Fact) => (await log.readStream(stream, { limit: 10 })) as Fact[];

test('given codebase.fetched, expect codebase.scanned that says the same of the ref, and names the findings', async () => {
  const fact = await fetched();
  expect(await handle(fact)).toEqual({ kind: 'done' });
  const [, scanned] = (await factsOf(fact)) as [Fact, Fact<'codebase.scanned'>];
  const { bytes: _bytes, ...same } = fact.data;
  expect(scanned).toMatchObject({ type: 'codebase.scanned', revision: 1, causationId: fact.id, correlationId: 'c', data: same });
  expect(await getFindings(blobs, scanned.data.findings!)).toEqual(new Map<string, object>([
    [FILE.id, { kind: 'blob', language: 'TypeScript', lines: 2, isBinary: false, isGenerated: false, isVendored: false, isLfsPointer: false }],
    [ROOT.id, { kind: 'tree', files: 1, bytes: 8, languages: { TypeScript: 8 }, counts: { TypeScript: [1, 2] } }],
  ]));
});

test('given nothing new, expect codebase.scanned without findings', async () => {
  const fact = await fetched({ packs: [] });
  await handle(fact);
  expect((await factsOf(fact))[1]).toMatchObject({ type: 'codebase.scanned', data: { packs: [], findings: null } });
});

test('given the same again, or another scanner that was quicker, expect one codebase.scanned', async () => {
  const fact = await fetched();
  let isSecond = false;
  const racing: EventLog = { ...log, append: async (...args) => {
    if (!isSecond) { isSecond = true; await handle(fact); }
    return log.append(...args);
  } };
  expect(await handle(fact, { log: racing })).toEqual({ kind: 'done' });
  expect(await handle(fact)).toEqual({ kind: 'done' });
  expect(await factsOf(fact)).toHaveLength(2);
});

test('given a damaged pack, expect codebase.scanned without findings: another is the judge', async () => {
  const fact = await fetched();
  const name = packBlobName(fact.data.packs[0]!.pack);
  const bytes = await buffer((await blobs.get(name))!);
  bytes[20]! ^= 0xff;
  await blobs.put(name, bytes, { bytes: bytes.length });
  await handle(fact);
  expect((await factsOf(fact))[1]).toMatchObject({ type: 'codebase.scanned', data: { findings: null } });
});

test('given a store that is away, expect to wait and to say nothing', async () => {
  const fact = await fetched();
  await blobs.delete(packBlobName(fact.data.packs[0]!.pack));
  await expect(handle(fact)).rejects.toThrow(Unavailable);
  expect(await factsOf(fact)).toHaveLength(1);
});

test('progress is told at most every 200 ms, with what there is to do in all', async () => {
  await handle(await fetched());
  // The clock of this test moves 150 ms a look.
  expect(told.map(({ step, objectsDone, objectsTotal }) => [step, objectsDone, objectsTotal])).toEqual([['scan', 2, 3]]);
});
