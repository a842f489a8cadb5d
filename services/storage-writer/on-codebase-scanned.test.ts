import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { FactId, GitLabProjectId, ObjectId, RefName, SourceId } from '#schemas/brand.ts';
import type { Fact, NewFact } from '#schemas/events/facts.ts';
import { codebaseIdOf, syncIdOf, syncStream } from '#schemas/ids.ts';
import { createMemoryBlobStore } from '#shared/blobs/memory-blob-store.ts';
import { putFindings } from '#shared/findings/findings-file.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createMemoryObjectIndex } from '#shared/objects/memory-object-index.ts';
import type { Finding, ObjectIndex } from '#shared/objects/object-index.ts';
import { createObjectReader } from '#shared/objects/object-reader.ts';
import { packBlobName } from '#shared/objects/pack-store.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { factAfter, newFact } from '#shared/runtime/new-fact.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { blobOf, commitOf, packed, treeOf } from '#tests/harness/git-objects.ts';
import { onCodebaseScanned, type StorageWriterDeps } from './on-codebase-scanned.ts';

const FILE = blobOf('file\n');
const ROOT = treeOf([['100644', 'f', FILE.id]]);
const COMMIT = commitOf(ROOT.id);
const FOUND: Finding = { kind: 'blob', language: 'Text', lines: 1, isBinary: false, isGenerated: false, isVendored: false, isLfsPointer: false };
const NOW = new Date('2026-01-01T12:00:00.000Z');

let log: EventLog;
let index: ObjectIndex;
let blobs = createMemoryBlobStore();
let deps: StorageWriterDeps;
beforeEach(() => {
  log = createMemoryEventLog();
  index = createMemoryObjectIndex();
  blobs = createMemoryBlobStore();
  deps = { log, blobs, index, reader: createObjectReader({ index, blobs }), logger: createLogger('silent'), bus: { consume: async () => {}, tellProgress: () => {} }, now: () => NOW };
});

/** A sync as fetcher and scanner leave it, and its last fact. */
async function scanned(more: Partial<NewFact<'codebase.scanned'>['data']> = {}): Promise<Fact<'codebase.scanned'>> {
  const codebaseId = codebaseIdOf(randomUUID() as SourceId, 15 as GitLabProjectId);
  const ref = 'refs/heads/main' as RefName;
  const cause = randomUUID() as FactId;
  const syncId = syncIdOf(cause, codebaseId, ref);
  const { packs } = await packed(blobs, [COMMIT, ROOT, FILE]);
  const state = {
    syncId, codebaseId, ref, commit: COMMIT.id, commitTime: NOW.toISOString(), tree: ROOT.id, objectFormat: 'sha1' as const, defaultRef: ref, observedAt: NOW.toISOString(), hintReached: true,
    packs: [...packs], counts: { commits: 1, trees: 1, blobs: 1 }, attempt: 2,
  };
  const fetched = newFact({ type: 'codebase.fetched', key: codebaseId, actor: { kind: 'worker', id: 'fetcher' }, correlationId: 'c', causationId: cause, time: NOW, data: { ...state, bytes: 5 } });
  await log.append(syncStream(syncId), 'noStream', [fetched]);
  const [first] = (await log.readStream(syncStream(syncId), { limit: 1 })) as Fact[];
  const findings = await putFindings(blobs, new Map([[FILE.id, FOUND]]));
  await log.append(syncStream(syncId), 0, [factAfter(first!, { type: 'codebase.scanned', time: NOW, worker: 'scanner', data: { ...state, findings, ...more } })]);
  return (await factsOf(syncStream(syncId)))[1] as Fact<'codebase.scanned'>;
}

const factsOf = async (stream: Fact['stream']) => (await log.readStream(stream, { limit: 10 })) as Fact[];
const handle = (fact: Fact<'codebase.scanned'>, more: Partial<StorageWriterDeps> = {}) => onCodebaseScanned({ ...deps, ...more }, fact, AbortSignal.timeout(10_000));
const last = async (fact: Fact) => (await factsOf(fact.stream)).at(-1)!;

test('given a scanned version that is whole, expect its objects recorded with what was found, and then codebase.stored', async () => {
  const fact = await scanned();
  expect(await handle(fact)).toEqual({ kind: 'done' });
  const { data } = fact;
  expect(await last(fact)).toMatchObject({
    type: 'codebase.stored', revision: 2, key: fact.key, causationId: fact.id, correlationId: 'c', actor: { kind: 'worker', id: 'storage-writer' },
    data: {
      syncId: data.syncId, codebaseId: data.codebaseId, ref: data.ref, commit: COMMIT.id, commitTime: data.commitTime, tree: ROOT.id, objectFormat: 'sha1',
      defaultRef: data.defaultRef, observedAt: data.observedAt, hintReached: true, counts: data.counts, objectsAdded: 3,
    },
  });
  expect([...await index.known([COMMIT.id, ROOT.id, FILE.id])]).toHaveLength(3);
  expect((await index.findings([FILE.id])).get(FILE.id)).toEqual({ bytes: 5, finding: FOUND });
});

