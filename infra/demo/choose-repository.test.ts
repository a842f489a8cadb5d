import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chooseRepository } from './choose-repository.ts';
import { createGit, type Git } from './git.ts';

let folder: string;
let git: Git;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'tekai-choose-')));
  git = createGit(folder);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function repository(name: string, commits = 2): Promise<string> {
  const at = path.join(folder, name);
  await git(['init', '--quiet', '--initial-branch=trunk', at]);
  for (let commit = 1; commit <= commits; commit += 1) {
    writeFileSync(path.join(at, 'file'), `${commit}`);
    await git(['-C', at, 'add', '.']);
    await git(['-C', at, 'commit', '--quiet', '--message', String(commit)]);
  }
  return at;
}

const choose = (project: string, wanted?: string) => chooseRepository({ git, folder: path.join(folder, 'work'), project, wanted });
const headOf = (at: string) => git(['-C', at, 'symbolic-ref', 'HEAD']);
beforeEach(() => { mkdirSync(path.join(folder, 'work')); });

test('this project\'s own history is shown where there is one', async () => {
  const chosen = await choose(await repository('project'));
  expect(chosen).toMatchObject({ name: 'context-engine', about: 'this project\'s own history, 2 commits, 1 files' });
  expect(await headOf(chosen.folder)).toBe('refs/heads/trunk');
});

test('the one that is named goes before it', async () => {
  const wanted = await repository('My Repo.git');
  expect(await choose(await repository('project'), wanted)).toMatchObject({ name: 'my-repo', about: `${wanted}, 2 commits, 1 files` });
});

test('one that is named and cannot be shown is refused, with the reason', async () => {
  const project = await repository('project');
  await expect(choose(project, path.join(folder, 'work'))).rejects.toThrow('cannot be shown: there is no git repository');
  await expect(choose(project, await repository('unborn', 0))).rejects.toThrow('it has no commit yet');
});

test('a checkout of a commit, as CI makes it, gets a branch', async () => {
  const project = await repository('project');
  await git(['-C', project, 'checkout', '--quiet', '--detach']);
  await git(['-C', project, 'branch', '--quiet', '-D', 'trunk']);
  const chosen = await choose(project);
  expect(await headOf(chosen.folder)).toBe('refs/heads/main');
  expect(await git(['-C', chosen.folder, 'rev-parse', 'refs/heads/main'])).toBe(await git(['-C', project, 'rev-parse', 'HEAD']));
});

test('a shallow clone is not shown as a history: one is made', async () => {
  const project = path.join(folder, 'shallow');
  await git(['clone', '--quiet', '--depth', '1', `file://${await repository('whole')}`, project]);
  const chosen = await choose(project);
  expect(chosen.about).toContain('a repository made for the show (the clone is shallow');
  expect(await git(['-C', chosen.folder, 'rev-list', '--count', 'main'])).toBe('3');
});

test('a folder without a history, or inside another\'s, gets one that is made', async () => {
  const inside = path.join(await repository('outer'), 'inside');
  mkdirSync(inside);
  expect((await choose(inside)).about).toContain('this folder is part of another repository');
});
