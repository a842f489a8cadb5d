import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountSmallDisk, whyNoSmallDisk } from '#tests/drills/small-disk.ts';
import { makeFolder } from './make-folder.ts';

let directory: string;
beforeAll(async () => { directory = await mkdtemp(join(tmpdir(), 'tekai-folder-')); });
afterAll(() => rm(directory, { recursive: true, force: true }));

test('a folder is made with those above it, and is left alone when it is there', async () => {
  const path = join(directory, 'a', 'b');
  expect(await makeFolder(path)).toBe(join(directory, 'a'));
  expect((await stat(path)).isDirectory()).toBe(true);
  expect(await makeFolder(path)).toBeUndefined();
});

const whyNot = whyNoSmallDisk();
(whyNot === undefined ? test : test.skip)(`${whyNot === undefined ? '' : `NOT TRIED, ${whyNot}: `}of a file system that is read-only that is said, and not that something is missing`, async () => {
  const disk = await mountSmallDisk({ megabytes: 1 });
  try {
    await disk.makeReadOnly();
    await expect(makeFolder(join(disk.stateDir, 'a', 'b'))).rejects.toMatchObject({ code: 'EROFS', path: join(disk.stateDir, 'a') });
    await disk.makeWritable();
    expect(await makeFolder(join(disk.stateDir, 'a', 'b'))).toBe(join(disk.stateDir, 'a'));
  } finally {
    await disk.remove();
  }
});
