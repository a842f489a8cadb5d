import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DemoFailed } from './demo-failed.ts';
import type { Git } from './git.ts';

export interface ChosenRepository {
  /** A bare copy that the simulated GitLab may take over. */
  readonly folder: string;
  /** For its address in GitLab. */
  readonly name: string;
  readonly about: string;
}

export interface ChooseRepository {
  readonly git: Git;
  /** Where copies may be made. */
  readonly folder: string;
  /** Named by the person. */
  readonly wanted: string | undefined;
  /** The folder that we run from. */
  readonly project: string;
}

/** The repository that was named; else this project's own history; else one made here and now. @throws DemoFailed */
export async function chooseRepository(options: ChooseRepository): Promise<ChosenRepository> {
  const { git, wanted, project } = options;
  if (wanted !== undefined) {
    const found = await whatIsAt(git, wanted);
    if (found.kind !== 'history') throw new DemoFailed(`REPO=${wanted} cannot be shown: ${found.why}. Name the folder of a complete git repository with at least one commit.`);
    return copied(options, { from: wanted, name: nameOf(wanted), about: `${wanted}, ${found.about}` });
  }
  const own = await whatIsAt(git, project);
  if (own.kind === 'history' && own.top === project) return copied(options, { from: project, name: 'context-engine', about: `this project's own history, ${own.about}` });
  const why = own.kind === 'none' ? own.why : 'this folder is part of another repository';
  return made(options, `a repository made for the show (${why})`);
}

type Found = { readonly kind: 'history'; readonly top: string; readonly about: string } | { readonly kind: 'none'; readonly why: string };

async function whatIsAt(git: Git, folder: string): Promise<Found> {
  const ask = (...words: string[]) => git(['-C', folder, ...words]).catch(() => undefined);
  if ((await ask('rev-parse', '--git-dir')) === undefined) return { kind: 'none', why: 'there is no git repository' };
  if ((await ask('rev-parse', '--is-shallow-repository')) === 'true') return { kind: 'none', why: 'the clone is shallow: "git fetch --unshallow" completes it' };
  const commits = await ask('rev-list', '--count', 'HEAD');
  if (commits === undefined || commits === '0') return { kind: 'none', why: 'it has no commit yet' };
  // Too long a list is no answer: then nothing is said of it.
  const files = (await ask('ls-tree', '-r', '--name-only', '-z', 'HEAD'))?.split('\0');
  const about = `${Number(commits).toLocaleString('en')} commits${files === undefined ? '' : `, ${(files.length - 1).toLocaleString('en')} files`}`;
  return { kind: 'history', top: (await ask('rev-parse', '--show-toplevel')) ?? folder, about };
}

async function copied({ git, folder }: ChooseRepository, { from, name, about }: { from: string; name: string; about: string }): Promise<ChosenRepository> {
  const copy = path.join(folder, 'shown.git');
  await git(['clone', '--quiet', '--bare', path.resolve(from), copy]);
  const branch = await git(['-C', copy, 'symbolic-ref', '--quiet', 'HEAD']).catch(() => undefined);
  // A checkout of a commit (as CI makes it) names no branch; GitLab always has a default one.
  if (branch === undefined) {
    await git(['-C', copy, 'update-ref', `refs/heads/${DETACHED_BRANCH}`, 'HEAD']);
    await git(['-C', copy, 'symbolic-ref', 'HEAD', `refs/heads/${DETACHED_BRANCH}`]);
  }
  return { folder: copy, name, about };
}

const DETACHED_BRANCH = 'main';

/** Enough that the first sync is something to look at: 240 files in 24 folders, three commits. */
const FOLDERS = 24;
const FILES_A_FOLDER = 10;
const COMMITS = 3;

async function made({ git, folder }: ChooseRepository, about: string): Promise<ChosenRepository> {
  const work = path.join(folder, 'made');
  mkdirSync(work, { recursive: true });
  await git(['init', '--quiet', work]);
  for (let commit = 1; commit <= COMMITS; commit += 1) {
    for (let at = 0; at < FOLDERS; at += 1) writeFolder(path.join(work, `part-${at + 1}`), { at, commit });
    writeFileSync(path.join(work, 'README.md'), `# A repository made for the demo\n\nCommit ${commit} of ${COMMITS}.\n`);
    await git(['-C', work, 'add', '--all']);
    await git(['-C', work, 'commit', '--quiet', '--message', `Part ${commit} of ${COMMITS}`]);
  }
  return { folder: work, name: 'made-for-the-demo', about: `${about}, ${COMMITS} commits, ${FOLDERS * FILES_A_FOLDER + 1} files` };
}

const ENDINGS = ['ts', 'py', 'go', 'md', 'json'] as const;

function writeFolder(folder: string, { at, commit }: { at: number; commit: number }): void {
  mkdirSync(folder, { recursive: true });
  for (let file = 0; file < FILES_A_FOLDER; file += 1) {
    const ending = ENDINGS[file % ENDINGS.length] ?? 'md';
    const lines = Array.from({ length: 40 }, (_, line) => `line ${line + 1} of file ${file + 1} in part ${at + 1}`);
    // A commit changes one file a folder, as people do.
    if (file === commit) lines.push(`changed in commit ${commit}`);
    writeFileSync(path.join(folder, `file-${file + 1}.${ending}`), `${lines.join('\n')}\n`);
  }
}

function nameOf(folder: string): string {
  const name = path.basename(path.resolve(folder)).replace(/\.git$/, '').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '');
  return name === '' ? 'shown' : name;
}
