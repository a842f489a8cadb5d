import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { BlobStore } from './blob-store.ts';
import { BlobLengthWrong } from './exact-length.ts';

export interface OpenedBlobStore {
  readonly blobs: BlobStore;
  close(): Promise<void>;
}

/** 50 MB: larger than every buffer on the way. */
const LARGE_BYTES = 50_000_000;

/** What every blob store must do. `open` gives an empty one. */
export function blobStoreContract(adapter: string, open: () => Promise<OpenedBlobStore>): void {
  describe(`blob store: ${adapter}`, () => {
    let opened: OpenedBlobStore;
    let blobs: BlobStore;
    beforeEach(async () => {
      opened = await open();
      blobs = opened.blobs;
    });
    afterEach(() => opened.close());

    const contentOf = async (name: string) => {
      const readable = await blobs.get(name);
      return readable && await buffer(readable);
    };
    const names = async (prefix = '') => (await allOf(blobs.list(prefix))).map(({ name }) => name).sort();

    const given = { blobs: () => blobs, contentOf, names };
    describe('reading', () => readingTests(given));
    describe('writing over and at once', () => writingTests(given));
    describe('a put that fails', () => failedPutTests(given));
    describe('names', () => nameTests(given));
  });
}

interface Given {
  blobs(): BlobStore;
  contentOf(name: string): Promise<Buffer | undefined>;
  names(prefix?: string): Promise<string[]>;
}

function readingTests({ blobs, contentOf, names }: Given): void {
  test('a blob is given back as it was put, from a buffer and from a stream', async () => {
    const content = randomBytes(300_000);
    await blobs().put('packs/buffer', content, { bytes: content.length });
    await blobs().put('packs/stream', Readable.from([content.subarray(0, 7), content.subarray(7, 7), content.subarray(7)]), { bytes: content.length });

    expect((await contentOf('packs/buffer'))?.equals(content)).toBe(true);
    expect((await contentOf('packs/stream'))?.equals(content)).toBe(true);
    expect(await blobs().size('packs/stream')).toBe(content.length);
  });

  test('a blob that was never put is undefined, and deleting it says so', async () => {
    expect(await blobs().get('packs/none')).toBeUndefined();
    expect(await blobs().get('packs/none', { range: { offset: 0, length: 1 } })).toBeUndefined();
    expect(await blobs().size('packs/none')).toBeUndefined();
    expect(await blobs().delete('packs/none')).toBe(false);
  });

  test('an empty blob is a blob', async () => {
    await blobs().put('findings/empty', Readable.from([]), { bytes: 0 });
    expect(await contentOf('findings/empty')).toEqual(Buffer.alloc(0));
    expect(await blobs().size('findings/empty')).toBe(0);
    expect(await names()).toEqual(['findings/empty']);
  });

  test('50 MB go in and out as a stream', async () => {
    const piece = randomBytes(1_000_000);
    await blobs().put('packs/large', Readable.from(Array.from({ length: 50 }, () => piece)), { bytes: LARGE_BYTES });
    const read = await contentOf('packs/large');
    expect(read?.length).toBe(LARGE_BYTES);
    expect(read?.subarray(49_000_000).equals(piece)).toBe(true);
  });

  test('a range gives exactly its bytes', async () => {
    const content = randomBytes(700_000);
    await blobs().put('packs/ranged', content, { bytes: content.length });
    for (const [offset, length] of [[0, 700_000], [0, 1], [699_999, 1], [123, 0], [700_000, 0], [65_535, 300_001]] as const) {
      const readable = await blobs().get('packs/ranged', { range: { offset, length } });
      expect((await buffer(readable!)).equals(content.subarray(offset, offset + length))).toBe(true);
    }
  });

  test('a range beyond the end is Unavailable: the store has less than it should', async () => {
    await blobs().put('packs/short', Buffer.from('short'), { bytes: 5 });
    await expect(blobs().get('packs/short', { range: { offset: 3, length: 3 } })).rejects.toThrow(Unavailable);
    await expect(blobs().get('packs/short', { range: { offset: -1, length: 3 } })).rejects.toThrow(RangeError);
  });

}

function writingTests({ blobs, contentOf, names }: Given): void {
  test('a put writes over the blob of that name', async () => {
    await blobs().put('packs/again', Buffer.from('damaged bytes'), { bytes: 13 });
    await blobs().put('packs/again', Buffer.from('whole'), { bytes: 5 });
    expect((await contentOf('packs/again'))?.toString()).toBe('whole');
    expect(await blobs().size('packs/again')).toBe(5);
  });

  test('of many puts of one name at once, one is read whole', async () => {
    const contents = Array.from({ length: 8 }, (_, n) => Buffer.alloc(200_000 + n, n));
    await Promise.all(contents.map((content) => blobs().put('packs/raced', Readable.from([content.subarray(0, 100_000), content.subarray(100_000)]), { bytes: content.length })));
    const read = await contentOf('packs/raced');
    expect(contents.some((content) => content.equals(read!))).toBe(true);
    expect(await names()).toEqual(['packs/raced']);
  });

  test('a reader who began before a put over the blob or its deletion reads one whole blob', async () => {
    const before = Buffer.alloc(3_000_000, 1);
    await blobs().put('packs/read', before, { bytes: before.length });
    const readable = await blobs().get('packs/read');
    await blobs().put('packs/read', Buffer.alloc(3_000_000, 2), { bytes: 3_000_000 });
    await blobs().delete('packs/read');
    expect((await buffer(readable!)).equals(before)).toBe(true);
  });

  test('a read that is given up ends with an error', async () => {
    await blobs().put('packs/aborted', Buffer.alloc(5_000_000), { bytes: 5_000_000 });
    const giveUp = new AbortController();
    const readable = await blobs().get('packs/aborted', { signal: giveUp.signal });
    const pieces = readable![Symbol.asyncIterator]();
    await pieces.next();
    giveUp.abort();
    await expect((async () => { while (!(await pieces.next()).done); })()).rejects.toThrow(/abort/i);
    await expect(blobs().get('packs/aborted', { signal: giveUp.signal })).rejects.toThrow(/abort/i);
  });
}

