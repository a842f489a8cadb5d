import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BEGINNING, type GitLabProjectId, type SourceId } from '#schemas/brand.ts';
import { codebaseIdOf, codebaseStream } from '#schemas/ids.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createTokenAccess } from '#shared/runtime/access.ts';
import { createHttpDoor } from '#shared/runtime/http-door.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { createMemorySecretVault } from '#shared/secrets/memory-secret-vault.ts';
import { start } from './service.ts';

const SOURCE = randomUUID() as SourceId;
const CODEBASE = codebaseIdOf(SOURCE, 15 as GitLabProjectId);
const logger = createLogger('silent');

let url: string;
let facts: () => Promise<Recorded[]>;
let stop: () => Promise<void>;

beforeEach(async () => {
  const log = createMemoryEventLog();
  await log.append(codebaseStream(CODEBASE), 'noStream', [newFact({
    type: 'codebase.registered', key: CODEBASE, actor: { kind: 'token', id: 't' }, correlationId: 'x', causationId: null, time: new Date(),
    data: { codebaseId: CODEBASE, sourceId: SOURCE, gitlabProjectId: 15 as GitLabProjectId, path: 'a/b', followed: { branches: ['*'], tags: [] }, command: { id: 'x', digest: '0'.repeat(64) } },
  })]);
  const keys = new Map<string, string>();
  const query = (async (sql: string, values: string[] = []) => {
    if (!sql.includes('command_keys')) return [];
    const [owner, key, digest] = values as [string, string, string];
    keys.set(`${owner} ${key}`, keys.get(`${owner} ${key}`) ?? digest);
    return [{ digest: keys.get(`${owner} ${key}`) }];
  }) as never;
  const sources = { webhookSecrets: async () => ({ tokens: ['a-webhook-token'], signingTokens: [] }), settings: async () => ({}) } as never;
  const spoolDirectory = await mkdtemp(path.join(tmpdir(), 'tekai-spool-'));
  const door = createHttpDoor({ logger, host: '127.0.0.1' });
  const service = await start(
    { log, query, sources, checks: { keep: async () => undefined, askAgain: async () => undefined }, store: { codebases: async () => [] }, vault: createMemorySecretVault(), openGitLab: () => { throw new Error('not asked'); }, bus: { redrive: async () => 0 }, door, access: createTokenAccess('access'), logger, metrics: createMetrics(), now: () => new Date(), sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined) },
    { spoolDirectory, spoolBytesMax: 1 << 20, publicUrl: 'http://here' });
  url = `http://127.0.0.1:${await door.listen(0)}`;
  facts = async () => {
    for await (const batch of log.subscribe({ after: BEGINNING, prefixes: [], signal: AbortSignal.timeout(5_000) })) return [...batch.facts];
    return [];
  };
  stop = async () => { await door.close(); await service.stop(); await rm(spoolDirectory, { recursive: true, force: true }); };
});
afterEach(async () => { await stop(); });

