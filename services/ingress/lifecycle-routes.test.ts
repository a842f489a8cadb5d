import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BEGINNING, type GitLabProjectId, type SourceId } from '#schemas/brand.ts';
import { codebaseIdOf, codebaseStream } from '#schemas/ids.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createTokenAccess, type Access } from '#shared/runtime/access.ts';
import { createHttpDoor } from '#shared/runtime/http-door.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { NO_TRACING } from '#shared/runtime/tracing.ts';
import { createMemorySecretVault } from '#shared/secrets/memory-secret-vault.ts';
import { start } from './service.ts';

const SOURCE = randomUUID() as SourceId;
const CODEBASE = codebaseIdOf(SOURCE, 15 as GitLabProjectId);
const logger = createLogger('silent');

const [ANN, BEA, CAM] = [randomUUID(), randomUUID(), randomUUID()] as [string, string, string];
const engine = createTokenAccess('access');
/** Ann signs in as well; who may do what is the guard's, which is not here. */
const access: Access = { ...engine, principalOf: async (token) => (token === 'ann' ? { actor: { kind: 'user', id: ANN }, isSystemAdmin: false, scope: 'admin', credential: { kind: 'session', id: ANN, expiresAt: undefined } } : engine.principalOf(token)) };
const people = { user: async (named: string) => (named === 'bea' || named === BEA ? { userId: BEA, isSystemAdmin: false } : [ANN, CAM].includes(named) ? { userId: named, isSystemAdmin: false } : undefined) };

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
    { log, query, sources, checks: { keep: async () => undefined, askAgain: async () => undefined }, store: { codebases: async () => [], haveHooksSecrets: async () => true }, vault: createMemorySecretVault(), openGitLab: () => { throw new Error('not asked'); }, bus: { redrive: async () => 0 }, people, door, access, logger, metrics: createMetrics(), tracing: NO_TRACING, now: () => new Date(), sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined) },
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
  ['PUT', `/v1/projects/${P}/members/${ANN}`, { role: 'admin' }], ['DELETE', `/v1/projects/${P}/members/${ANN}`],
  ['PATCH', `/v1/codebases/${CODEBASE}`, { followed: { branches: ['x'], tags: [] } }], ['POST', `/v1/codebases/${CODEBASE}/archive`], ['POST', `/v1/codebases/${CODEBASE}/restore`], ['DELETE', `/v1/codebases/${CODEBASE}`],
  ['PATCH', `/v1/sources/${SOURCE}`, { name: 'x' }], ['DELETE', `/v1/sources/${SOURCE}`], ['POST', `/v1/sources/${SOURCE}/rotate-secret`],
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

describe('people of a project', () => {
  const asAnn = () => ({ ...key(), 'if-match': '*', authorization: 'Bearer ann' });
  const created = async () => (await send('POST', '/v1/projects', { ...key(), authorization: 'Bearer ann' }, { name: 'Shop' })).body.id as string;
  const told = async () => (await facts()).filter(({ type }) => type.startsWith('project.member')).map(({ type, actor, data }) => ({ type, by: actor.id, user: (data as { userId: string }).userId, role: (data as { role?: string }).role }));

  test('who creates it is its admin from the first fact on, and cannot leave it without one', async () => {
    const id = await created();
    expect((await facts()).filter(({ type }) => type === 'project.created').map(({ actor }) => actor)).toEqual([{ kind: 'user', id: ANN }]);
    for (const answer of [await send('DELETE', `/v1/projects/${id}/members/${ANN}`, asAnn()), await send('PUT', `/v1/projects/${id}/members/${ANN}`, asAnn(), { role: 'member' })]) {
      expect(answer).toMatchObject({ status: 409, body: { code: 'last-admin' } });
    }
    expect((await send('PUT', `/v1/projects/${id}/members/bea`, asAnn(), { role: 'admin' })).status).toBe(200);
    expect((await send('DELETE', `/v1/projects/${id}/members/${ANN}`, asAnn())).status).toBe(200);
    expect(await told()).toEqual([{ type: 'project.member-added', by: ANN, user: BEA, role: 'admin' }, { type: 'project.member-removed', by: ANN, user: ANN, role: undefined }]);
    expect(await send('DELETE', `/v1/projects/${id}/members/${BEA}`, asAnn())).toMatchObject({ status: 409, body: { code: 'last-admin' } });
  });

  test('somebody is added, is something else, and is removed, each as one fact, however often it is said (I2)', async () => {
    const id = await created();
    const at = `/v1/projects/${id}/members/${CAM}`;
    const [adding, removing] = [asAnn(), asAnn()];
    for (let time = 0; time < 2; time += 1) expect(await send('PUT', at, adding, { role: 'member' })).toMatchObject({ status: 200, body: { id, revision: 1 } });
    expect((await send('PUT', at, asAnn(), { role: 'member' })).body.revision).toBe(1);
    expect((await send('PUT', at, asAnn(), { role: 'admin' })).body.revision).toBe(2);
    for (let time = 0; time < 2; time += 1) expect((await send('DELETE', at, removing)).body.revision).toBe(3);
    expect((await send('DELETE', at, asAnn())).body.revision).toBe(3);
    expect((await told()).map(({ type, role }) => [type, role])).toEqual([['project.member-added', 'member'], ['project.member-changed', 'admin'], ['project.member-removed', undefined]]);
  });

  test('who cannot sign in is added to nothing; whoever leaves with two admins at the same time leaves one', async () => {
    const id = await created();
    expect(await send('PUT', `/v1/projects/${id}/members/nobody`, asAnn(), { role: 'member' })).toMatchObject({ status: 422, body: { code: 'user-unknown' } });
    expect(await send('PUT', `/v1/projects/${id}/members/bea`, asAnn(), { role: 'owner' })).toMatchObject({ status: 422, body: { code: 'body-invalid' } });
    await send('PUT', `/v1/projects/${id}/members/bea`, asAnn(), { role: 'admin' });
    const answers = await Promise.all([ANN, BEA].map((one) => send('DELETE', `/v1/projects/${id}/members/${one}`, asAnn())));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
  });
});

