import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimCache } from './git-cache-claim.ts';

let folder: string;
beforeEach(async () => { folder = await mkdtemp(join(tmpdir(), 'tekai-claim-')); });
afterEach(() => rm(folder, { recursive: true, force: true }));

test('what one process had becomes the next one\'s, whole; the first finds its folder gone', async () => {
  const first = await claimCache(folder, 'first');
  await mkdir(first);
  await writeFile(join(first, 'cache.json'), 'mine');
  expect(await claimCache(folder, 'first')).toBe(first);

  const next = await claimCache(folder, 'next');
  expect(await readFile(join(next, 'cache.json'), 'utf8')).toBe('mine');
  expect(existsSync(first)).toBe(false);
  await expect(writeFile(join(first, 'cache.json'), 'late')).rejects.toThrow('ENOENT');
});

test('what the first makes anew after that goes with the next claim, and ours stays', async () => {
  await mkdir(await claimCache(folder, 'next'));
  await mkdir(join(folder, 'first'));
  await writeFile(join(folder, 'first', 'cache.json'), 'late');
  await claimCache(folder, 'next');
  expect(await readdir(folder)).toEqual(['next']);
});