async function send(method: string, where: string, headers: Record<string, string> = {}, body?: object) {
  const response = await fetch(`${url}${where}`, { method, headers: { authorization: 'Bearer access', 'content-type': 'application/json', ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await response.text();
  return { status: response.status, etag: response.headers.get('etag'), body: text === '' ? undefined : JSON.parse(text) };
}
const key = () => ({ 'idempotency-key': randomUUID() });

const P = randomUUID();
const ROUTES: [string, string, object | undefined][] = ([
  ['PATCH', `/v1/projects/${P}`, { name: 'x' }], ['POST', `/v1/projects/${P}/archive`], ['POST', `/v1/projects/${P}/restore`], ['DELETE', `/v1/projects/${P}`],
  ['PUT', `/v1/projects/${P}/codebases/${CODEBASE}`], ['DELETE', `/v1/projects/${P}/codebases/${CODEBASE}`],
  ['PATCH', `/v1/codebases/${CODEBASE}`, { followed: { branches: ['x'], tags: [] } }], ['POST', `/v1/codebases/${CODEBASE}/archive`], ['POST', `/v1/codebases/${CODEBASE}/restore`], ['DELETE', `/v1/codebases/${CODEBASE}`],
  ['PATCH', `/v1/sources/${SOURCE}`, { name: 'x' }], ['DELETE', `/v1/sources/${SOURCE}`],
] as [string, string, object?][]).map(([method, where, body]) => [method, where, body]);

test.each(ROUTES)('%s %s wants a token, an Idempotency-Key, an If-Match of ours, and a body that it takes; else nothing happens', async (method, where, body) => {
  const before = (await facts()).length;
  const codeOf = async (headers: Record<string, string>, given: object | undefined = body) => { const answer = await send(method, where, headers, given); return [answer.status, answer.body.code]; };
  expect(await codeOf({ ...key(), 'if-match': '*', authorization: 'Bearer nobody' })).toEqual([401, 'not-authenticated']);
  expect(await codeOf({ 'if-match': '*' })).toEqual([400, 'idempotency-key-missing']);
  expect(await codeOf(key())).toEqual([428, 'if-match-missing']);
  for (const tag of ['W/"0"', '0', '"x"', '"0", "1"', '""']) expect([tag, ...(await codeOf({ ...key(), 'if-match': tag }))]).toEqual([tag, 412, 'changed-meanwhile']);
  expect(await codeOf({ ...key(), 'if-match': '*' }, { nonsense: 1 })).toEqual([422, 'body-invalid']);
  expect((await facts()).length).toBe(before);
});

test('ids that are none are 404', async () => {
  for (const [what, where] of [['project', '/v1/projects/x'], ['codebase', '/v1/codebases/x'], ['source', '/v1/sources/x']]) {
    expect((await send('DELETE', where ?? '', { ...key(), 'if-match': '*' })).body.code).toBe(`${what}-unknown`);
  }
});

test('each answer carries the ETag for the next; with what a look adds behind the revision too', async () => {
  const at = `/v1/codebases/${CODEBASE}`;
  const archived = await send('POST', `${at}/archive`, { ...key(), 'if-match': '"0.abcDEF-_09"' });
  expect([archived.status, archived.etag, archived.body]).toEqual([200, '"1"', { id: CODEBASE, state: 'archived', followed: { branches: ['*'], tags: [] }, revision: 1, cause: null, syncs: null, undoUntil: null }]);
  const same = await send('POST', `${at}/archive`, { ...key(), 'if-match': '"1"' });
  expect([same.status, same.etag]).toEqual([200, '"1"']);
  const restored = await send('POST', `${at}/restore`, { ...key(), 'if-match': archived.etag ?? '' });
  expect(restored.body).toMatchObject({ state: 'active', revision: 2, syncs: `/v1/syncs?cause=${restored.body.cause}` });
  expect((await facts()).map(({ type }) => type)).toEqual(['codebase.registered', 'codebase.archived', 'codebase.restored']);
});

test('a push to a removed codebase is ignored, with the reason; restored, the next one is taken at once', async () => {
  const at = `/v1/codebases/${CODEBASE}`;
  const deliver = () => fetch(`${url}/webhooks/gitlab/${SOURCE}`, { method: 'POST', headers: { 'x-gitlab-token': 'a-webhook-token' }, body: JSON.stringify({ object_kind: 'push', project_id: 15, ref: 'refs/heads/main' }) });
  await deliver();
  expect((await facts()).at(-1)).toMatchObject({ type: 'push.received' });
  await send('DELETE', at, { ...key(), 'if-match': '*' });
  expect((await deliver()).status).toBe(202);
  expect((await facts()).at(-1)).toMatchObject({ type: 'delivery.ignored', data: { reason: expect.stringContaining('was removed') } });
  await send('POST', `${at}/restore`, { ...key(), 'if-match': '*' });
  await deliver();
  expect((await facts()).at(-1)).toMatchObject({ type: 'push.received', data: { codebaseId: CODEBASE } });
});

test('one key for two things is 422, whatever they are', async () => {
  const one = key();
  expect((await send('POST', '/v1/projects', one, { name: 'a' })).status).toBe(201);
  expect((await send('DELETE', `/v1/codebases/${CODEBASE}`, { ...one, 'if-match': '*' })).body.code).toBe('idempotency-key-reused');
});