describe('who reads a codebase of a project', () => {
  const asAnn = () => ({ ...key(), 'if-match': '*', authorization: 'Bearer ann' });
  const told = async () => (await facts()).filter(({ type }) => type.startsWith('project.reading')).map(({ type, actor, key: of, data }) => ({ type, by: actor.id, of, codebase: (data as { codebaseId: string }).codebaseId }));

  test('an admin of the project says so, with their name on it, once however often it is said; what is not in the project is not given (I2)', async () => {
    const id = (await send('POST', '/v1/projects', { ...key(), authorization: 'Bearer ann' }, { name: 'Shop' })).body.id as string;
    const at = `/v1/projects/${id}/codebases/${CODEBASE}`;
    expect(await send('PUT', `${at}/readers`, asAnn())).toMatchObject({ status: 409, body: { code: 'codebase-not-in-project' } });
    // Of none that there is, the same is told: an admin of a project is not told which there are.
    expect(await send('PUT', `/v1/projects/${id}/codebases/${randomUUID()}/readers`, asAnn())).toMatchObject({ status: 409, body: { code: 'codebase-not-in-project' } });
    await send('PUT', at, asAnn());
    const giving = asAnn();
    for (let time = 0; time < 2; time += 1) expect(await send('PUT', `${at}/readers`, giving)).toMatchObject({ status: 200, body: { id, revision: 2 } });
    expect((await send('PUT', `${at}/readers`, asAnn())).body.revision).toBe(2);
    expect((await send('DELETE', `${at}/readers`, asAnn())).body.revision).toBe(3);
    expect((await send('DELETE', `${at}/readers`, asAnn())).body.revision).toBe(3);
    expect(await told()).toEqual(['given', 'taken'].map((what) => ({ type: `project.reading-${what}`, by: ANN, of: id, codebase: CODEBASE })));
  });

  test('a codebase that left the project and came back is read by nobody until somebody says so again', async () => {
    const id = (await send('POST', '/v1/projects', { ...key(), authorization: 'Bearer ann' }, { name: 'Shop' })).body.id as string;
    const at = `/v1/projects/${id}/codebases/${CODEBASE}`;
    for (const [method, where] of [['PUT', at], ['PUT', `${at}/readers`], ['DELETE', at], ['PUT', at], ['PUT', `${at}/readers`]] as const) expect((await send(method, where, asAnn())).status).toBe(200);
    expect((await told()).map(({ type }) => type)).toEqual(['project.reading-given', 'project.reading-given']);
  });
});

test('who reads the open projects of a source is one of two words, and said of a source that is there', async () => {
  const at = `/v1/sources/${SOURCE}/open-projects`;
  expect(await send('PUT', at, { ...key(), 'if-match': '*' }, { readBy: 'everybody' })).toMatchObject({ status: 422, body: { code: 'body-invalid' } });
  expect(await send('PUT', at, { ...key(), 'if-match': '*' }, { readBy: 'signed-in' })).toMatchObject({ status: 404, body: { code: 'source-unknown' } });
});
