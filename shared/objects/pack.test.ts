import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import type { ObjectId, PackId } from '#schemas/brand.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import { createMemoryBlobStore } from '#shared/blobs/memory-blob-store.ts';
import { OBJECT_IN_MEMORY_BYTES_MAX } from '#shared/gitlab/git-transport.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { emptyTree, gitId } from './git-objects.ts';
import type { ObjectKind } from './object-index.ts';
import { BLOCK_BYTES_MAX, PACK_OBJECTS_MAX, PackDamaged, encodeBlock, encodeTrailer } from './pack-format.ts';
import { packBlobName, putPack, readFooter, readPack } from './pack-store.ts';
import { createPackWriter, type FinishedPack, type PackObject } from './pack-writer.ts';

type Whole = PackObject & { readonly content: Buffer };

let directory: string;
let blobs: BlobStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tekai-packs-'));
  blobs = createMemoryBlobStore();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function objectOf(content: Buffer, kind: ObjectKind = 'blob', format: 'sha1' | 'sha256' = 'sha1'): Whole {
  return { id: gitId(kind, content, format), kind, bytes: content.length, content };
}

async function* inPieces(content: Buffer, pieceBytes: number): AsyncGenerator<Buffer, void, void> {
  for (let at = 0; at < content.length; at += pieceBytes) yield content.subarray(at, at + pieceBytes);
}

async function packed(objects: Iterable<PackObject>, packBytesMax?: number): Promise<readonly FinishedPack[]> {
  const writer = createPackWriter({ directory, ...packBytesMax !== undefined && { packBytesMax } });
  try {
    for (const object of objects) await writer.add(object);
    const finished = await writer.finish();
    for (const pack of finished) await putPack(blobs, pack);
    return finished;
  } finally {
    await writer.abandon();
  }
}

async function read(pack: PackId): Promise<Whole[]> {
  const objects: Whole[] = [];
  for await (const { place, content } of readPack(blobs, pack)) {
    expect(place.pack).toBe(pack);
    objects.push({ id: place.id, kind: place.kind, bytes: place.bytes, content: Buffer.isBuffer(content) ? Buffer.from(content) : await joined(content) });
  }
  return objects;
}

