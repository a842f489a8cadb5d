import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { objectId, type ObjectId } from '#schemas/brand.ts';
import { THIS_MACHINE } from '#tests/harness/this-machine.ts';
import { createGitCliTransport } from './git-cli-transport.ts';
import { newCodebase, objectsOf, opening } from './git-transport.contract.ts';
import { startSimulatedGitLab, type SimulatedGitLab, type SimulatedProject } from './simulated-gitlab.contract.ts';

const FILES = 20_000;
/** Of what a bare `git cat-file` takes for the same objects: measured some four; ten times that is another algorithm. */
const TIMES_MAX = 40;
const LARGE_BYTES = 134_217_728;
/** Of it what lies in the pipe and in the streams between git and a taker that pauses. */
const WAITING_BYTES_MAX = 4_194_304;

describe('GitTransport by git, of large repositories', () => {
  let gitlab: SimulatedGitLab;
  beforeAll(async () => { gitlab = await startSimulatedGitLab(); });
  afterAll(() => gitlab.stop());

  const open = async (project: SimulatedProject, commit: ObjectId) => {
    const transport = createGitCliTransport({ directory: join(gitlab.folder, 'caches'), owner: 'test', addresses: THIS_MACHINE });
    const objects = objectsOf(await transport.open(opening(gitlab, project, commit, { codebaseId: newCodebase() })));
    await objects.bringAll();
    return objects;
  };

  test(`${FILES} files are read in one go, fast`, async () => {
    const project = await gitlab.project('wide');
    const commit = await importFiles(project, FILES);
    const objects = await open(project, commit);
    const listed = await project.worktree.git('ls-tree', '-r', commit);
    const ids = listed.split('\n').map((line) => objectId.parse(line.split(/\s/)[2]));

    const began = performance.now();
    let bytes = 0;
    let count = 0;
    for await (const object of objects.read(ids)) {
      count += 1;
      bytes += object.bytes;
    }
    expect(count).toBe(FILES);
    expect(bytes).toBeGreaterThan(FILES * 500);
    const read = performance.now();
    const bare = spawn('git', ['-C', project.worktree.folder, 'cat-file', '--batch'], { stdio: ['pipe', 'ignore', 'inherit'] });
    bare.stdin.end(ids.join('\n'));
    await once(bare, 'close');
    expect(read - began).toBeLessThan(TIMES_MAX * (performance.now() - read));
    await objects.close();
  });

  test('a blob of 128 MiB passes through without being held', async () => {
    const project = await gitlab.project('heavy');
    await project.worktree.write('zeros.bin', Buffer.alloc(LARGE_BYTES));
    const commit = await project.worktree.commit('one');
    await project.worktree.push();
    const objects = await open(project, commit);
    const blob = objectId.parse(await project.worktree.git('rev-parse', `${commit}:zeros.bin`));

    let bytes = 0;
    for await (const { content } of objects.read([blob])) {
      if (Buffer.isBuffer(content)) throw new Error('a large object came whole');
      for await (const piece of content) {
        // A taker that pauses: git then waits for us, at the end of its pipe.
        if (bytes === 0) expect(await writtenWhenStill('cat-file', gitlab.folder)).toBeLessThan(WAITING_BYTES_MAX);
        bytes += piece.length;
      }
    }
    expect(bytes).toBe(LARGE_BYTES);
    await objects.close();
  });
});

/** Files of about 1 KB that share no content, 100 to a folder, without a checkout. */
async function importFiles(project: SimulatedProject, files: number): Promise<ObjectId> {
  const importing = spawn('git', ['-C', project.worktree.folder, 'fast-import', '--quiet', '--force'], { stdio: ['pipe', 'ignore', 'inherit'] });
  importing.stdin.write('commit refs/heads/main\ncommitter T <t@example.com> 1700000000 +0000\ndata 3\none\n');
  for (let at = 0; at < files; at += 1) {
    const text = `${at} ${'some words of file '.repeat(40)}${at}\n`;
    const line = `M 100644 inline dir-${Math.floor(at / 10_000)}/dir-${Math.floor(at / 100)}/file-${at}.txt\ndata ${text.length}\n${text}\n`;
    if (!importing.stdin.write(line)) await once(importing.stdin, 'drain');
  }
  importing.stdin.end('\n');
  await once(importing, 'close');
  await project.worktree.push('+refs/heads/main:refs/heads/main');
  return objectId.parse(await project.worktree.git('rev-parse', 'refs/heads/main'));
}

/** How much the git of that name that works in the folder has written, once it writes no more: it waits, or has ended. */
async function writtenWhenStill(name: string, folder: string): Promise<number> {
  let written = -1;
  for (let still = 0; still < 10;) {
    const now = await writtenBy(name, folder);
    still = now === written ? still + 1 : 0;
    written = now;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return written;
}

async function writtenBy(name: string, folder: string): Promise<number> {
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const argv = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (!argv.includes(name) || !argv.includes(folder)) continue;
    const counts = await readFile(`/proc/${pid}/io`, 'utf8').catch(() => '');
    return Number(/^wchar: (\d+)/m.exec(counts)?.[1] ?? LARGE_BYTES);
  }
  return LARGE_BYTES;
}
