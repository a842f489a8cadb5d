import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectId } from '#schemas/brand.ts';
import { THIS_MACHINE } from '#tests/harness/this-machine.ts';
import { createGitCliTransport } from './git-cli-transport.ts';
import { idsBelow, newCodebase, objectsOf, opening, readWhole } from './git-transport.contract.ts';
import { demoProject, startSimulatedGitLab, type SimulatedGitLab, type SimulatedProject } from './simulated-gitlab.contract.ts';

let gitlab: SimulatedGitLab;
let demo: SimulatedProject;
let first: ObjectId;
let directory: string;
let names = 0;

beforeAll(async () => {
  gitlab = await startSimulatedGitLab();
  ({ demo, first } = await demoProject(gitlab));
});
afterAll(() => gitlab.stop());
beforeEach(() => { directory = join(gitlab.folder, `caches-${(names += 1)}`); });

/** With a git that writes down each time that it is started, and with what. */
async function counted() {
  const programs = join(gitlab.folder, `programs-${(names += 1)}`);
  await mkdir(programs);
  await writeFile(join(programs, 'git'), `#!/bin/sh\necho "$*" >>${join(programs, 'started')}\nexec /usr/bin/env -S PATH=/usr/local/bin:/usr/bin:/bin git "$@"\n`);
  await chmod(join(programs, 'git'), 0o755);
  const started = async () => (await readFile(join(programs, 'started'), 'utf8')).split('\n').map((line) => / (cat-file|fetch) /.exec(line)?.[1]).filter((command) => command !== undefined);
  return { transport: createGitCliTransport({ directory, owner: 'test', addresses: THIS_MACHINE, searchPath: `${programs}:/usr/local/bin:/usr/bin:/bin` }), started };
}

/** A codebase whose cache holds everything of its head. */
async function warm(): Promise<{ codebaseId: ReturnType<typeof newCodebase> }> {
  const codebaseId = newCodebase();
  const objects = objectsOf(await createGitCliTransport({ directory, owner: 'test', addresses: THIS_MACHINE }).open(opening(gitlab, demo, first, { codebaseId })));
  await objects.bringAll();
  await objects.close();
  return { codebaseId };
}

test('all lists of a commit are read by one git; whoever leaves a list in the middle finds the next one whole', async () => {
  const { transport, started } = await counted();
  const opened = objectsOf(await transport.open(opening(gitlab, demo, first)));
  await opened.bringAll();
  const ids = await idsBelow(demo, first);
  const readers = async () => (await started()).filter((command) => command === 'cat-file').length;

  for (const id of ids) await readWhole(opened, [id]);
  for await (const object of opened.read([first])) { expect(object.id).toBe(first); break; }
  await readWhole(opened, Array.from({ length: 2_500 }, (_, at) => ids[at % ids.length] ?? first));
  expect(await readers()).toBe(1);

  for await (const object of opened.read(ids)) { expect(object.id).toBe(ids[0]); break; }
  await readWhole(opened, ids);
  expect(await readers()).toBe(2);
  await opened.close();
});

test('the git that reads a push is started before its fetch, and is the only one', async () => {
  const cache = await warm();
  await demo.worktree.write('dir-1/file-1.txt', randomBytes(20).toString('hex'));
  const next = await demo.worktree.commit('next');
  await demo.worktree.push();
  const { transport, started } = await counted();
  const objects = objectsOf(await transport.open(opening(gitlab, demo, next, cache)));
  await readWhole(objects, await idsBelow(demo, next));
  await objects.close();
  expect(await started()).toEqual(['cat-file', 'fetch']);
});

test('the git that would have read is gone when the fetch brought nothing', async () => {
  const cache = await warm();
  const { transport, started } = await counted();
  const opened = await transport.open(opening(gitlab, demo, 'f'.repeat(40) as ObjectId, cache));
  expect(opened.kind).toBe('commitAbsent');
  expect(await started()).toEqual(['cat-file', 'fetch']);
  expect(await gitsOf(directory)).toEqual([]);
});

/** Command lines of the processes that work on a cache below the folder. */
async function gitsOf(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.includes(folder));
}
