import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSimulator } from '../infra/gitlab-simulator/server.ts';
import { freePort } from '../infra/servers/server.ts';
import { diskKiB, memoryKiB } from './processes.ts';

// What so many repositories cost: disk, memory, and requests of GitLab. By hand, since it takes minutes:
// node --conditions=source --import ./tests/harness/ts-loader.mjs bench/sizing.ts <repositories> [files each] [commits each]

const [repositories, files, commits] = [Number(process.argv[2] ?? '10'), Number(process.argv[3] ?? '200'), Number(process.argv[4] ?? '20')];
const ROOT = path.resolve(import.meta.dirname, '..');
const LOADER = ['--conditions=source', '--import', path.join(ROOT, 'tests/harness/ts-loader.mjs')];
/** Longer, and something is wrong. */
const SYNCS_MS_MAX = 1_800_000;
/** Written often enough in sources that a pack is neither random nor all alike. */
const WORDS = 'const return await import from export function class public string number value index length result error request response project source commit branch object'.split(' ');

const folder = mkdtempSync(path.join(tmpdir(), 'tekai-sizing-'));
// The account of Postgres must get in, or its files would lie elsewhere, uncounted.
chmodSync(folder, 0o755);
const stateDir = path.join(folder, 'state');
const simulator = await startSimulator({ port: 0, dir: path.join(folder, 'gitlab') });
const [port, internalPort] = [await freePort(), await freePort()];
const engine = spawn(process.execPath, [...LOADER, path.join(ROOT, 'services/main.ts'), 'up'], { cwd: folder, stdio: 'ignore', env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TEKAI_STATE_DIR: stateDir, TEKAI_PORT: String(port), TEKAI_INTERNAL_PORT: String(internalPort), TEKAI_LOG_LEVEL: 'warn', TEKAI_ALLOW_ADDRESSES: '127.0.0.0/8,::1/128' } });
try {
  await until(async () => (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok === true);
  const idle = { disk: diskKiB(stateDir), memory: memoryKiB(engine.pid ?? 0) };
  for (let at = 0; at < repositories; at += 1) await admin('POST', '/projects', { path: `p-${at}`, import: makeRepository(at) });
  const inGitLab = diskKiB(path.join(folder, 'gitlab', 'repositories'));
  await admin('DELETE', '/requests');

  const began = performance.now();
  const { id } = await ask('POST', '/v1/sources', { baseUrl: simulator.url, token: simulator.token }) as { id: string };
  let peak = 0;
  for (let at = 0; at < repositories; at += 1) await ask('POST', '/v1/codebases', { sourceId: id, gitlabProject: `root/p-${at}` });
  await until(async () => {
    peak = Math.max(peak, memoryKiB(engine.pid ?? 0));
    const { codebases } = await ask('GET', '/v1/codebases?limit=1000') as { codebases: { lastObservedAt: string | null }[] };
    return codebases.length >= Math.min(repositories, 1_000) && codebases.every(({ lastObservedAt }) => lastObservedAt !== null);
  });
  const seconds = (performance.now() - began) / 1_000;
  const { count, bytesOut } = await admin('GET', '/requests') as { count: number; bytesOut: number };
  const now = { disk: diskKiB(stateDir), memory: memoryKiB(engine.pid ?? 0) };
  const each = (total: number) => (total / repositories).toFixed(1);
  process.stdout.write([
    `${repositories} repositories of ${files} files and ${commits} commits, ${each(inGitLab)} KiB each in GitLab`,
    `first syncs           ${seconds.toFixed(0)} s, ${each(seconds * 1_000)} ms each`,
    `disk                  ${each(now.disk - idle.disk)} KiB each, beside ${Math.round(idle.disk / 1_024)} MiB of an empty engine`,
    `  packs               ${each(diskKiB(path.join(stateDir, 'blobs')))} KiB each; database ${each(diskKiB(path.join(stateDir, 'postgres')))} KiB each`,
    ...execFileSync('du', ['-sk', ...execFileSync('ls', [stateDir]).toString().trim().split('\n').map((name) => path.join(stateDir, name))]).toString().trim().split('\n').map((line) => `    ${line.replace(stateDir, '')}`),
    `memory                ${Math.round(idle.memory / 1_024)} MiB empty, ${Math.round(peak / 1_024)} MiB at most, ${Math.round(now.memory / 1_024)} MiB after (engine with its Postgres, shared pages counted once)`,
    `requests of GitLab    ${each(count)} each, ${each(bytesOut / 1_024)} KiB each`, '',
  ].join('\n'));
} finally {
  engine.kill('SIGTERM');
  await once(engine, 'exit');
  await simulator.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

function makeRepository(seed: number): string {
  const work = path.join(folder, 'work', String(seed));
  mkdirSync(path.join(work, 'src'), { recursive: true });
  let state = seed + 1;
  const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  const text = () => Array.from({ length: 100 }, () => Array.from({ length: 6 }, () => `${WORDS[Math.floor(random() * WORDS.length)]}${random() < 0.2 ? Math.floor(random() * 1_000) : ''}`).join(' ')).join('\n');
  const git = (...args: string[]) => execFileSync('git', ['-C', work, '-c', 'user.name=T', '-c', 'user.email=t@example.com', ...args], { stdio: 'ignore' });
  git('init', '-q', '-b', 'main');
  for (let at = 0; at < files; at += 1) {
    mkdirSync(path.join(work, 'src', `f${at % 20}`), { recursive: true });
    writeFileSync(path.join(work, 'src', `f${at % 20}`, `file-${at}.ts`), text());
  }
  for (let at = 0; at < commits; at += 1) {
    writeFileSync(path.join(work, 'src', 'f0', 'file-0.ts'), text());
    git('add', '-A');
    git('commit', '-q', '-m', `commit ${at}`);
  }
  git('gc', '-q');
  return work;
}

async function admin(method: string, where: string, body?: object): Promise<unknown> {
  return call(`${simulator.url}/_simulator${where}`, { method, headers: { 'x-simulator-token': simulator.adminToken }, body });
}

async function ask(method: string, where: string, body?: object): Promise<unknown> {
  const token = readFileSync(path.join(stateDir, 'access-token'), 'utf8').trim();
  return call(`http://127.0.0.1:${port}${where}`, { method, headers: { authorization: `Bearer ${token}`, 'idempotency-key': crypto.randomUUID() }, body });
}

async function call(url: string, { method, headers, body }: { method: string; headers: Record<string, string>; body: object | undefined }): Promise<unknown> {
  const response = await fetch(url, { method, headers: { ...headers, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

async function until(look: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + SYNCS_MS_MAX; performance.now() < end; await sleep(500)) if (await look()) return;
  throw new Error('waited in vain');
}
