import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile, shownTimes } from './figures.ts';
import type { Measure } from './main.ts';
import { atRate, deliver, get, SIGNING_TOKEN } from './requests.ts';
import { seedProject } from './repositories.ts';
import { ask, inWorld, registerSource, untilHead, type World } from './world.ts';

const HUGE_FILES = 30_000;
/** All of gitlab.com is 40 pushes a second. */
const RATES = [50, 200] as const;
const IDLE_MS = 5_000;
const FLOOD_MS = 3_000;
const FLOOD_WRITERS = 64;
/** Of reads beside. */
const READS_A_SECOND = 20;

/** How soon a delivery is answered, durable, and a file of another codebase read: idle, and while a first sync runs. */
export function benchAcks(): Promise<Measure[]> {
  return inWorld(async (world) => {
    const source = await registerSource(world, { signingToken: SIGNING_TOKEN });
    const small = await seedProject(world, { name: 'small', files: 1_000, changes: 0 });
    const { id } = await ask<{ id: string }>(world, 'POST', '/v1/codebases', { sourceId: source, gitlabProject: small.project });
    await untilHead(world, id, small.commits[0] ?? '');
    const agent = new Agent({ keepAlive: true, maxSockets: 256 });
    const push = () => deliver(agent, { url: `${world.url}/webhooks/gitlab/${source}`, project: small.project, head: small.commits[0] ?? '' });
    let n = 0;
    const read = () => { n = (n + 7) % 1_000; return get(agent, `${world.url}/v1/codebases/${id}/files/src/d${n % 10}/f${n}.ts`, world.token); };

    await atRate(push, { perSecond: 50, while: sleep(1_000) });
    const measures = [await flood(push, agent)];
    for (const rate of RATES) measures.push(measureOf(`ack at ${rate} deliveries/s, idle`, await atRate(push, { perSecond: rate, while: sleep(IDLE_MS) }), rate === 50 ? 100 : 40));
    for (const rate of RATES) measures.push(...(await duringFirstSync(world, { source, rate, push, read })));
    agent.destroy();
    return measures;
  });
}

interface During { readonly source: string; readonly rate: number; push(): Promise<void>; read(): Promise<void> }

async function duringFirstSync(world: World, { source, rate, push, read }: During): Promise<Measure[]> {
  const huge = await seedProject(world, { name: `huge-beside-${rate}`, files: HUGE_FILES, changes: 0 });
  const { id } = await ask<{ id: string }>(world, 'POST', '/v1/codebases', { sourceId: source, gitlabProject: huge.project });
  const began = performance.now();
  const synced = untilHead(world, id, huge.commits[0] ?? '').then(() => performance.now() - began);
  const [acks, reads, ms] = await Promise.all([atRate(push, { perSecond: rate, while: synced }), atRate(read, { perSecond: READS_A_SECOND, while: synced }), synced]);
  const during = `first sync of ${HUGE_FILES} files (${(ms / 1_000).toFixed(1)} s)`;
  return [
    measureOf(`ack at ${rate} deliveries/s, ${during}`, acks, rate === 50 ? 100 : 40),
    { name: `read of another codebase, ${during}`, ours: shownTimes(reads), reference: 'goal p95 50 ms', ratio: quantile(reads, 0.95) / 50, goal: '≤ 1' },
  ];
}

const measureOf = (name: string, tookMs: readonly number[], goalMs: number): Measure =>
  ({ name, ours: shownTimes(tookMs), reference: `goal p99 ${goalMs} ms`, ratio: quantile(tookMs, 0.99) / goalMs, goal: '≤ 1' });

/** As fast as it goes, in turns with a handler that answers nothing, asked by the same client. */
async function flood(push: () => Promise<void>, agent: Agent): Promise<Measure> {
  const empty = spawn(process.execPath, [path.join(import.meta.dirname, 'empty-handler.js')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(createInterface({ input: empty.stdout }), 'line')) as [string];
  try {
    const nothing = () => get(agent, `http://127.0.0.1:${port}/`, '');
    const rates: [number, number][] = [];
    for (let round = 0; round < 3; round += 1) rates.push([await perSecond(nothing), await perSecond(push)]);
    const [reference, ours] = [quantile(rates.map(([one]) => one), 0.5), quantile(rates.map(([, one]) => one), 0.5)];
    return { name: `acks a second, ${FLOOD_WRITERS} at once`, ours: `${Math.round(ours)}/s`, reference: `empty Express handler ${Math.round(reference)}/s`, ratio: ours / reference, goal: '≥ 1,000/s' };
  } finally {
    empty.kill();
  }
}

async function perSecond(step: () => Promise<void>): Promise<number> {
  let done = 0;
  const began = performance.now();
  await Promise.all(Array.from({ length: FLOOD_WRITERS }, async () => {
    for (; performance.now() - began < FLOOD_MS; done += 1) await step();
  }));
  return done / ((performance.now() - began) / 1_000);
}
