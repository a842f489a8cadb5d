import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { startSimulator, type SimulatorOptions } from '../server.ts';

export interface Reply {
  status: number;
  headers: Headers;
  body: any;
}

/** A simulator on a folder of its own, and the hands to use it with. */
export interface OpenSimulator {
  url: string;
  token: string;
  dir: string;
  api(method: string, path: string, body?: unknown, token?: string): Promise<Reply>;
  admin(method: string, path: string, body?: unknown): Promise<Reply>;
  idle(): Promise<void>;
  git(cwd: string, ...args: string[]): Promise<GitRun>;
  gitUrl(projectPath: string, token?: string): string;
  /** A fresh clone with an identity to commit by. */
  clone(projectPath: string): Promise<Clone>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface GitRun {
  code: number;
  stdout: string;
  stderr: string;
}

export interface Clone {
  dir: string;
  git(...args: string[]): Promise<GitRun>;
  commit(message: string, files: Record<string, string>): Promise<string>;
}

export async function openSimulator(options: Partial<SimulatorOptions> = {}): Promise<OpenSimulator> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'gitlab-simulator-'));
  const started = { port: 0, adminToken: 'admin-token', ...options, dir: path.join(dir, 'instance') };
  let simulator = await startSimulator(started);
  let clones = 0;
  const ask = async (method: string, url: string, sent: { headers: Record<string, string>; body: unknown }): Promise<Reply> => {
    const headers = sent.body === undefined ? sent.headers : { ...sent.headers, 'content-type': 'application/json' };
    const response = await fetch(url, { method, headers, redirect: 'manual', ...(sent.body === undefined ? {} : { body: JSON.stringify(sent.body) }) });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: isJson(response) && text !== '' ? JSON.parse(text) : text };
  };
  const admin: OpenSimulator['admin'] = (method, route, body) => ask(method, `${simulator.url}/_simulator${route}`, { headers: { 'x-simulator-token': 'admin-token' }, body });
  const gitUrl = (projectPath: string, token = simulator.token): string => `${simulator.url.replace('//', `//oauth2:${token}@`)}/${projectPath.split('/').map(encodeURIComponent).join('/')}.git`;
  return {
    get url() {
      return simulator.url;
    },
    get token() {
      return simulator.token;
    },
    dir,
    admin,
    gitUrl,
    git: runGit,
    api: (method, route, body, token = simulator.token) => ask(method, `${simulator.url}/api/v4${route}`, { headers: token === '' ? {} : { 'private-token': token }, body }),
    idle: async () => {
      const { status, body } = await admin('GET', '/idle');
      if (status !== 200 || body.failures.length > 0) throw new Error(`not idle: ${JSON.stringify(body)}`);
    },
    clone: async (projectPath) => {
      const target = path.join(dir, `clone-${(clones += 1)}`);
      await must(runGit(dir, 'clone', '-q', gitUrl(projectPath), target));
      return cloneAt(target);
    },
    restart: async () => {
      await simulator.stop();
      simulator = await startSimulator(started);
    },
    close: async () => {
      await simulator.stop();
      await rm(dir, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

function cloneAt(dir: string): Clone {
  const git = (...args: string[]): Promise<GitRun> => runGit(dir, ...args);
  return {
    dir,
    git,
    commit: async (message, files) => {
      for (const [file, text] of Object.entries(files)) {
        await mkdir(path.dirname(path.join(dir, file)), { recursive: true });
        await writeFile(path.join(dir, file), text);
      }
      await must(git('add', '-A'));
      await must(git('commit', '-q', '--allow-empty', '-m', message));
      return (await must(git('rev-parse', 'HEAD'))).stdout.trim();
    },
  };
}

export async function must(run: Promise<GitRun>): Promise<GitRun> {
  const ended = await run;
  if (ended.code !== 0) throw new Error(`git ended with ${ended.code}: ${ended.stderr}`);
  return ended;
}

function runGit(cwd: string, ...args: string[]): Promise<GitRun> {
  const identity = { GIT_AUTHOR_NAME: 'Ada', GIT_AUTHOR_EMAIL: 'ada@example.com', GIT_COMMITTER_NAME: 'Ada', GIT_COMMITTER_EMAIL: 'ada@example.com' };
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0', ...identity };
  return new Promise((resolve, reject) => {
    const child = spawn('git', ['-c', 'init.defaultBranch=main', ...args], { cwd, env });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

function isJson(response: Response): boolean {
  return (response.headers.get('content-type') ?? '').startsWith('application/json');
}