test('given the same again, expect nothing new', async () => {
  const fact = await scanned();
  await handle(fact);
  expect(await handle(fact)).toEqual({ kind: 'done' });
  expect(await factsOf(fact.stream)).toHaveLength(3);
});

test('given a crash between recording and the fact, expect the fact the next time', async () => {
  const fact = await scanned();
  const crashing = { ...log, append: async () => { throw new Unavailable('event log', 'away'); } };
  await expect(handle(fact, { log: crashing })).rejects.toThrow(Unavailable);
  expect(await factsOf(fact.stream)).toHaveLength(2);
  await handle(fact);
  expect((await last(fact)).type).toBe('codebase.stored');
});

test('given another writer that was quicker, expect its fact to stand alone', async () => {
  const fact = await scanned();
  let isSecond = false;
  const racing: EventLog = { ...log, append: async (...args) => {
    if (!isSecond) { isSecond = true; await handle(fact); }
    return log.append(...args);
  } };
  expect(await handle(fact, { log: racing })).toEqual({ kind: 'done' });
  expect((await factsOf(fact.stream)).map(({ type }) => type)).toEqual(['codebase.fetched', 'codebase.scanned', 'codebase.stored']);
});

test('given an object that is missing, expect sync.failed with the reason, and nothing recorded', async () => {
  const { packs } = await packed(blobs, [COMMIT, ROOT]);
  const fact = await scanned({ packs: [...packs] });
  await handle(fact);
  const failed = await last(fact);
  expect(failed).toMatchObject({ type: 'sync.failed', revision: 2, causationId: fact.id, data: { syncId: fact.data.syncId, codebaseId: fact.data.codebaseId, ref: fact.data.ref, step: 'store', reason: 'object-missing', attempt: 2 } });
  expect((failed as Fact<'sync.failed'>).data.detail).toContain(FILE.id);
  expect([...await index.known([COMMIT.id, ROOT.id])]).toEqual([]);
});

test('given a damaged pack, expect sync.failed, and nothing recorded', async () => {
  const fact = await scanned();
  const name = packBlobName(fact.data.packs[0]!.pack);
  const bytes = await buffer((await blobs.get(name))!);
  bytes[20]! ^= 0xff;
  await blobs.put(name, bytes, { bytes: bytes.length });
  await handle(fact);
  expect(await last(fact)).toMatchObject({ type: 'sync.failed', data: { step: 'store', reason: expect.stringMatching(/^(pack|object)-damaged$/) } });
  expect([...await index.known([COMMIT.id, ROOT.id, FILE.id])]).toEqual([]);
});

test('given findings that are damaged, expect sync.failed, and nothing recorded; given none, the objects alone', async () => {
  const fact = await scanned();
  const { sha256, bytes } = fact.data.findings!;
  await blobs.put(`findings/${sha256}`, Buffer.alloc(bytes), { bytes });
  await handle(fact);
  expect(await last(fact)).toMatchObject({ type: 'sync.failed', data: { step: 'store', reason: 'object-damaged', detail: expect.stringContaining('scanner') } });
  expect([...await index.known([COMMIT.id, ROOT.id, FILE.id])]).toEqual([]);

  const without = await scanned({ findings: null });
  await handle(without);
  expect(await last(without)).toMatchObject({ type: 'codebase.stored', data: { objectsAdded: 3 } });
});

test('given findings of an object that is not in the packs, expect them to harm nothing', async () => {
  const findings = await putFindings(blobs, new Map([['9'.repeat(40) as ObjectId, FOUND], [FILE.id, FOUND]]));
  const fact = await scanned({ findings });
  await handle(fact);
  expect(await last(fact)).toMatchObject({ type: 'codebase.stored', data: { objectsAdded: 3 } });
  expect([...await index.known(['9'.repeat(40) as ObjectId])]).toEqual([]);
});

test('given a version that is known already, expect it stored with nothing added', async () => {
  await handle(await scanned());
  const again = await scanned({ packs: [], findings: null, counts: { commits: 0, trees: 0, blobs: 0 } });
  await handle(again);
  expect(await last(again)).toMatchObject({ type: 'codebase.stored', data: { commit: COMMIT.id, objectsAdded: 0 } });
});

test('given a store that is away, expect to wait, not to fail', async () => {
  const fact = await scanned();
  await blobs.delete(packBlobName(fact.data.packs[0]!.pack));
  await expect(handle(fact)).rejects.toThrow(Unavailable);
  const other = await scanned();
  await blobs.delete(`findings/${other.data.findings!.sha256}`);
  await expect(handle(other)).rejects.toThrow(Unavailable);
  expect([(await last(fact)).type, (await last(other)).type]).toEqual(['codebase.scanned', 'codebase.scanned']);
});
