import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ObjectId } from '#schemas/brand.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import { makeRepository, type Repository } from '#tests/harness/repository.ts';
import { segmentsOf } from './path-bytes.ts';
import { tarOf } from './send-archive.ts';
import { randomHistory, seeded, storedObjects } from './stored-repository.fixture.ts';

const below = seeded(5);
let repository: Repository;
let reader: ObjectReader;
let odd: string;
let random: string[];

const long = (length: number) => 'n'.repeat(length);
const LARGE = Buffer.alloc(3 * 1_048_576 + 7, 'large');

beforeAll(async () => {
  repository = await makeRepository();
  random = randomHistory(repository, { commits: 200, below });
  odd = repository.commit('odd', [
    { path: 'run.sh', mode: '100755', content: '#!/bin/sh\n' }, { path: 'link', mode: '120000', content: 'run.sh' }, { path: 'far', mode: '120000', content: `../${long(150)}` },
    { path: 'empty', content: '' }, { path: 'sub/module', mode: '160000', id: '1234567890123456789012345678901234567890' }, { path: 'large.bin', content: LARGE },
    { path: Buffer.from([0x66, 0xff, 0xfe, 0x80]), content: 'not UTF-8' }, { path: '日本語/ファイル', content: 'unicode' },
    { path: long(100), content: '100' }, { path: long(101), content: '101' }, { path: `${long(120)}/${long(99)}`, content: 'prefix' }, { path: `${long(155)}/x/${long(100)}`, content: 'pax' },
    { path: `${long(200)}/deep`, content: 'pax folder' }, { path: Buffer.concat([Buffer.from([0xe9]), Buffer.from(`${long(130)}/`), Buffer.from([0xe9]), Buffer.from(long(130))]), content: 'long latin1' },
    ...Array.from({ length: 600 }, (_, n) => ({ path: `many/f${n}`, content: `${n}` })),
  ], { parent: null });
  reader = await storedObjects(repository);
});

async function tar(commit: string, at = ''): Promise<Buffer> {
  const [tree = '', seconds = ''] = repository.git('show', '-s', '--format=%T %ct', commit).split(' ');
  const pieces: Buffer[] = [];
  for await (const piece of tarOf(reader, { commit: commit as ObjectId, root: tree as ObjectId, segments: segmentsOf(Buffer.from(at)), seconds: Number(seconds) })) pieces.push(piece);
  return Buffer.concat(pieces);
}

const byGit = (commit: string, ...paths: string[]) => repository.gitBytes(['-c', 'tar.umask=0002', 'archive', '--format=tar', commit, ...paths]);

test('it is git archive, bit for bit: odd names, links, executables, submodules, large files', async () => {
  const ours = await tar(odd);
  expect(ours.equals(byGit(odd))).toBe(true);
  expect(ours.equals(await tar(odd))).toBe(true);
  expect(execFileSync('git', ['get-tar-commit-id'], { input: ours.subarray(0, 1_024) }).toString().trim()).toBe(odd);
});

test('also of any commit of a random history', async () => {
  for (let n = 0; n < 25; n += 1) {
    const commit = random[below(random.length)]!;
    expect((await tar(commit)).equals(byGit(commit))).toBe(true);
  }
});

test('of a folder or a file, with the folders on the way', async () => {
  for (const at of ['many', 'many/f7', '日本語', `${long(155)}/x`, 'run.sh']) expect((await tar(odd, at)).equals(byGit(odd, at))).toBe(true);
});

test('unpacked by tar it is what git archive unpacks to', async () => {
  const [ours, git] = [unpacked(await tar(odd)), unpacked(byGit(odd))];
  expect(ours.size).toBeGreaterThan(610);
  expect([...ours]).toEqual([...git]);
});

function unpacked(content: Buffer): Map<string, string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tekai-tar-'));
  execFileSync('tar', ['-x', '-C', folder], { input: content });
  const found = new Map<string, string>();
  const walk = (at: Buffer) => {
    for (const name of readdirSync(at, { encoding: 'buffer' }).sort(Buffer.compare)) {
      const file = Buffer.concat([at, Buffer.from('/'), name]);
      const stat = lstatSync(file);
      const what = stat.isDirectory() ? '' : stat.isSymbolicLink() ? readlinkSync(file) : readFileSync(file).toString('base64');
      found.set(file.toString('hex').slice(folder.length * 2), `${stat.mode.toString(8)} ${stat.isSymbolicLink() ? '' : stat.mtimeMs} ${what}`);
      if (stat.isDirectory()) walk(file);
    }
  };
  walk(Buffer.from(folder));
  rmSync(folder, { recursive: true });
  return found;
}