async function joined(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

async function bytesOf(pack: PackId): Promise<Buffer> {
  return joined((await blobs.get(packBlobName(pack)))!);
}

/** Puts bytes under the name of a pack that they are not, as a damaged disk would. */
const putRaw = (pack: PackId, bytes: Buffer) => blobs.put(packBlobName(pack), bytes, { bytes: bytes.length });

describe('what goes into packs comes out', () => {
  const sizes = [0, 1, 100, BLOCK_BYTES_MAX - 1, BLOCK_BYTES_MAX, BLOCK_BYTES_MAX + 1, OBJECT_IN_MEMORY_BYTES_MAX, OBJECT_IN_MEMORY_BYTES_MAX + 1, 3_000_000];

  test.each(sizes)('an object of %d bytes, compressible or not, from a buffer or from pieces', async (bytes) => {
    for (const content of [Buffer.alloc(bytes, 'ab'), randomBytes(bytes)]) {
      const object = objectOf(content);
      for (const source of [content, inPieces(content, 10_007)]) {
        const [pack] = await packed([{ ...object, content: source }]);
        const [back, ...others] = await read(pack!.pack);
        expect(back?.content.equals(content)).toBe(true);
        expect({ ...back, content: null }).toEqual({ ...object, content: null });
        expect(others).toEqual([]);
      }
    }
  });

  test('any list of objects, in order, in one pack or many', async () => {
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 300 }), fc.constant(new Uint8Array()),
      fc.tuple(fc.constantFrom(...sizes), fc.nat(255)).map(([bytes, fill]) => new Uint8Array(bytes).fill(fill)),
      fc.nat(200_000).map((bytes) => randomBytes(bytes)),
    );
    const object = fc.tuple(content, fc.constantFrom<ObjectKind>('commit', 'tree', 'blob'), fc.constantFrom('sha1' as const, 'sha256' as const), fc.boolean());
    await fc.assert(fc.asyncProperty(fc.array(object, { maxLength: 40 }), fc.constantFrom(1, 50_000, 1_000_000_000), async (list, packBytesMax) => {
      const objects = list.map(([bytes, kind, format]) => objectOf(Buffer.from(bytes), kind, format));
      const packs = await packed(objects.map((one, n) => list[n]![3] ? { ...one, content: inPieces(one.content, 5_000) } : one), packBytesMax);
      const back = (await Promise.all(packs.map(({ pack }) => read(pack)))).flat();
      expect(back.map(({ id, kind, bytes }) => `${id} ${kind} ${bytes}`)).toEqual(objects.map(({ id, kind, bytes }) => `${id} ${kind} ${bytes}`));
      expect(back.every(({ content: got }, n) => got.equals(objects[n]!.content))).toBe(true);
      expect(packs.reduce((sum, one) => sum + one.objects, 0)).toBe(objects.length);
    }), { numRuns: 25 });
  }, 120_000);

  test('the pack is named by the SHA-256 of its bytes, and the same objects give the same pack', async () => {
    const objects = [objectOf(Buffer.from('one')), objectOf(Buffer.alloc(0), 'tree'), objectOf(randomBytes(2_000_000))];
    const [first] = await packed(objects);
    const bytes = await bytesOf(first!.pack);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(first!.pack);
    expect(bytes.length).toBe(first!.bytes);
    expect((await packed(objects))[0]!.pack).toBe(first!.pack);
  });

  test('the empty tree has its id, and a footer tells places without reading the blocks', async () => {
    const [pack] = await packed([objectOf(Buffer.alloc(0), 'tree'), objectOf(Buffer.from('x')), objectOf(Buffer.alloc(70_000)), objectOf(Buffer.from('yz'))]);
    const { blocks, bytes } = await readFooter(blobs, pack!.pack);
    expect(bytes).toBe(pack!.bytes);
    expect(blocks[0]!.objects[0]!.id).toBe(emptyTree('sha1'));
    expect(blocks.map(({ objects }) => objects.map(({ placeInBlock, bytes: plain }) => [placeInBlock, plain]))).toEqual([[[0, 0], [0, 1]], [[0, 70_000]], [[0, 2]]]);
    expect(blocks.map(({ offset }) => offset)).toEqual([8, 8 + blocks[0]!.bytes, 8 + blocks[0]!.bytes + blocks[1]!.bytes]);
  });

  test('nothing added gives no pack and leaves no file', async () => {
    expect(await packed([])).toEqual([]);
    expect(await readdir(directory)).toEqual([]);
  });

  test('100,000 tiny objects', async () => {
    const objects = Array.from({ length: 100_000 }, (_, n) => objectOf(Buffer.from(`object ${n}\n`)));
    const [pack, ...others] = await packed(objects);
    expect(others).toEqual([]);
    expect(pack!.objects).toBe(100_000);
    let n = 0;
    for await (const { place, content } of readPack(blobs, pack!.pack)) {
      if (place.id !== objects[n]!.id || !objects[n]!.content.equals(content as Buffer)) throw new Error(`object ${n} differs`);
      n += 1;
    }
    expect(n).toBe(100_000);
  });

  test('a pack that is full is followed by another, and an object larger than a pack has one alone', async () => {
    const objects = Array.from({ length: 20 }, () => objectOf(randomBytes(60_000)));
    const packs = await packed([...objects, objectOf(randomBytes(1_500_000)), objectOf(Buffer.from('last'))], 500_000);
    expect(packs.map(({ objects: count }) => count)).toEqual([8, 8, 4, 1, 1]);
    for (const { bytes } of packs.slice(0, 3)) expect(bytes).toBeLessThanOrEqual(500_000);
  });

  test('a pack is full at PACK_OBJECTS_MAX objects', async () => {
    const empty = objectOf(Buffer.alloc(0));
    const one = objectOf(Buffer.from('1'));
    const packs = await packed((function* () { for (let n = 0; n < PACK_OBJECTS_MAX + 70_000; n++) yield n % 2 ? one : empty; })());
    expect(packs.length).toBe(2);
    for (const { objects } of packs) expect(objects).toBeLessThanOrEqual(PACK_OBJECTS_MAX);
    expect((await readFooter(blobs, packs[0]!.pack)).blocks.flatMap(({ objects }) => objects).length).toBe(packs[0]!.objects);
  });
});

