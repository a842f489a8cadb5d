import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import type { ObjectId } from '#schemas/brand.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import { createMemoryBlobStore } from '#shared/blobs/memory-blob-store.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { BlockCache } from './block-cache.ts';
import { gitId } from './git-objects.ts';
import { createMemoryObjectIndex } from './memory-object-index.ts';
import type { ObjectIndex, ObjectKind, ObjectPlace } from './object-index.ts';
import { ObjectDamaged, ObjectTooLarge, createObjectReader, type ObjectReader } from './object-reader.ts';
import { packBlobName, putPack, readFooter } from './pack-store.ts';
import { createPackWriter } from './pack-writer.ts';

type Made = { id: ObjectId; kind: ObjectKind; bytes: number; content: Buffer };
const made = (content: Buffer | string, kind: ObjectKind = 'blob', format: 'sha1' | 'sha256' = 'sha1'): Made => {
  const bytes = Buffer.from(content);
  return { id: gitId(kind, bytes, format), kind, bytes: bytes.length, content: bytes };
};

let blobs: BlobStore;
let index: ObjectIndex;
let reads: number;
let reader: ObjectReader;
beforeEach(() => {
  const memory = createMemoryBlobStore();
  reads = 0;
  blobs = { ...memory, get: (name, options) => { reads += 1; return memory.get(name, options); } };
  index = createMemoryObjectIndex();
  reader = createObjectReader({ index, blobs });
});

/** Packs and indexes; gives the places. */
async function store(objects: readonly Made[]): Promise<ObjectPlace[]> {
  const directory = await mkdtemp(join(tmpdir(), 'tekai-packs-'));
  const writer = createPackWriter({ directory });
  try {
    for (const object of objects) await writer.add(object);
    const places: ObjectPlace[] = [];
    for (const pack of await writer.finish()) {
      await putPack(blobs, pack);
      places.push(...(await readFooter(blobs, pack.pack)).blocks.flatMap((block) => block.objects));
    }
    await index.record(places, new Map());
    reads = 0;
    return places;
  } finally {
    await writer.abandon();
    await rm(directory, { recursive: true });
  }
}

async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Changes one byte of the pack in the store. */
async function damage({ pack }: ObjectPlace, at: number): Promise<void> {
  const bytes = await buffer((await blobs.get(packBlobName(pack)))!);
  bytes[at]! ^= 0x10;
  await blobs.put(packBlobName(pack), bytes, { bytes: bytes.length });
  reads = 0;
}

test.each([0, 1, 65_536, 65_537, 1_048_576, 1_048_577, 5_000_000])('an object of %d bytes is read and streamed as it was stored', async (bytes) => {
  for (const content of [randomBytes(bytes), Buffer.alloc(bytes, 7)]) {
    const object = made(content);
    await store([made('before'), object, made('after')]);
    const streamed = await reader.stream(object.id);
    expect({ ...streamed, content: Buffer.concat(await allOf(streamed!.content)).equals(content) }).toEqual({ ...object, content: true });
    if (bytes > 1_048_576) await expect(reader.read(object.id)).rejects.toThrow(ObjectTooLarge);
    else expect((await reader.read(object.id))?.content.equals(content)).toBe(true);
  }
});

test('kinds and both object formats are read', async () => {
  const objects = [made('a', 'commit'), made('', 'tree'), made('a', 'blob', 'sha256'), made('', 'tree', 'sha256')];
  await store(objects);
  for (const object of objects) expect(await reader.read(object.id)).toEqual(object);
});

test('an id that the index does not know is undefined', async () => {
  expect(await reader.read(made('nothing').id)).toBeUndefined();
  expect(await reader.stream(made('nothing').id)).toBeUndefined();
  expect(await allOf(reader.readMany([made('nothing').id]))).toEqual([]);
});

