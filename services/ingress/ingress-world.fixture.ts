import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BEGINNING, type SourceId } from '#schemas/brand.ts';
import { codebaseIdOf, codebaseStream } from '#schemas/ids.ts';
import type { EventLog, Recorded } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createTokenAccess } from '#shared/runtime/access.ts';
import { createHttpDoor } from '#shared/runtime/http-door.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { NO_TRACING, type Tracing } from '#shared/runtime/tracing.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { createMemorySecretVault } from '#shared/secrets/memory-secret-vault.ts';
import type { WebhookSecrets } from '#shared/sources/source-directory.ts';
import { start } from './service.ts';

export const SOURCE = randomUUID() as SourceId;
export const TOKEN = 'a-webhook-token-of-some-length';
export const SIGNING = `whsec_${randomBytes(32).toString('base64')}`;
const logger = createLogger('silent');
const metrics = createMetrics();

export interface World {
  url: string;
  log: EventLog;
  /** Rows given to the deliveries table. */
  bodies: Map<string, Buffer>;
  away: { log: boolean | 'silent'; database: boolean };
  /** The webhook tokens that are good, as the database has them. */
  change(tokens: readonly string[]): void;
  deliver(body: Buffer | string, headers?: Record<string, string>, source?: string): Promise<{ status: number; body: any }>;
  facts(): Promise<Recorded[]>;
  restart(options?: { spoolBytesMax?: number; tracing?: Tracing }): Promise<void>;
  stop(): Promise<void>;
}

/** Ingress behind a real door, over a log and a database that can be taken away. */
export async function ingress({ spoolBytesMax = 1 << 30 } = {}): Promise<World> {
  const memory = createMemoryEventLog();
  const away: World['away'] = { log: false, database: false };
  const check = async () => {
    if (away.log === 'silent') await sleep(60_000, undefined, { ref: false });
    if (away.log === true) throw new Unavailable('event log', 'away');
  };
  const log: EventLog = { ...memory, append: async (...args) => { await check(); return memory.append(...args); }, readStream: async (...args) => { await check(); return memory.readStream(...args); } };
  const bodies = new Map<string, Buffer>();
  const query = (async (sql: string, values: readonly unknown[] = []) => {
    if (away.database) throw new Unavailable('database', 'away');
    if (sql.includes('insert into deliveries')) (values[0] as string[]).forEach((id, n) => bodies.has(id) || bodies.set(id, (values[4] as Buffer[])[n] ?? Buffer.alloc(0)));
    return [];
  }) as never;
  let secrets: WebhookSecrets = { tokens: [TOKEN], signingTokens: [SIGNING] };
  const sources = { webhookSecrets: async (id: string) => { if (away.database) throw new Unavailable('database', 'away'); return id === SOURCE ? secrets : undefined; } } as never;
  const spoolDirectory = await mkdtemp(path.join(tmpdir(), 'tekai-spool-'));
  const registered = newFact({
    type: 'codebase.registered', key: 'c', actor: { kind: 'token', id: 't' }, correlationId: 'x', causationId: null, time: new Date(),
    data: { codebaseId: codebaseIdOf(SOURCE, 15 as never), sourceId: SOURCE, gitlabProjectId: 15 as never, path: 'a/b', followed: { branches: ['*'], tags: [] }, command: { id: 'x', digest: '0'.repeat(64) } },
  });
  await memory.append(codebaseStream(codebaseIdOf(SOURCE, 15 as never)), 'noStream', [registered]);

  let running: { stop(): Promise<void> } | undefined;
  const world: World = {
    url: '', log: memory, bodies, away,
    async restart(options = {}) {
      await running?.stop();
      const door = createHttpDoor({ logger, host: '127.0.0.1' });
      const service = await start(
        { log, query, sources, store: { codebases: async () => [], haveHooksSecrets: async () => true }, checks: { keep: async () => undefined, askAgain: async () => undefined }, vault: createMemorySecretVault(), openGitLab: () => { throw new Error('not asked'); }, bus: { redrive: async () => 0 }, people: { user: async () => undefined }, door, access: createTokenAccess('access'), logger, metrics, tracing: options.tracing ?? NO_TRACING, now: () => new Date(), sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined) },
        { spoolDirectory, spoolBytesMax: options.spoolBytesMax ?? spoolBytesMax, publicUrl: 'http://here' });
      world.url = `http://127.0.0.1:${await door.listen(0)}`;
      running = { stop: async () => { await door.close(); await service.stop(); } };
    },
    change: (tokens) => { secrets = { ...secrets, tokens }; },
    async deliver(body, headers = { 'x-gitlab-token': TOKEN }, source = SOURCE) {
      const response = await fetch(`${world.url}/webhooks/gitlab/${source}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: body as string });
      const text = await response.text();
      return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
    },
    async facts() {
      const found: Recorded[] = [];
      for await (const batch of memory.subscribe({ after: BEGINNING, prefixes: ['delivery-', 'command-'], signal: AbortSignal.timeout(5_000) })) {
        found.push(...batch.facts);
        if (batch.isCaughtUp) break;
      }
      return found;
    },
    stop: async () => { await running?.stop(); },
  };
  await world.restart();
  return world;
}

export const sign = (body: Buffer | string, { id = randomUUID() as string, at = Math.floor(Date.now() / 1_000), secret = SIGNING } = {}) => ({
  'webhook-id': id, 'webhook-timestamp': String(at),
  'webhook-signature': `v1,${createHmac('sha256', Buffer.from(secret.slice(6), 'base64')).update(`${id}.${at}.`).update(body).digest('base64')}`,
});

export const push = (more: object = {}) => JSON.stringify({ object_kind: 'push', event_name: 'push', project_id: 15, ref: 'refs/heads/main', before: '1'.repeat(40), after: '2'.repeat(40), ...more });

export async function refusedCount(): Promise<number> {
  return (await metrics.deliveries.get()).values.find((value) => value.labels.outcome === 'refused')?.value ?? 0;
}
