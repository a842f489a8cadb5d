import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { allOf, blobStoreContract } from './blob-store.contract.ts';
import { createDiskBlobStore } from './disk-blob-store.ts';
import { asFileTrouble } from './file-trouble.ts';

blobStoreContract('disk', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tekai-blobs-'));
  return { blobs: await createDiskBlobStore({ directory }), close: () => rm(directory, { recursive: true }) };
});

describe('blobs on disk', () => {
  let directory: string;
  beforeEach(async () => { directory = await mkdtemp(join(tmpdir(), 'tekai-blobs-')); });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const parts = () => readdir(join(directory, 'parts'));
  const fileOf = async (ending: string) => (await readdir(directory, { recursive: true })).find((path) => path.endsWith(ending))!;

  test('a store opened again has what was put', async () => {
    await (await createDiskBlobStore({ directory })).put('packs/1', Buffer.from('one'), { bytes: 3 });
    const again = await createDiskBlobStore({ directory });
    expect((await buffer((await again.get('packs/1'))!)).toString()).toBe('one');
  });

  test('blobs are spread over folders', async () => {
    const blobs = await createDiskBlobStore({ directory });
    for (let n = 0; n < 50; n++) await blobs.put(`packs/${n}`, Buffer.from('x'), { bytes: 1 });
    expect((await readdir(directory)).filter((name) => /^[0-9a-f]{2}$/.test(name)).length).toBeGreaterThan(20);
  });

  test('no part is left after a put, failed or not', async () => {
    const blobs = await createDiskBlobStore({ directory });
    await blobs.put('packs/1', Buffer.from('one'), { bytes: 3 });
    await expect(blobs.put('packs/2', Buffer.from('two'), { bytes: 4 })).rejects.toThrow();
    expect(await parts()).toEqual([]);
  });

  test('a file shorter than the asked range is Unavailable, also when it is cut while being read', async () => {
    const blobs = await createDiskBlobStore({ directory });
    await blobs.put('packs/1', Buffer.alloc(2_000_000), { bytes: 2_000_000 });
    const file = join(directory, await fileOf('packs+1'));
    const readable = await blobs.get('packs/1');
    await truncate(file, 1_000_000);
    await expect(buffer(readable!)).rejects.toThrow(Unavailable);
    await expect(blobs.get('packs/1', { range: { offset: 999_999, length: 2 } })).rejects.toThrow(/cut short/);
  });

  test('an unmounted volume is Unavailable, not a store without blobs', async () => {
    const blobs = await createDiskBlobStore({ directory });
    await blobs.put('packs/1', Buffer.from('one'), { bytes: 3 });
    await rename(directory, `${directory}-away`);
    try {
      await expect(blobs.get('packs/1')).rejects.toThrow(/volume is mounted/);
      await expect(blobs.size('packs/1')).rejects.toThrow(Unavailable);
      await expect(blobs.delete('packs/1')).rejects.toThrow(Unavailable);
      await expect(blobs.put('packs/1', Buffer.from('one'), { bytes: 3 })).rejects.toThrow(Unavailable);
      await expect(allOf(blobs.list(''))).rejects.toThrow(Unavailable);
      const source = Readable.from([Buffer.from('one')]);
      await expect(blobs.put('packs/1', source, { bytes: 3 })).rejects.toThrow(Unavailable);
      expect(source.destroyed).toBe(true);
    } finally {
      await rename(`${directory}-away`, directory);
    }
    expect(await blobs.size('packs/1')).toBe(3);
  });

  test('a new store removes the parts of dead processes and no others', async () => {
    await createDiskBlobStore({ directory });
    const host = hostname().replace(/[^A-Za-z0-9-]/g, '-');
    const dead = Number(execFileSync('sh', ['-c', 'echo $$']).toString());
    const write = async (name: string, ageHours: number) => {
      const at = new Date(Date.now() - ageHours * 3_600_000);
      await writeFile(join(directory, 'parts', name), 'part');
      await utimes(join(directory, 'parts', name), at, at);
    };
    await write(`${host}.${dead}.${randomUUID()}.dead`, 0);
    await write(`${host}.${process.pid}.${randomUUID()}.same-number`, 0);
    await write(`${host}.${process.ppid}.${randomUUID()}.alive`, 1);
    await write(`elsewhere.1.${randomUUID()}.perhaps-alive`, 1);
    await write(`elsewhere.1.${randomUUID()}.old`, 25);

    await createDiskBlobStore({ directory });
    expect((await parts()).map((name) => name.split('.').at(-1)).sort()).toEqual(['alive', 'perhaps-alive']);
  });

  test('a second store of one process leaves what the first is writing', async () => {
    const blobs = await createDiskBlobStore({ directory });
    let isWriting = () => {};
    const writing = new Promise<void>((resolve) => { isWriting = resolve; });
    let goOn = () => {};
    const going = new Promise<void>((resolve) => { goOn = resolve; });
    const put = blobs.put('packs/1', Readable.from((async function* () {
      yield Buffer.from('on');
      isWriting();
      await going;
      yield Buffer.from('e');
    })()), { bytes: 3 });
    await writing;
    await createDiskBlobStore({ directory });
    goOn();
    await put;
    expect(await blobs.size('packs/1')).toBe(3);
  });
});

test.each(['ENOSPC', 'EROFS', 'EACCES', 'EIO'])('a disk that answers %s is Unavailable, with a way out', (code) => {
  const error = asFileTrouble('blob store', '/data/blobs', Object.assign(new Error(code), { code, syscall: 'write' }));
  expect(error).toBeInstanceOf(Unavailable);
  expect((error as Error).message).toMatch(new RegExp(`^blob store: write /data/blobs: ${code}: .{20,}`));
});

test('an error that waiting cannot mend goes on as it is', () => {
  const error = Object.assign(new Error('ENOTDIR'), { code: 'ENOTDIR' });
  expect(asFileTrouble('blob store', '/data/blobs', error)).toBe(error);
});
