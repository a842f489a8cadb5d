import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { startSimulator, type Simulator, type SimulatorOptions } from '../../infra/gitlab-simulator/server.ts';
import { gitlabProjectId, objectId, type GitLabProjectId, type GitObjectFormat, type ObjectId } from '#schemas/brand.ts';
import type { GitLabAccess } from './gitlab.ts';

const run = promisify(execFile);

/** A repository on this disk whose pushes go to the simulator. */
export interface Worktree {
  readonly folder: string;
  write(path: string, content: string | Buffer): Promise<void>;
  git(...args: readonly string[]): Promise<string>;
  /** All that was written, as one commit. */
  commit(message: string): Promise<ObjectId>;
  push(...refspecs: readonly string[]): Promise<void>;
}

export interface SimulatedProject {
  readonly id: GitLabProjectId;
  readonly url: string;
  readonly path: string;
  readonly worktree: Worktree;
}

export interface Requested { readonly method: string; readonly path: string; readonly status: number; readonly bytesIn: number; readonly bytesOut: number }

/** The simulator, a folder of its own, and what tests do to both. */
export interface SimulatedGitLab {
  readonly url: string;
  readonly access: GitLabAccess;
  readonly folder: string;
  admin<T = unknown>(method: string, path: string, body?: object): Promise<T>;
  /** What `GET /api/v4…` answers, with the token and on the way of `access`. */
  rest(path: string): Promise<unknown>;
  project(path: string, options?: { objectFormat?: GitObjectFormat }): Promise<SimulatedProject>;
  requests(path: string): Promise<readonly Requested[]>;
  stop(): Promise<void>;
}

export async function startSimulatedGitLab(options: Partial<SimulatorOptions> = {}): Promise<SimulatedGitLab> {
  const folder = await mkdtemp(join(tmpdir(), 'tekai-gitlab-'));
  const simulator: Simulator = await startSimulator({ port: 0, dir: join(folder, 'simulator'), ...options });

  const admin = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const response = await fetch(`${simulator.url}/_simulator${path}`, {
      method,
      headers: { 'x-simulator-token': simulator.adminToken, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  };
  return {
    url: simulator.url,
    access: { baseUrl: simulator.url, token: simulator.token, caPem: undefined, proxyUrl: undefined },
    folder,
    admin,
    rest: async (path) => (await fetch(`${simulator.url}/api/v4${path}`, { headers: { 'private-token': simulator.token } })).json(),
    async project(path, { objectFormat = 'sha1' } = {}) {
      const made = await admin<{ id: number; http_url_to_repo: string }>('POST', '/projects', { path, objectFormat });
      const remote = made.http_url_to_repo.replace('://', `://root:${simulator.token}@`);
      const worktree = await createWorktree(join(folder, `work-${path}`), { remote, objectFormat });
      return { id: gitlabProjectId.parse(made.id), url: made.http_url_to_repo, path: `root/${path}`, worktree };
    },
    async requests(path) {
      return (await admin<{ requests: Requested[] }>('GET', `/requests?path=${encodeURIComponent(path)}`)).requests;
    },
    async stop() {
      await simulator.stop();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A repository on this disk with `origin`; `environment` is for git alone: authorities, proxies. */
export async function createWorktree(folder: string, { remote, objectFormat, environment: more = {} }: { remote: string; objectFormat: GitObjectFormat; environment?: Record<string, string> }): Promise<Worktree> {
  await mkdir(folder, { recursive: true });
  const environment = {
    PATH: process.env['PATH'] ?? '', HOME: folder, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_AUTHOR_NAME: 'T', GIT_AUTHOR_EMAIL: 't@example.com', GIT_COMMITTER_NAME: 'T', GIT_COMMITTER_EMAIL: 't@example.com', ...more,
  };
  const git = async (...args: readonly string[]) => {
    const { stdout } = await run('git', ['-C', folder, ...args], { env: environment, maxBuffer: 1_073_741_824 });
    return stdout.trim();
  };
  await git('init', '-q', '-b', 'main', `--object-format=${objectFormat}`);
  await git('config', 'gc.auto', '0');
  await git('remote', 'add', 'origin', remote);
  return {
    folder,
    git,
    async write(path, content) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), content);
    },
    async commit(message) {
      await git('add', '-A');
      await git('commit', '-q', '--allow-empty', '-m', message);
      return objectId.parse(await git('rev-parse', 'HEAD'));
    },
    async push(...refspecs) {
      await git('push', '-q', 'origin', ...(refspecs.length === 0 ? ['+HEAD:refs/heads/main'] : refspecs));
    },
  };
}

/** A project of one commit: 20 small files in three folders. */
export async function demoProject(gitlab: SimulatedGitLab): Promise<{ demo: SimulatedProject; first: ObjectId }> {
  const demo = await gitlab.project('demo');
  for (let at = 0; at < 20; at += 1) await demo.worktree.write(`dir-${at % 3}/file-${at}.txt`, `content ${at}\n`.repeat(50));
  const first = await demo.worktree.commit('one');
  await demo.worktree.push();
  return { demo, first };
}