describe('a writer', () => {
  test.each([
    ['too few bytes', 5, () => Buffer.from('four')],
    ['too many bytes', 3, () => Buffer.from('four')],
    ['too few pieces', 9_000_000, () => inPieces(Buffer.alloc(8_000_000), 65_536)],
    ['too many pieces', 8_000_000, () => inPieces(Buffer.alloc(9_000_000), 65_536)],
    ['pieces that fail', 8_000_000, async function* () { yield Buffer.alloc(4_000_000); throw new Error('git died'); }],
  ])('refuses %s, and everything after; abandoned, it leaves no file', async (_, bytes, content) => {
    const writer = createPackWriter({ directory });
    for (let n = 0; n < 10; n++) await writer.add(objectOf(randomBytes(50_000)));
    await expect(writer.add({ ...objectOf(Buffer.from('x')), bytes, content: content() })).rejects.toThrow(/announced|git died/);
    await expect(writer.add(objectOf(Buffer.from('x')))).rejects.toThrow(/is failed/);
    await expect(writer.finish()).rejects.toThrow(/is failed/);
    await writer.abandon();
    expect(await readdir(directory)).toEqual([]);
  });

  test('refuses a second object while it takes the first', async () => {
    const writer = createPackWriter({ directory });
    const first = writer.add({ ...objectOf(Buffer.from('slow')), content: inPieces(Buffer.from('slow'), 1) });
    await expect(writer.add(objectOf(Buffer.from('x')))).rejects.toThrow(/is busy/);
    await first;
    await writer.abandon();
  });

  test('keeps finished packs until it is abandoned, also those finished on the way', async () => {
    const writer = createPackWriter({ directory, packBytesMax: 100_000 });
    for (let n = 0; n < 5; n++) await writer.add(objectOf(randomBytes(60_000)));
    const packs = await writer.finish();
    expect(packs.length).toBe(5);
    expect((await readFile(packs[0]!.path)).length).toBe(packs[0]!.bytes);
    await writer.abandon();
    expect(await readdir(directory)).toEqual([]);
  });

  test('does not hold a large object in memory', async () => {
    const megabyte = randomBytes(1_048_576);
    const writer = createPackWriter({ directory });
    let live = 0;
    let liveMax = 0;
    const watched = async function* () {
      for (let n = 0; n < 64; n++) {
        live = process.memoryUsage().arrayBuffers;
        liveMax = Math.max(liveMax, live);
        yield Buffer.from(megabyte);
      }
    };
    const before = process.memoryUsage().arrayBuffers;
    await writer.add({ ...objectOf(Buffer.alloc(0)), bytes: 64 * megabyte.length, content: watched() });
    await writer.finish();
    await writer.abandon();
    // Garbage not yet collected counts too; all 64 at once would be 67 MB and their compressed form as much again.
    expect(liveMax - before).toBeLessThan(60_000_000);
  });
});

