import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdtemp, readFile, symlink, utimes } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { removeStateFolder } from '../harness/state-folder.ts';

const execute = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, '../..');
const COPIED = ['schemas', 'shared', 'services', 'infra', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', '.npmrc', 'Makefile'];
/** Compiling takes 8 s on an idle machine; two demos and a build on a busy one a good deal more. */
const SHOW_MS_MAX = 240_000;

let parent: string;
let clone: string;
const running = new Set<ChildProcess>();

/** A clone of this tree as it is now, with a history of its own, in a folder with a name that shells dislike. */
beforeAll(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'tekai-demo-'));
  // Postgres runs as another account when we are root.
  await chmod(parent, 0o755);
  clone = path.join(parent, 'a clone\'s folder');
  for (const name of COPIED) await cp(path.join(ROOT, name), path.join(clone, name), { recursive: true });
  await symlink(path.join(ROOT, 'node_modules'), path.join(clone, 'node_modules'));
  // What is installed is newer than the lockfile: nothing is to be installed into the folder that others use.
  await utimes(path.join(clone, 'package-lock.json'), 0, 0);
  const git = (...words: string[]) => execute('git', ['-C', clone, '-c', 'user.name=Test', '-c', 'user.email=test@example.com', '-c', 'core.excludesFile=/dev/null', ...words]);
  await execute('git', ['init', '--quiet', '--initial-branch=main', clone]);
  await git('add', '--', ...COPIED);
  await git('commit', '--quiet', '--message', 'Everything');
});

afterAll(async () => {
  for (const child of running) kill(child, 'SIGKILL');
  const { programs } = await kept().catch(() => ({ programs: [] }));
  for (const { pid } of programs) if ((await commandLines()).some((line) => line.startsWith(`${pid} `) && line.includes(encodeURIComponent(clone)))) process.kill(pid, 'SIGKILL');
  await removeStateFolder(parent, path.join(clone, '.tekai/demo/postgres'));
});

interface Running { readonly child: ChildProcess; readonly ended: Promise<number | string>; printed(): string; until(text: string): Promise<void> }

/** `make demo`, in a session of its own, so that Ctrl-C and kill -9 meet all of it. */
function demo(env: Record<string, string> = {}): Running {
  const child = spawn('make', ['demo'], {
    cwd: clone, detached: true, stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...without(process.env, /^(?:TEKAI_|NODE_OPTIONS$|JEST_|REPO$|ARGS$|MAKE)/), ...env },
  });
  running.add(child);
  let text = '';
  let look = () => {};
  const take = (piece: Buffer) => { text += piece.toString('utf8'); look(); };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  const ended = once(child, 'close').then(([code, signal]: unknown[]) => { running.delete(child); look(); return (code ?? signal) as number | string; });
  return {
    child, ended, printed: () => text,
    until: (wanted) => new Promise((resolve, reject) => {
      look = () => {
        if (text.includes(wanted)) resolve();
        else if (child.exitCode !== null || child.signalCode !== null) reject(new Error(`the demo ended without "${wanted}":\n${text}`));
      };
      look();
    }),
  };
}

const kill = ({ pid }: ChildProcess, signal: NodeJS.Signals) => process.kill(-(pid ?? 0), signal);

function without(env: NodeJS.ProcessEnv, names: RegExp): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.test(name)));
}

async function listen(): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, '0.0.0.0');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

async function freePort(): Promise<number> {
  const { server, port } = await listen();
  server.close();
  await once(server, 'close');
  return port;
}

const ROAD = ['push answered', 'delivery received', 'codebase.fetched', 'codebase.scanned', 'codebase.stored', 'file readable', 'WebSocket message'];