test('any selection is read in one go, each object once, whatever the order asked', async () => {
  const objects = [...Array.from({ length: 400 }, (_, n) => made(`object ${n} ${'x'.repeat(n * 3)}`)), made(randomBytes(1_500_000)), made(randomBytes(70_000)), made(''), made(randomBytes(1_100_000))];
  await store(objects.slice(0, 200));
  await store(objects.slice(200));
  const byId = new Map(objects.map((object) => [object.id, object]));
  await fc.assert(fc.asyncProperty(fc.shuffledSubarray(objects), async (some) => {
    const read = [];
    for await (const { content, ...about } of reader.readMany([...some.map(({ id }) => id), made('unknown').id])) {
      read.push(about.id);
      const whole = Buffer.isBuffer(content) ? content : Buffer.concat(await allOf(content));
      expect({ ...about, content: whole.equals(byId.get(about.id)!.content) }).toEqual({ ...byId.get(about.id), content: true });
    }
    expect(read.toSorted()).toEqual(some.map(({ id }) => id).toSorted());
  }), { numRuns: 30 });
});

test('reading many asks the store once for each block, and no more blocks at once than four', async () => {
  const objects = Array.from({ length: 30 }, () => made(randomBytes(32_768)));
  await store(objects);
  let open = 0;
  let openMax = 0;
  const counting = createObjectReader({ index, blockCacheBytesMax: 0, blobs: { get: async (name, options) => {
    openMax = Math.max(openMax, ++open);
    const readable = await blobs.get(name, options);
    readable!.once('close', () => { open -= 1; });
    return readable;
  } } });
  expect((await allOf(counting.readMany(objects.map(({ id }) => id)))).length).toBe(30);
  expect(reads).toBe(15);
  expect(openMax).toBe(4);
});

test('objects that share a block cost one read, also when they are asked for at once', async () => {
  const objects = Array.from({ length: 100 }, (_, n) => made(`tree ${n}`, 'tree'));
  await store(objects);
  await Promise.all(objects.map(({ id }) => reader.read(id)));
  for (const { id } of objects) await reader.read(id);
  expect(reads).toBe(1);
});

test('whoever changes what they were given changes nothing for others', async () => {
  const object = made('given');
  await store([object]);
  (await reader.read(object.id))!.content.fill(0);
  expect((await reader.read(object.id))!.content.toString()).toBe('given');
});

describe('nothing wrong is given as good', () => {
  test('a block that inflates to other bytes, or not at all, is an ObjectDamaged', async () => {
    const object = made(randomBytes(1_000));
    const [place] = await store([object]);
    let found = 0;
    for (let at = place!.blockOffset; at < place!.blockOffset + place!.blockBytes; at += 13) {
      await damage(place!, at);
      // Some bits mean nothing to deflate: the object is right all the same.
      const read = await createObjectReader({ index, blobs }).read(object.id).catch((error: unknown) => error);
      if (read instanceof ObjectDamaged) found += 1;
      else expect(read).toEqual(object);
      await damage(place!, at);
    }
    expect(found).toBeGreaterThan(70);
  });

  test.each<[string, (place: ObjectPlace) => Partial<ObjectPlace>]>([
    ['another place in the block', () => ({ placeInBlock: 1 })],
    ['a shorter object', ({ bytes }) => ({ bytes: bytes - 1 })],
    ['a longer object than the block has', ({ bytes }) => ({ bytes: bytes + 10_000 })],
    ['another kind', () => ({ kind: 'tree' })],
    ['a shorter block', ({ blockBytes }) => ({ blockBytes: blockBytes - 1 })],
    ['another block', () => ({ blockOffset: 9 })],
  ])('an index that names %s gives an ObjectDamaged', async (_, lie) => {
    const object = made(randomBytes(500));
    const [place] = await store([object, made(randomBytes(500))]);
    index = createMemoryObjectIndex();
    await index.record([{ ...place!, ...lie(place!) }], new Map());
    await expect(createObjectReader({ index, blobs }).read(object.id)).rejects.toThrow(ObjectDamaged);
  });

  test('a damaged stream ends in an error before its last piece', async () => {
    for (const content of [randomBytes(2_000_000), Buffer.alloc(3_000_000, 1)]) {
      const object = made(content);
      const [place] = await store([object]);
      let found = 0;
      for (let after = 1; after < place!.blockBytes; after += Math.floor(place!.blockBytes / 20)) {
        await damage(place!, place!.blockOffset + after);
        const pieces: Buffer[] = [];
        const { content: streamed } = (await reader.stream(object.id))!;
        const error = await (async () => { for await (const piece of streamed) pieces.push(piece); })().catch((thrown: unknown) => thrown);
        // Some bits mean nothing to deflate, or the same twice: the object is right all the same.
        if (error === undefined) expect(Buffer.concat(pieces).equals(content)).toBe(true);
        else {
          found += 1;
          expect(error).toBeInstanceOf(ObjectDamaged);
          expect(Buffer.concat(pieces).length).toBeLessThan(object.bytes);
        }
        await damage(place!, place!.blockOffset + after);
      }
      expect(found).toBeGreaterThan(3);
    }
  });

  test('a stream whose bytes all inflate well, and are of another object, keeps its last piece back', async () => {
    const [right, wrong] = [made(Buffer.alloc(2_000_000, 1)), made(Buffer.alloc(2_000_000, 2))];
    const [place] = await store([wrong]);
    await index.record([{ ...place!, id: right.id }], new Map());
    let seen = 0;
    await expect((async () => { for await (const piece of (await reader.stream(right.id))!.content) seen += piece.length; })()).rejects.toThrow(`its bytes are those of ${wrong.id}`);
    expect(seen).toBeLessThan(2_000_000);
  });

  test('a block that turned out damaged is read anew once the pack was put over', async () => {
    const objects = [made('zero'.repeat(50)), made('one'.repeat(50))];
    const [place] = await store(objects);
    const lying = createMemoryObjectIndex();
    await lying.record([{ ...place!, placeInBlock: 3 }], new Map());
    const cached = createObjectReader({ index: lying, blobs });
    await expect(cached.read(objects[0]!.id)).rejects.toThrow(ObjectDamaged);
    await expect(cached.read(objects[0]!.id)).rejects.toThrow(ObjectDamaged);
    expect(reads).toBe(2);
  });
});