function failedPutTests({ blobs, contentOf, names }: Given): void {
  const failing = async function* () {
    yield Buffer.from('first');
    throw new Error('the network went away');
  };

  test.each([
    ['ends early', () => Readable.from([Buffer.from('four')]), BlobLengthWrong],
    ['ends late', () => Readable.from([Buffer.from('five5'), Buffer.from('!')]), BlobLengthWrong],
    ['fails', () => Readable.from(failing()), /network went away/],
    ['is a buffer of another length', () => Buffer.from('sixsix'), BlobLengthWrong],
  ])('leaves nothing when the source %s', async (_, source, error) => {
    await expect(blobs().put('packs/failed', source(), { bytes: 5 })).rejects.toThrow(error);
    expect(await contentOf('packs/failed')).toBeUndefined();
    expect(await names()).toEqual([]);
  });

  test('leaves the blob that was there as it was', async () => {
    await blobs().put('packs/kept', Buffer.from('whole'), { bytes: 5 });
    await expect(blobs().put('packs/kept', Readable.from(failing()), { bytes: 10 })).rejects.toThrow();
    expect((await contentOf('packs/kept'))?.toString()).toBe('whole');
  });

  test('destroys its source', async () => {
    const source = Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(1_000)));
    await expect(blobs().put('packs/failed', source, { bytes: 10 })).rejects.toThrow(BlobLengthWrong);
    expect(source.destroyed).toBe(true);

    const neverRead = Readable.from([Buffer.from('x')]);
    await expect(blobs().put('packs/failed', neverRead, { bytes: 1, signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
    expect(neverRead.destroyed).toBe(true);
  });

  test('by being given up leaves nothing, also when its source hangs', async () => {
    const giveUp = new AbortController();
    let isWaiting = () => {};
    const waiting = new Promise<void>((resolve) => { isWaiting = resolve; });
    let reads = 0;
    const source = new Readable({ read() { if (reads++ === 0) this.push(Buffer.from('first')); else isWaiting(); } });
    const put = blobs().put('packs/given-up', source, { bytes: 10, signal: giveUp.signal });
    await waiting;
    expect(await names()).toEqual([]);
    giveUp.abort(new Error('the process is stopping'));

    await expect(put).rejects.toThrow('the process is stopping');
    expect(await names()).toEqual([]);
    await expect(blobs().put('packs/given-up', Buffer.from('x'), { bytes: 1, signal: giveUp.signal })).rejects.toThrow('the process is stopping');
    expect(await names()).toEqual([]);
  });
}

function nameTests({ blobs, names }: Given): void {
  const put = (name: string) => blobs().put(name, Buffer.from(name), { bytes: name.length });

  test.each(['', '/', 'a/', '/a', 'a//b', '..', 'a/../b', 'a..b', '.hidden', 'a/.b', 'a\\b', 'a b', 'ä', 'a+b', 'a\0', `a${'b'.repeat(200)}`])('%j is refused by every method', async (name) => {
    await expect(put(name)).rejects.toThrow(TypeError);
    await expect(blobs().get(name)).rejects.toThrow(TypeError);
    await expect(blobs().size(name)).rejects.toThrow(TypeError);
    await expect(blobs().delete(name)).rejects.toThrow(TypeError);
  });

  test('a name may begin another', async () => {
    for (const name of ['a', 'a/b', 'a/b/c', 'a-b_c.d']) await put(name);
    expect(await names()).toEqual(['a', 'a-b_c.d', 'a/b', 'a/b/c']);
  });

  test('a list has the names that begin with the prefix, with size and time', async () => {
    const before = Date.now();
    for (const name of ['packs/1', 'packs/22', 'packs-old/1', 'findings/1']) await put(name);
    expect(await names('packs/')).toEqual(['packs/1', 'packs/22']);
    expect(await names('pack')).toEqual(['packs-old/1', 'packs/1', 'packs/22']);
    expect(await names('nothing/')).toEqual([]);
    await expect(names('../')).rejects.toThrow(TypeError);

    const [entry] = await allOf(blobs().list('packs/22'));
    expect(entry?.bytes).toBe(8);
    // A file system's clock ticks every 4 ms on Linux, so a file may look older than the moment before it was made.
    expect(entry?.writtenAt.getTime()).toBeGreaterThan(before - 1_000);
    expect(entry?.writtenAt.getTime()).toBeLessThanOrEqual(Date.now() + 1_000);
  });

  test('a deleted blob is gone', async () => {
    await put('packs/1');
    await put('packs/2');
    expect(await blobs().delete('packs/1')).toBe(true);
    expect(await blobs().get('packs/1')).toBeUndefined();
    expect(await names()).toEqual(['packs/2']);
    expect(await blobs().delete('packs/1')).toBe(false);
  });
}

/** Node 20 has no Array.fromAsync. */
export async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
