import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { median, quantile, shownTimes } from './figures.ts';
import type { Measure } from './main.ts';
import { ask, inWorld, untilHead, type World } from './world.ts';

const FILES = 100_000;
const FOLDERS = 1_000;
const CHANGED = 500;
/** Requests under way together; as many keep-alive connections. */
const AT_ONCE = 32;
const SLOT_MS = 2_000;
/** Ours and the empty handler take turns, so that whatever else the machine does hits both. */
const ROUNDS = 5;

/** Reading from a codebase of 100,000 files, against an Express handler that answers nothing, asked by the same client. */
export function benchRead(): Promise<Measure[]> {
  return inWorld(async (world) => {
    const { codebase, commits } = await storeCodebase(world);
    const empty = spawn(process.execPath, [path.join(import.meta.dirname, 'empty-handler.js')], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [port] = (await once(createInterface({ input: empty.stdout }), 'line')) as [string];
    try {
      return await measure(world, { codebase, commits, emptyUrl: `http://127.0.0.1:${port}` });
    } finally {
      empty.kill();
    }
  });
}

async function measure(world: World, { codebase, commits: [before, after], emptyUrl }: { codebase: string; commits: readonly [string, string]; emptyUrl: string }): Promise<Measure[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const asked = (url: string) => get(agent, url, world.token);
  let n = 0;
  // A stride that meets every folder, so that nothing is warm because it was asked for a moment ago.
  const fileUrl = () => { n = (n + 7_919) % FILES; return `${world.url}/v1/codebases/${codebase}/files/${pathOf(n)}`; };
  const changesUrl = () => `${world.url}/v1/codebases/${codebase}/changes?from=${before}&to=${after}&limit=1000`;

  // Warm: what a process reads in its first seconds is the price of starting, not of a file.
  await slot(() => asked(fileUrl()), { atOnce: AT_ONCE, ms: 2 * SLOT_MS });
  const alone = await slot(() => asked(fileUrl()), { atOnce: 1, ms: SLOT_MS });
  const changes = await slot(() => asked(changesUrl()), { atOnce: 1, ms: SLOT_MS });
  const [files, nothing]: [Slot[], Slot[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    nothing.push(await slot(() => asked(emptyUrl), { atOnce: AT_ONCE, ms: SLOT_MS }));
    files.push(await slot(() => asked(fileUrl()), { atOnce: AT_ONCE, ms: SLOT_MS }));
  }
  agent.destroy();
  const all = files.flatMap((one) => one.tookMs);
  const [ours, reference] = [median(files.map(perSecond)), median(nothing.map(perSecond))];
  return [
    { name: `file of ${FILES}, one at a time`, ours: shownTimes(alone.tookMs), reference: 'goal 20 ms', ratio: quantile(alone.tookMs, 0.95) / 20, goal: '≤ 1' },
    { name: `file of ${FILES}, ${AT_ONCE} at once`, ours: shownTimes(all), reference: 'goal 20 ms', ratio: quantile(all, 0.95) / 20, goal: '≤ 1' },
    { name: 'files a second', ours: `${Math.round(ours)}/s`, reference: `empty Express handler ${Math.round(reference)}/s`, ratio: ours / reference, goal: '≥ 0.5' },
    { name: `changes, ${CHANGED} of ${FILES}`, ours: shownTimes(changes.tookMs), reference: 'goal 100 ms', ratio: quantile(changes.tookMs, 0.95) / 100, goal: '≤ 1' },
  ];
}

interface Slot { readonly tookMs: readonly number[]; readonly ms: number }

async function slot(step: () => Promise<void>, { atOnce, ms }: { atOnce: number; ms: number }): Promise<Slot> {
  const tookMs: number[] = [];
  const began = performance.now();
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (performance.now() - began < ms) {
      const sent = performance.now();
      await step();
      tookMs.push(performance.now() - sent);
    }
  }));
  return { tookMs, ms: performance.now() - began };
}

/** node:http and not fetch, which takes more of the processor than what is measured. */
function get(agent: Agent, url: string, token: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent, headers: { authorization: `Bearer ${token}` } }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`GET ${url}: ${response.statusCode}`));
      response.resume();
      response.once('end', resolve);
      response.once('error', reject);
    });
    sent.once('error', reject);
    sent.end();
  });
}

/** One fast-import: 100,000 files by hand would take minutes. */
async function storeCodebase(world: World): Promise<{ codebase: string; commits: [string, string] }> {
  const made = await fetch(`${world.gitlab.url}/api/v4/projects`, { method: 'POST', headers: { 'PRIVATE-TOKEN': world.gitlab.token, 'content-type': 'application/json' }, body: JSON.stringify({ name: 'read', path: 'read' }) });
  if (!made.ok) throw new Error(`the simulator made no project: ${made.status} ${await made.text()}`);
  const git = (args: readonly string[], input?: string) => execFileSync('git', args, { cwd: path.join(world.folder), env: { ...process.env, GIT_DIR: path.join(world.folder, 'read.git'), GIT_CONFIG_GLOBAL: '/dev/null' }, ...(input === undefined ? {} : { input }) }).toString().trim();
  git(['init', '-q', '--bare', '-b', 'main']);
  const entry = (n: number, word: string) => { const content = `export const ${word}${n} = ${n};\n`.repeat(1 + n % 40); return `M 100644 inline ${pathOf(n)}\ndata ${content.length}\n${content}\n`; };
  const commit = (time: number, entries: readonly string[]) => `commit refs/heads/main\ncommitter Ann <a@b> ${time} +0000\ndata 1\nx\n${entries.join('')}`;
  git(['fast-import', '--quiet'], commit(1_700_000_000, Array.from({ length: FILES }, (_, n) => entry(n, 'value'))));
  const remote = `http://x:${world.gitlab.token}@${world.gitlab.url.slice('http://'.length)}/root/read.git`;
  git(['push', '-q', remote, 'main']);
  const before = git(['rev-parse', 'main']);
  const source = await ask<{ id: string }>(world, 'POST', '/v1/sources', { baseUrl: world.gitlab.url, token: world.gitlab.token });
  const { id } = await ask<{ id: string }>(world, 'POST', '/v1/codebases', { sourceId: source.id, gitlabProject: 'root/read' });
  await untilHead(world, id, before);
  git(['fast-import', '--quiet'], commit(1_700_000_001, ['from refs/heads/main^0\n', ...Array.from({ length: CHANGED }, (_, n) => entry(n * 199, 'changed'))]));
  git(['push', '-q', remote, 'main']);
  const after = git(['rev-parse', 'main']);
  await untilHead(world, id, after);
  return { codebase: id, commits: [before, after] };
}

const pathOf = (n: number) => `src/d${n % FOLDERS}/f${n}.ts`;
const perSecond = ({ tookMs, ms }: Slot) => tookMs.length / (ms / 1_000);