describe('a store that is away', () => {
  test('is Unavailable, not damage: the pack is absent, cut short, or its bytes stop', async () => {
    const [small, large] = [made('small'), made(randomBytes(2_000_000))];
    const [place] = await store([small, large]);
    const stopping = createObjectReader({ index, blobs: { get: async () => Readable.from([Buffer.alloc(1)]) } });
    await expect(stopping.read(small.id)).rejects.toThrow(Unavailable);
    await expect((async () => allOf((await stopping.stream(large.id))!.content))()).rejects.toThrow(Unavailable);

    const whole = await buffer((await blobs.get(packBlobName(place!.pack)))!);
    await blobs.put(packBlobName(place!.pack), whole.subarray(0, 10), { bytes: 10 });
    await expect(reader.read(small.id)).rejects.toThrow(Unavailable);
    await expect((async () => allOf((await reader.stream(large.id))!.content))()).rejects.toThrow(Unavailable);

    await blobs.delete(packBlobName(place!.pack));
    await expect(reader.read(small.id)).rejects.toThrow(Unavailable);
    await expect(allOf(reader.readMany([small.id]))).rejects.toThrow(Unavailable);
  });

  test('a read that was given up ends with an error', async () => {
    const object = made('x');
    await store([object]);
    const signal = AbortSignal.abort(new Error('the client is gone'));
    await expect(reader.read(object.id, signal)).rejects.toThrow('the client is gone');
    await expect(reader.stream(object.id, signal)).rejects.toThrow('the client is gone');
    await expect(allOf(reader.readMany([object.id], signal))).rejects.toThrow('the client is gone');
  });
});

describe('the block cache', () => {
  test('holds no more bytes than it may, and lets go of what was not asked for longest', async () => {
    const cache = new BlockCache(300);
    const loads: string[] = [];
    const get = (key: string) => cache.get(key, async () => { loads.push(key); return Buffer.alloc(100); });
    for (const key of ['a', 'b', 'c', 'a', 'd', 'a', 'c', 'b']) await get(key);
    expect(loads).toEqual(['a', 'b', 'c', 'd', 'b']);
  });

  test('does not remember a load that failed', async () => {
    const cache = new BlockCache(300);
    await expect(cache.get('a', async () => { throw new Error('away'); })).rejects.toThrow('away');
    expect((await cache.get('a', async () => Buffer.from('back'))).toString()).toBe('back');
  });
});