test('a demo shows the road, can be tried by the commands it prints, and one that was killed does not hinder the next', async () => {
  const taken = await listen();
  const ports = { TEKAI_PORT: String(taken.port), TEKAI_INTERNAL_PORT: String(await freePort()) };
  const first = demo(ports);
  await first.until('Ctrl-C ends the demo');
  taken.server.close();

  expect(first.printed()).toContain(`Port ${taken.port} is taken by another program`);
  expect(first.printed()).toContain('this project\'s own history, 1 commits');
  expect(first.printed()).toMatch(/codebase\.stored {2}main at [0-9a-f]{10}, verified, [\d,]+ objects? added/);
  const times = Object.fromEntries([...first.printed().matchAll(/^ {2}\+ *(\d+) ms {2}(\S+(?: \S+)?) {2}/gm)].map(([, ms, what]) => [what ?? '', Number(ms)]));
  expect(Object.keys(times).sort()).toEqual([...ROAD].sort());
  const inOrder = ['delivery received', 'codebase.fetched', 'codebase.scanned', 'codebase.stored', 'file readable'].map((what) => times[what] ?? Number.NaN);
  expect(inOrder).toEqual([...inOrder].sort((a, b) => a - b));

  const commands = first.printed().split('Try next')[1]?.split('\n').map((line) => line.trim()).filter((line) => /^(?:tekai(?!\s+tail)|curl|git clone)/.test(line)) ?? [];
  expect(commands).toHaveLength(6);
  const tried = await execute('bash', ['-euc', commands.join('\n')], { cwd: parent, env: { PATH: process.env['PATH'], GIT_AUTHOR_NAME: 'x', GIT_AUTHOR_EMAIL: 'x@x', GIT_COMMITTER_NAME: 'x', GIT_COMMITTER_EMAIL: 'x@x' } });
  expect(tried.stdout).toContain('root/context-engine');
  expect(tried.stdout).toContain('# Hello from the demo');
  expect(tried.stdout).toContain('"codebases":[');

  const engine = (await kept()).programs.find(({ name }) => name === 'engine');
  // An engine that is slow to end: the kernel closes its pipe, but it does not get to see it yet.
  process.kill(engine?.pid ?? 0, 'SIGSTOP');
  kill(first.child, 'SIGKILL');
  await first.ended;
  const second = demo({ ...ports, ARGS: '--once' });
  await second.until(`waiting for what it left: engine (process ${engine?.pid})`);
  process.kill(engine?.pid ?? 0, 'SIGCONT');
  expect({ code: await second.ended, printed: second.printed() }).toEqual({ code: 0, printed: expect.stringContaining('WebSocket message') as string });
  expect(second.printed()).toContain('root/context-engine-2');
  expect(await programsLeft()).toEqual([]);
}, SHOW_MS_MAX);

test('a demo that cannot come about says why, and fails', async () => {
  const nothing = demo({ REPO: '/no such folder', ARGS: '--once', TEKAI_PORT: String(await freePort()), TEKAI_INTERNAL_PORT: String(await freePort()) });
  expect(await nothing.ended).toBe(2); // make's own, for a recipe that failed.
  expect(nothing.printed()).toContain('REPO=/no such folder cannot be shown: there is no git repository');
  expect(await programsLeft()).toEqual([]);
}, SHOW_MS_MAX);

test('Ctrl-C ends all that was started', async () => {
  const one = demo({ TEKAI_PORT: String(await freePort()), TEKAI_INTERNAL_PORT: String(await freePort()) });
  await one.until('The first sync');
  kill(one.child, 'SIGINT');
  await one.ended;
  expect(one.printed()).toContain('Stopping');
  expect(await programsLeft()).toEqual([]);
}, SHOW_MS_MAX);

async function kept(): Promise<{ programs: { name: string; pid: number }[] }> {
  return JSON.parse(await readFile(path.join(clone, '.tekai/demo/demo.json'), 'utf8')) as { programs: { name: string; pid: number }[] };
}

/** Programs of a demo in the clone that are still there. */
async function programsLeft(): Promise<string[]> {
  const { programs } = await kept();
  return [...programs.map(({ name }) => name), ...(await commandLines()).filter((line) => line.includes(`${clone}/`))];
}

/** `<pid> <command line>` of every process. */
async function commandLines(): Promise<string[]> {
  const { stdout } = await execute('ps', ['-eo', 'pid,args']).catch(() => ({ stdout: '' }));
  return stdout.split('\n').map((line) => line.trim());
}