describe('damage', () => {
  const objects = () => [
    objectOf(Buffer.from('small')), objectOf(Buffer.alloc(0)), objectOf(Buffer.from('a tree'), 'tree', 'sha256'), objectOf(Buffer.alloc(70_000, 'abc')), objectOf(Buffer.alloc(1_200_000, 'xyz')), objectOf(Buffer.from('last')),
  ];

  test('any byte changed anywhere is found, at the latest when the reading ends', async () => {
    const [{ pack } = never()] = await packed(objects());
    const whole = await bytesOf(pack);
    // Every byte but those within the two large deflate streams, of which each 97th: all of them took 12 s.
    const dense = whole.length - 400;
    for (let at = 0; at < whole.length; at += at < 400 || at > dense ? 1 : 97) {
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 1 << at % 8;
      await putRaw(pack, flipped);
      await expect(read(pack)).rejects.toThrow(PackDamaged);
    }
    await putRaw(pack, whole);
    expect((await read(pack)).length).toBe(6);
  }, 120_000);

  test('any byte changed is found in a pack of many blocks of incompressible content', async () => {
    const [{ pack } = never()] = await packed(Array.from({ length: 300 }, () => objectOf(randomBytes(1_000))));
    const whole = await bytesOf(pack);
    await fc.assert(fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
      const changed = Buffer.from(whole);
      changed[at]! ^= by;
      await putRaw(pack, changed);
      await expect(read(pack)).rejects.toThrow(PackDamaged);
    }), { numRuns: 80 });
  });

  test('a pack cut or lengthened anywhere is found', async () => {
    const [{ pack } = never()] = await packed(objects());
    const whole = await bytesOf(pack);
    for (let bytes = 0; bytes < whole.length; bytes++) {
      await putRaw(pack, whole.subarray(0, bytes));
      await expect(read(pack)).rejects.toThrow(PackDamaged);
      await expect(readFooter(blobs, pack)).rejects.toThrow(PackDamaged);
    }
    await putRaw(pack, Buffer.concat([whole, Buffer.from('x')]));
    await expect(read(pack)).rejects.toThrow(PackDamaged);
  }, 120_000);

  test('any byte changed in footer or trailer is found by whoever reads the footer alone', async () => {
    const [{ pack } = never()] = await packed(Array.from({ length: 5 }, (_, n) => objectOf(Buffer.from(`object ${n}`))));
    const whole = await bytesOf(pack);
    const { blocks } = await readFooter(blobs, pack);
    for (let at = 8 + blocks[0]!.bytes; at < whole.length; at++) {
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 1 << at % 8;
      await putRaw(pack, flipped);
      await expect(readFooter(blobs, pack)).rejects.toThrow(PackDamaged);
    }
  });

  test('a pack under the name of another is found', async () => {
    const [one] = await packed([objectOf(Buffer.from('one'))]);
    const [two] = await packed([objectOf(Buffer.from('two'))]);
    await putRaw(one!.pack, await bytesOf(two!.pack));
    await expect(read(one!.pack)).rejects.toThrow(`its bytes hash to ${two!.pack}`);
  });

  test.each<[string, 'at once' | 'by its blocks', (entry: { blockBytes: number; objects: Whole[] }) => { blockBytes: number; objects: Whole[] }]>([
    ['a block is longer than it is', 'at once', ({ blockBytes, objects: list }) => ({ blockBytes: blockBytes + 1, objects: list })],
    ['a block is shorter than it is', 'at once', ({ blockBytes, objects: list }) => ({ blockBytes: blockBytes - 1, objects: list })],
    ['an object is longer than it is', 'by its blocks', ({ blockBytes, objects: list }) => ({ blockBytes, objects: list.with(0, { ...list[0]!, bytes: 4 }) })],
    ['an object is shorter than it is', 'by its blocks', ({ blockBytes, objects: list }) => ({ blockBytes, objects: list.with(0, { ...list[0]!, bytes: 2 }) })],
    ['there are fewer objects', 'by its blocks', ({ blockBytes, objects: list }) => ({ blockBytes, objects: list.slice(1) })],
    ['there are more objects', 'by its blocks', ({ blockBytes, objects: list }) => ({ blockBytes, objects: [...list, list[0]!] })],
    ['a block has no objects', 'at once', ({ blockBytes }) => ({ blockBytes, objects: [] })],
    ['a shared block is over the block size', 'at once', ({ blockBytes, objects: list }) => ({ blockBytes, objects: list.with(0, { ...list[0]!, bytes: BLOCK_BYTES_MAX }) })],
    ['a block has room for a bomb', 'at once', ({ objects: list }) => ({ blockBytes: 1_000_000, objects: list })],
  ])('a footer that says %s lies, also when every hash is right; it is found %s', async (_, found, lie) => {
    const list = [objectOf(Buffer.from('one')), objectOf(Buffer.from('three'))];
    const [{ pack } = never()] = await packed(list);
    const { blocks: [block] } = await readFooter(blobs, pack);
    const told = lie({ blockBytes: block!.bytes, objects: list });
    const footer = encodeBlock(told.blockBytes, told.objects);
    const lying = Buffer.concat([(await bytesOf(pack)).subarray(0, 8 + block!.bytes), footer, encodeTrailer(footer)]);
    const name = createHash('sha256').update(lying).digest('hex') as PackId;
    await putRaw(name, lying);
    await expect(read(name)).rejects.toThrow(PackDamaged);
    if (found === 'at once') await expect(readFooter(blobs, name)).rejects.toThrow(PackDamaged);
  });

  test('any footer gives blocks or PackDamaged, nothing else', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      const footer = Buffer.from(bytes);
      const pack = 'd'.repeat(64) as PackId;
      await putRaw(pack, Buffer.concat([Buffer.from('TEKPACK\x01'), Buffer.alloc(100), footer, encodeTrailer(footer)]));
      await expect(readFooter(blobs, pack)).rejects.toThrow(PackDamaged);
    }));
  });
});

