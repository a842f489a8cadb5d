import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { allOf } from './blob-store.contract.ts';
import type { BlobName, BlobStore } from './blob-store.ts';
import { copyBlobs, StoresAreOne, type CopyBlobsDeps } from './copy-blobs.ts';
import { createDiskBlobStore } from './disk-blob-store.ts';
import { createMemoryBlobStore } from './memory-blob-store.ts';

const COUNT = 20;
let from: BlobStore;
let to: BlobStore;
let contents: Map<BlobName, Buffer>;
const nobodyStops = new AbortController().signal;

async function putOwn(blobs: BlobStore, content: Buffer, folder = 'packs'): Promise<BlobName> {
  const name = `${folder}/${createHash('sha256').update(content).digest('hex')}`;
  await blobs.put(name, content, { bytes: content.length });
  return name;
}
const copy = (more: Partial<CopyBlobsDeps> = {}, signal = nobodyStops) => copyBlobs({ from, to, isChecked: false, isEmptied: false, sleep: async () => undefined, ...more }, signal);
const namesIn = async (blobs: BlobStore) => (await allOf(blobs.list(''))).map(({ name }) => name).sort();
async function expectAllIn(blobs: BlobStore): Promise<void> {
  for (const [name, content] of contents) expect((await buffer((await blobs.get(name))!)).equals(content)).toBe(true);
}

beforeEach(async () => {
  [from, to, contents] = [createMemoryBlobStore(), createMemoryBlobStore(), new Map()];
  for (let n = 0; n < COUNT; n += 1) {
    const content = randomBytes(n * 1_000);
    contents.set(await putOwn(from, content, n % 3 === 0 ? 'findings' : 'packs'), content);
  }
});

test('every blob of one folder is in the other, byte for byte; a second time nothing is copied', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tekai-copy-'));
  try {
    const [one, other] = [await createDiskBlobStore({ directory: join(directory, 'one') }), await createDiskBlobStore({ directory: join(directory, 'other') })];
    for (const [name, content] of contents) await one.put(name, content, { bytes: content.length });
    expect(await copy({ from: one, to: other })).toMatchObject({ blobs: COUNT, copied: COUNT, deleted: 0, damaged: [] });
    await expectAllIn(other);
    expect(await namesIn(one)).toEqual(await namesIn(other));
    expect(await copy({ from: one, to: other })).toMatchObject({ blobs: COUNT, copied: 0 });
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('killed at any step, it leaves nothing that is not whole, and the next one goes on', async () => {
  const steps = 3 * COUNT;
  for (let at = 0; at < steps; at += 1) {
    to = createMemoryBlobStore();
    let step = 0;
    // The process is gone: nothing that comes after it happens.
    const orGone = <T>(ask: () => T): T => { if (step++ >= at) throw new Error('killed'); return ask(); };
    const dying = { list: from.list, get: from.get, delete: from.delete };
    await expect(copy({
      from: { ...dying, get: (name, options) => orGone(() => from.get(name, options)) },
      to: { list: to.list, get: (name, options) => orGone(() => to.get(name, options)), put: (name, content, options) => orGone(() => to.put(name, content, options)), delete: to.delete },
    })).rejects.toThrow('killed');
    const standing = (await namesIn(to)).length;
    expect((await copy()).copied).toBe(COUNT - standing);
    await expectAllIn(to);
  }
});

test('what is written meanwhile is brought by the next one', async () => {
  let isFirst = true;
  const late = randomBytes(10);
  await copy({ from: { ...from, get: async (name, options) => { if (isFirst) { isFirst = false; contents.set(await putOwn(from, late), late); } return from.get(name, options); } } });
  expect((await copy()).copied).toBe(1);
  await expectAllIn(to);
});

test('a store that is away is waited for, and told of', async () => {
  let left = 30;
  const told: string[] = [];
  const failing = <T>(ask: () => T): T => { if (left > 0 && left-- % 2 === 0) throw new Unavailable('blob store', 'it is away'); return ask(); };
  await copy({
    from: { list: (prefix) => failing(() => from.list(prefix)), get: (name, options) => failing(() => from.get(name, options)), delete: from.delete },
    to: { list: (prefix) => failing(() => to.list(prefix)), get: (name, options) => failing(() => to.get(name, options)), put: (name, content, options) => failing(() => to.put(name, content, options)), delete: (name) => failing(() => to.delete(name)) },
    onAway: (why) => told.push(why),
  });
  await expectAllIn(to);
  expect(told.length).toBe(15);
});

test('a blob that is not what its name says is named, and neither copied nor deleted; a whole one that is there counts', async () => {
  const [bad, mended] = [...contents.keys()].slice(5, 7) as [BlobName, BlobName];
  await to.put(mended, contents.get(mended)!, { bytes: contents.get(mended)!.length });
  for (const name of [bad, mended]) await from.put(name, Buffer.from('changed at rest'), { bytes: 15 });
  expect(await copy({ isEmptied: true })).toMatchObject({ blobs: COUNT, copied: COUNT - 2, deleted: COUNT - 1, damaged: [bad] });
  expect(await to.size(bad)).toBeUndefined();
  expect(await namesIn(from)).toEqual([bad]);
});

test('one that is damaged in the other store, and has its length, is written anew when that is checked, and never deleted here before', async () => {
  const [name, content] = [...contents][9]!;
  await copy();
  await to.put(name, Buffer.alloc(content.length), { bytes: content.length });
  expect((await copy()).copied).toBe(0);
  expect((await copy({ isChecked: true })).copied).toBe(1);
  await to.put(name, Buffer.alloc(content.length), { bytes: content.length });
  expect(await copy({ isEmptied: true })).toMatchObject({ copied: 1, deleted: COUNT });
  await expectAllIn(to);
});

test('a store that is emptied into itself, under another name, keeps all that it has', async () => {
  await expect(copy({ to: from, isEmptied: true })).rejects.toThrow(StoresAreOne);
  expect(await namesIn(from)).toEqual([...contents.keys()].sort());
});

test('what is not ours stays where it is', async () => {
  await from.put('packs/notes.txt', Buffer.from('mine'), { bytes: 4 });
  expect(await copy({ isEmptied: true })).toMatchObject({ blobs: COUNT });
  expect(await namesIn(from)).toEqual(['packs/notes.txt']);
  expect(await to.size('packs/notes.txt')).toBeUndefined();
});

test('told to stop, it stops with the reason', async () => {
  const stop = new AbortController();
  await expect(copy({ onBlob: ({ blobs }) => { if (blobs === 5) stop.abort(new Error('told to')); } }, stop.signal)).rejects.toThrow('told to');
  expect((await namesIn(to)).length).toBeLessThan(COUNT);
});
