import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { makeRepository, type Repository } from '../harness/repository.ts';
import type { System } from '../harness/system.ts';

const MIB = 1_048_576;

export interface Huge { readonly repository: Repository; readonly commit: string; readonly bytes: number; readonly files: number }

/** One commit of so many MiB that no compressor makes smaller: four fifths in files of 40 MiB, the rest in files of 1 MiB and of 64 KiB. */
export async function makeHugeRepository(seed: number, mib: number): Promise<Huge> {
  const repository = await makeRepository();
  const sizes = sizesOf(mib);
  const noise = createCipheriv('aes-256-ctr', createHash('sha256').update(String(seed)).digest(), Buffer.alloc(16));
  // Noise does not get smaller: trying takes a minute of a core.
  const importing = spawn('git', ['-c', 'core.compression=0', '-c', 'pack.compression=0', 'fast-import', '--quiet', '--depth=0'], { cwd: repository.dir, stdio: ['pipe', 'ignore', 'inherit'] });
  const write = async (piece: string | Buffer) => { if (!importing.stdin.write(piece)) await once(importing.stdin, 'drain'); };
  await write('commit refs/heads/main\ncommitter Ann <ann@example.com> 1700000000 +0000\ndata 4\nhuge\n');
  for (const [at, bytes] of sizes.entries()) {
    await write(`M 100644 inline d${at % 7}/f${at}\ndata ${bytes}\n`);
    for (let left = bytes; left > 0; left -= MIB) await write(noise.update(Buffer.alloc(Math.min(left, MIB))));
    await write('\n');
  }
  importing.stdin.end();
  const [code] = await once(importing, 'exit') as [number];
  assert.equal(code, 0, 'git fast-import of the huge repository');
  return { repository, commit: repository.git('rev-parse', 'main'), bytes: sizes.reduce((sum, bytes) => sum + bytes, 0), files: sizes.length };
}

function sizesOf(mib: number): number[] {
  const large = Math.floor(mib * 0.8 / 40);
  const medium = Math.floor((mib - large * 40) * 0.75);
  const small = (mib - large * 40 - medium) * 16;
  return [...Array<number>(large).fill(40 * MIB), ...Array<number>(medium).fill(MIB), ...Array<number>(small).fill(MIB / 16)];
}

/** That every file read through the API hashes to the id that git has for it (I5), one after the other: never two of them in memory. */
export async function expectEveryFileIsGits(system: System, codebase: string, { repository, commit }: Huge): Promise<void> {
  for (const line of repository.git('ls-tree', '-r', commit).split('\n')) {
    const [, id, path] = /^\S+ blob ([0-9a-f]+)\t(.+)$/.exec(line) ?? [];
    const response = await fetch(`${system.url}/v1/codebases/${codebase}/files/${path}?at=${commit}`, { headers: { authorization: `Bearer ${system.token}` } });
    assert.equal(response.status, 200, path);
    const hash = createHash('sha1').update(`blob ${response.headers.get('content-length')}\0`);
    for await (const piece of response.body ?? []) hash.update(piece as Uint8Array);
    assert.equal(hash.digest('hex'), id, `the bytes of ${path}`);
  }
}
