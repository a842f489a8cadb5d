import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { programOf } from '../harness/program.ts';
import { makeRepository } from '../harness/repository.ts';
import { startSystem, until, type System } from '../harness/system.ts';

// What the documentation shows is run as it stands there, page after page in one shell, and must say what it promises.

const ROOT = path.resolve(import.meta.dirname, '../..');
const PAGES = ['docs/api.md', 'docs/followers.md'];
const BLOCK_MS_MAX = 60_000;

interface Block { readonly where: string; readonly heading: string; readonly commands: string; readonly promised: string | undefined }

/** Every `sh` block, with the block of another language that follows it directly: its output. */
function blocksOf(page: string): Block[] {
  const text = readFileSync(path.join(ROOT, page), 'utf8');
  return [...text.matchAll(/^```sh\n([^]*?)^```\n(?:```(?:json|text)\n([^]*?)^```\n)?/gm)].map(({ index, 1: commands = '', 2: promised }) => {
    const before = text.slice(0, index);
    return { where: `${page}:${before.split('\n').length}`, heading: before.split(/^## /m).at(-1)?.split('\n')[0] ?? '', commands, promised };
  });
}
const BLOCKS = PAGES.flatMap(blocksOf);

let system: System;
let folder: string;
let shell: ChildProcessWithoutNullStreams;
let isBroken = false;

beforeAll(async () => {
  system = await startSystem({ settings: { TEKAI_POLL_ACTIVE_SECONDS: '3', TEKAI_POLL_IDLE_SECONDS: '3', TEKAI_GITLAB_REQUESTS_PER_MINUTE: '3000' } });
  folder = await mkdtemp(path.join(tmpdir(), 'tekai-docs-'));
  const repository = await makeRepository();
  repository.commit('main', [{ path: 'README.md', content: '# Web\n' }, { path: 'src/index.ts', content: 'export {};\n' }], { message: 'Begin' });
  await system.gitlab.admin('POST', '/groups', { name: 'shop' });
  await system.gitlab.admin('POST', '/projects', { path: 'web', namespace: 'shop', import: repository.dir });
  shell = spawn('bash', ['--noprofile', '--norc'], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'], HOME: folder, GIT_CONFIG_NOSYSTEM: '1', GIT_AUTHOR_NAME: 'Ann', GIT_AUTHOR_EMAIL: 'ann@example.com', GIT_COMMITTER_NAME: 'Ann', GIT_COMMITTER_EMAIL: 'ann@example.com',
      TEKAI_URL: system.url, TEKAI_TOKEN: system.token, GITLAB_URL: system.gitlab.url, GITLAB_TOKEN: system.gitlab.token, REMOTE: system.gitlab.remote('shop/web'),
    },
  });
  shell.stdin.write(`set -eo pipefail\ntekai() { ${[process.execPath, ...programOf('services/main.ts')].map((word) => `'${word}'`).join(' ')} "$@"; }\n`);
});
afterAll(async () => {
  shell.kill('SIGKILL');
  await system.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What must have happened at GitLab when a page speaks of it. */
const BEFORE: Record<string, () => Promise<unknown>> = {
  'A webhook was lost: how do I see it': async () => {
    const codebase = (await system.ask('GET', '/v1/codebases')).json<{ codebases: { id: string }[] }>().codebases[0]?.id;
    await until('the webhook stands', async () => (await system.ask('GET', `/v1/codebases/${codebase}`)).json<{ hook: { state: string } }>().hook.state === 'installed');
    await system.gitlab.admin('POST', '/faults', { kind: 'hook', action: 'drop' });
  },
};

/** @throws when it ends with another code than 0, or does not end. */
async function run(commands: string): Promise<string> {
  const end = `--- ${Math.random()} ---`;
  const file = path.join(folder, '.block');
  await writeFile(file, commands);
  const output: string[] = [];
  const complaints: string[] = [];
  const take = (into: string[]) => (bytes: Buffer) => void into.push(bytes.toString());
  const [onOut, onErr] = [take(output), take(complaints)];
  shell.stdout.on('data', onOut);
  shell.stderr.on('data', onErr);
  try {
    shell.stdin.write(`. '${file}' < /dev/null\nprintf '%s' '${end}'\n`);
    await until('the block has ended', () => output.join('').includes(end) || shell.exitCode !== null, BLOCK_MS_MAX).catch(() => { shell.kill('SIGKILL'); });
    const printed = output.join('');
    if (printed.includes(end)) return printed.slice(0, printed.indexOf(end));
    throw new Error(`It did not end well (code ${shell.exitCode}).\n${printed}\n${complaints.join('')}\n${system.log().slice(-2_000)}`);
  } finally {
    shell.stdout.off('data', onOut);
    shell.stderr.off('data', onErr);
  }
}

/** Spaces and line ends do not count; `…` stands for anything. */
function patternOf(promised: string): RegExp {
  return new RegExp(`^${bare(promised).split('…').map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]*?')}$`);
}
const bare = (text: string) => text.replace(/\s+/g, '');

test.each(BLOCKS)('$where $heading', async ({ heading, commands, promised }) => {
  if (isBroken) throw new Error('A block before this one failed, and this one stands on it.');
  isBroken = true;
  const before = BEFORE[heading];
  delete BEFORE[heading];
  await before?.();
  const printed = await run(commands);
  isBroken = false;
  if (promised !== undefined && !patternOf(promised).test(bare(printed))) expect(printed).toBe(promised);
});

test('the table of routes in docs/api.md is what the engine serves', async () => {
  const [, table = ''] = readFileSync(path.join(ROOT, 'docs/api.md'), 'utf8').split('## Every route');
  const told = table.split('\n').filter((line) => line.startsWith('| `')).flatMap((line) => [...(line.split(/(?<!\\)\|/)[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, route]) => route));
  const { see } = (await system.ask('GET', '/')).json<{ see: string[] }>();
  expect(told.sort()).toEqual([...see].sort());
});
