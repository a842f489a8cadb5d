import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { runGit, runGitText } from '../git/git-command.ts';
import { readRefs } from '../git/repository.ts';
import { repositoryOf, type Instance } from '../instance.ts';
import type { ObjectFormat, Project, Visibility } from './records.ts';

export interface NewProject {
  name: string;
  path: string;
  namespaceId: number;
  creatorId: number;
  visibility: Visibility;
  description: string | null;
  defaultBranch: string;
  objectFormat: ObjectFormat;
  isWithReadme: boolean;
}

export function slugOf(name: string): string {
  return name.trim().toLowerCase().replace(/[^\p{L}\p{N}_.-]+/gu, '-').replace(/^-+|-+$/g, '') || 'project';
}

export async function createProject(instance: Instance, wanted: NewProject): Promise<Project> {
  const project = instance.state.projects.insert(recordOf(instance, wanted));
  const repository = repositoryOf(instance, project);
  await mkdir(path.dirname(repository), { recursive: true });
  // No template: its sample hooks are sixteen files per project, which 10,000 projects notice.
  await runGit({ args: ['init', '-q', '--bare', '--template=', `--object-format=${wanted.objectFormat}`, `--initial-branch=${wanted.defaultBranch}`, repository] });
  if (!wanted.isWithReadme) return project;
  await writeReadme(repository, wanted);
  return instance.state.projects.put({ ...project, isEmpty: false });
}

/** Copies every ref of a repository on this machine. The clone shares no file with it: what happens to one does not reach the other. */
export async function importProject(instance: Instance, wanted: NewProject, from: string): Promise<Project> {
  const format = (await runGitText({ args: ['-C', from, 'rev-parse', '--show-object-format'] })).trim();
  const head = await headOf(from);
  const project = await createProject(instance, { ...wanted, objectFormat: format === 'sha256' ? 'sha256' : 'sha1', defaultBranch: head ?? wanted.defaultBranch, isWithReadme: false });
  return fillFrom(instance, project, from);
}

/** A fork has an id, hooks and members of its own; only the refs and the settings come along. */
export async function forkProject(instance: Instance, origin: Project, wanted: Pick<NewProject, 'name' | 'path' | 'namespaceId' | 'creatorId' | 'visibility'>): Promise<Project> {
  const { defaultBranch, objectFormat, description } = origin;
  const project = await createProject(instance, { ...wanted, defaultBranch, objectFormat, description, isWithReadme: false });
  const fork = instance.state.projects.put({ ...project, forkedFromId: origin.id });
  return fillFrom(instance, fork, repositoryOf(instance, origin));
}

async function fillFrom(instance: Instance, project: Project, from: string): Promise<Project> {
  const repository = repositoryOf(instance, project);
  const refspecs = ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*'];
  await runGit({ args: ['-C', repository, '-c', 'fetch.unpackLimit=1', 'fetch', '-q', '--no-write-fetch-head', '--no-tags', path.resolve(from), ...refspecs] });
  const heads = await readRefs(repository, 'refs/heads/');
  await runGit({ args: ['-C', repository, 'pack-refs', '--all'] });
  return instance.state.projects.put({ ...project, isEmpty: heads.size === 0 });
}

async function headOf(repository: string): Promise<string | null> {
  try {
    const head = (await runGitText({ args: ['-C', repository, 'symbolic-ref', '--quiet', 'HEAD'] })).trim();
    return head.startsWith('refs/heads/') ? head.slice('refs/heads/'.length) : null;
  } catch {
    // A detached HEAD names no branch.
    return null;
  }
}

function recordOf(instance: Instance, wanted: NewProject): Omit<Project, 'id'> {
  const now = instance.now().toISOString();
  const { name, path: projectPath, namespaceId, creatorId, visibility, description, defaultBranch, objectFormat } = wanted;
  return {
    name,
    path: projectPath,
    namespaceId,
    creatorId,
    visibility,
    description,
    defaultBranch,
    objectFormat,
    isEmpty: true,
    isArchived: false,
    forkedFromId: null,
    repositoryAccessLevel: 'enabled',
    isLfsEnabled: true,
    topics: [],
    importUrl: null,
    markedForDeletionOn: null,
    createdAt: now,
    updatedAt: now,
    lastActivityAt: now,
  };
}

async function writeReadme(repository: string, wanted: NewProject): Promise<void> {
  const text = `# ${wanted.name}\n`;
  const stream = [
    `commit refs/heads/${wanted.defaultBranch}`,
    'committer Administrator <admin@example.com> now',
    'data 14\nInitial commit',
    `M 100644 inline README.md\ndata ${Buffer.byteLength(text)}\n${text}`,
    'done\n',
  ].join('\n');
  await runGit({ args: ['-C', repository, 'fast-import', '--quiet', '--done', '--date-format=now'], input: stream });
}
