import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ObjectId } from '#schemas/brand.ts';
import { THIS_MACHINE } from '#tests/harness/this-machine.ts';
import { createGitCliTransport } from './git-cli-transport.ts';
import { FETCHES_BETWEEN_REPACKS } from './git-cache.ts';
import { idsBelow, newCodebase, objectsOf, opening, readWhole } from './git-transport.contract.ts';
import { startSimulatedGitLab, type SimulatedGitLab, type SimulatedProject } from './simulated-gitlab.contract.ts';

/** A commit whose parents the cache holds is asked for without a depth: what then may come, and what may not. */
describe('the commit after one that the cache holds', () => {
  let gitlab: SimulatedGitLab;
  let project: SimulatedProject;
  let directory: string;
  let projects = 0;

  beforeAll(async () => { gitlab = await startSimulatedGitLab(); });
  afterAll(() => gitlab.stop());
  beforeEach(async () => {
    project = await gitlab.project(`next-${(projects += 1)}`);
    directory = join(gitlab.folder, `caches-${projects}`);
  });

  const codebase = newCodebase();
  const commit = async (content: string) => {
    await project.worktree.write('some/file.txt', content);
    return project.worktree.commit(content);
  };
  const open = async (asked: ObjectId, parents: readonly ObjectId[]) =>
    objectsOf(await createGitCliTransport({ directory, owner: 'test', addresses: THIS_MACHINE }).open(opening(gitlab, project, asked, { codebaseId: codebase, parents })));
  const git = async (...args: string[]) => (await promisify(execFile)('git', args)).stdout;
  /** The cache holds all of what was seen; what stood before it is there again, and not in the cache. */
  const backToOld = async () => {
    const [, seen] = [await commit('old'), await commit('new')];
    await project.worktree.push();
    const begun = await open(seen, []);
    await begun.bringAll();
    await begun.close();
    const reverted = await commit('old');
    await project.worktree.push();
    // As Gitaly keeps them: with a bitmap the server knows all that our commit reaches, and not only what stands in it.
    await git('-C', join(gitlab.folder, 'simulator/repositories', `${project.id}.git`), 'repack', '-adbq');
    return { seen, reverted };
  };

  test('may bring back what stood before the first that we saw: it comes by id, where the server thinks that we hold it', async () => {
    const { seen, reverted } = await backToOld();
    await gitlab.admin('DELETE', '/requests');
    const objects = await open(reverted, [seen]);
    await readWhole(objects, await idsBelow(project, reverted));
    await objects.close();
    // The commit; its trees and its file, of which git forgets one that it meets below another; that one.
    expect(await gitlab.requests('/git-upload-pack$')).toHaveLength(3);

    const next = await commit('newer');
    await project.worktree.push();
    const after = await open(next, [reverted]);
    expect(after.isComplete).toBe(true);
    await readWhole(after, await idsBelow(project, next));
    await after.close();
  });

  test('may leave out what nobody reads, and the cache lives through its repack all the same', async () => {
    const { seen, reverted } = await backToOld();
    const folder = join(directory, `${codebase}-sha1`, 'test');
    const state = JSON.parse(await readFile(join(folder, 'cache.json'), 'utf8')) as object;
    await writeFile(join(folder, 'cache.json'), JSON.stringify({ ...state, fetches: FETCHES_BETWEEN_REPACKS }));
    // As if the index knew all of it.
    await (await open(reverted, [seen])).close();

    await gitlab.admin('DELETE', '/requests');
    const again = await open(reverted, [seen]);
    expect(again.isComplete).toBe(true);
    await readWhole(again, await idsBelow(project, reverted));
    await again.close();
    expect(await gitlab.requests('/git-upload-pack$')).toEqual([]);
    expect(JSON.parse(await readFile(join(folder, 'cache.json'), 'utf8'))).toMatchObject({ fetches: 0, heads: [seen, reverted] });
  });

  test('comes alone, and not with its history, where that one was opened the cheap way', async () => {
    const [, before, next] = [await commit('1'), await commit('2'), await commit('3')];
    await project.worktree.push();
    await (await open(before, [])).close();
    await (await open(next, [before])).close();
    const folder = join(directory, `${codebase}-sha1`, 'test');
    const repository = join(folder, (await readdir(folder)).find((entry) => entry.startsWith('git-')) ?? '');
    const listed = await git('--git-dir', repository, 'cat-file', '--batch-all-objects', '--batch-check');
    expect(listed.match(/ commit /g)).toHaveLength(1);
  });
});
