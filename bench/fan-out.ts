import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import type { StreamName } from '#schemas/brand.ts';
import type { Appendable } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createTokenAccess } from '#shared/runtime/access.ts';
import { createHttpDoor } from '#shared/runtime/http-door.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createPositionSignal } from '#shared/runtime/position-signal.ts';
import { NO_TRACING } from '#shared/runtime/tracing.ts';
import { start as startNotifier } from '../services/notifier/service.ts';
import type { Measure } from './main.ts';

const SOCKETS = 1_000;
/** As fast as it goes. */
const BURST_FACTS = 200;
/** One after the other, each 50 ms behind the one before: how late a fact is when there is no rush. */
const PACED_FACTS = 40;
const PACE_MS = 50;
const TOKEN = 'bench';
const READERS = fileURLToPath(new URL(`./fan-out-readers${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));

interface Lags { readonly p50: number; readonly p99: number }
interface Fanned { readonly perSecond: number; readonly perCpuSecond: number; readonly paced: Lags }
interface Side { readonly url: string; tell(): Promise<void>; stop(): Promise<void> }

/** Facts from the log to 1,000 sockets of another process, against a server that does nothing but send a ready buffer to each. */
export async function benchFanOut(): Promise<Measure[]> {
  const reference = await measure(await startReference(), 'reference');
  const ours = await measure(await startOurs(), 'ours');
  const text = ({ perSecond, perCpuSecond }: Fanned) => `${Math.round(perSecond / 1_000)} k/s, ${Math.round(perCpuSecond / 1_000)} k a CPU second`;
  const lag = ({ p50, p99 }: Lags) => `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)} ms`;
  return [
    { name: `fan-out to ${SOCKETS} sockets, deliveries`, ours: text(ours), reference: `a bare send to each ${text(reference)}`, ratio: ours.perCpuSecond / reference.perCpuSecond, goal: '≥ 50 k a CPU second' },
    { name: 'commit → socket, 20 facts/s', ours: lag(ours.paced), reference: `a bare send to each ${lag(reference.paced)}`, ratio: ours.paced.p99 / reference.paced.p99, goal: 'p99 ≤ 250 ms' },
  ];
}

async function measure(side: Side, kind: 'ours' | 'reference'): Promise<Fanned> {
  const readers = fork(READERS, [side.url, TOKEN, String(SOCKETS), kind], { stdio: 'inherit' });
  await once(readers, 'message');
  const paced = await told(readers, PACED_FACTS, async () => { await side.tell(); await sleep(PACE_MS); });
  const [cpu, began] = [process.cpuUsage(), performance.now()];
  await told(readers, BURST_FACTS, side.tell);
  const ms = performance.now() - began;
  const used = process.cpuUsage(cpu);
  readers.kill('SIGTERM');
  await once(readers, 'exit');
  await side.stop();
  const deliveries = BURST_FACTS * SOCKETS;
  return { perSecond: deliveries / (ms / 1_000), perCpuSecond: deliveries / ((used.user + used.system) / 1_000_000), paced };
}

async function told(readers: ChildProcess, facts: number, step: () => Promise<void>): Promise<Lags> {
  const answered = once(readers, 'message');
  for (let count = 0; count < facts; count += 1) await step();
  readers.send(facts);
  const [lags] = await answered as [Lags];
  return lags;
}

const now = () => performance.timeOrigin + performance.now();

function fact(): Appendable {
  return {
    id: randomUUID(), type: 'codebase.stored', schemaVersion: 1, key: randomUUID(), time: new Date().toISOString(), actor: { kind: 'worker', id: 'bench' },
    correlationId: 'bench', causationId: null, data: { syncId: randomUUID(), padding: 'x'.repeat(300), at: now() },
  } as unknown as Appendable;
}

async function startOurs(): Promise<Side> {
  const log = createMemoryEventLog();
  const logger = createLogger('silent');
  const door = createHttpDoor({ logger, host: '127.0.0.1' });
  const store = { position: () => log.head(), facts: async () => [], factsOf: async () => [], members: async () => ({ codebases: [], position: await log.head() }) };
  const service = await startNotifier({
    log, store, door, logger, tracing: NO_TRACING, query: async () => [], bus: { onProgress: () => () => undefined }, projected: createPositionSignal(), access: createTokenAccess(TOKEN), now: () => new Date(),
    // Nobody follows here.
    pool: { query: async () => ({ rows: [] }) }, sleep: (ms: number, signal: AbortSignal) => sleep(ms, undefined, { signal }).catch(() => undefined),
  } as unknown as Parameters<typeof startNotifier>[0]);
  const port = await door.listen(0);
  return {
    url: `ws://127.0.0.1:${port}/v1/live`,
    tell: async () => void (await log.append(`sync-${randomUUID()}` as StreamName, 'noStream', [fact()])),
    stop: async () => { await service.stop(); await door.close(); },
  };
}

async function startReference(): Promise<Side> {
  const http = createServer();
  const server = new WebSocketServer({ server: http, perMessageDeflate: false });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/`,
    async tell() {
      const frame = Buffer.from(JSON.stringify({ op: 'pub', ch: 'all', position: 'x'.repeat(29), previous: 'x'.repeat(29), ...fact() }));
      for (const socket of server.clients) socket.send(frame, { binary: false });
      await new Promise((resolve) => { setImmediate(resolve); });
    },
    stop: async () => { for (const socket of server.clients) socket.terminate(); server.close(); http.close(); await once(http, 'close'); },
  };
}