describe('reading', () => {
  /** A store whose bytes end before they should, as an object store's connection can. */
  const ending = (after: number): BlobStore => ({
    ...blobs,
    get: async (name, options) => {
      const readable = await blobs.get(name, options);
      if (!readable || options?.range) return readable;
      const bytes = await joined(readable);
      return Readable.from(inPieces(bytes.subarray(0, after), 1_000));
    },
  });

  test('a store that gives fewer bytes than it has is Unavailable, wherever it stops', async () => {
    const [{ pack, bytes } = never()] = await packed([objectOf(randomBytes(3_000)), objectOf(randomBytes(100_000)), objectOf(randomBytes(1_100_000)), objectOf(Buffer.from('x'))]);
    for (const after of [0, 7, 8, 2_000, 50_000, 104_000, 900_000, bytes - 100, bytes - 1]) {
      await expect((async () => {
        for await (const { content } of readPack(ending(after), pack)) if (!Buffer.isBuffer(content)) await joined(content);
      })()).rejects.toThrow(Unavailable);
      // Whoever does not take the pieces learns it as well.
      await expect((async () => { for await (const _ of readPack(ending(after), pack)); })()).rejects.toThrow(Unavailable);
    }
  });

  test('a pack that the store does not have is Unavailable', async () => {
    const none = 'e'.repeat(64) as PackId;
    await expect(read(none)).rejects.toThrow(Unavailable);
    await expect(readFooter(blobs, none)).rejects.toThrow(/restore/);
  });

  test.each([0, 1, 3])('an object of which %d pieces were taken does not disturb what follows', async (pieces) => {
    const list = [objectOf(randomBytes(2_000_000)), objectOf(Buffer.from('between')), objectOf(randomBytes(1_500_000)), objectOf(Buffer.from('last'))];
    const [pack] = await packed(list);
    const seen: ObjectId[] = [];
    for await (const { place, content } of readPack(blobs, pack!.pack)) {
      seen.push(place.id);
      if (Buffer.isBuffer(content)) continue;
      const taking = content[Symbol.asyncIterator]();
      for (let n = 0; n < pieces; n++) await taking.next();
    }
    expect(seen).toEqual(list.map(({ id }) => id));
  });

  test('whoever leaves early leaves no stream open', async () => {
    const [pack] = await packed([objectOf(randomBytes(2_000_000)), ...Array.from({ length: 100 }, () => objectOf(randomBytes(60_000)))]);
    const streams: Readable[] = [];
    const watched: BlobStore = { ...blobs, get: async (name, options) => {
      const readable = await blobs.get(name, options);
      if (readable) streams.push(readable);
      return readable;
    } };
    for await (const { content } of readPack(watched, pack!.pack)) {
      if (!Buffer.isBuffer(content)) for await (const _ of content) break;
      break;
    }
    expect(streams.length).toBe(3);
    expect(streams.every(({ destroyed }) => destroyed)).toBe(true);
  });

  test('a reading that is given up ends with an error', async () => {
    const [pack] = await packed(Array.from({ length: 100 }, () => objectOf(randomBytes(60_000))));
    const giveUp = new AbortController();
    await expect((async () => { for await (const _ of readPack(blobs, pack!.pack, giveUp.signal)) giveUp.abort(); })()).rejects.toThrow(/abort/i);
  });
});

function never(): never {
  throw new Error('no pack');
}
