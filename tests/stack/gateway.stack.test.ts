import { execFile } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { WebSocket } from 'ws';
import type { ServerFrame } from '#schemas/live/frames.ts';
import { startNginx, type NginxOptions } from '../../infra/servers/nginx.ts';
import { behindGateway } from '../../infra/stack/gateway.ts';
import { freePort, type RunningServer } from '../../infra/servers/server.ts';
import { startEngineProcess, temporaryFolder, type EngineProcess } from '../harness/engine-process.ts';
import { makeAuthority } from '../harness/private-authority.ts';
import { makeRepository, type Repository } from '../harness/repository.ts';
import { expectSameAsGit } from '../harness/same-as-git.ts';
import { startSystem, until, untilStored, type Answer, type System } from '../harness/system.ts';
import { describeWith } from './stack-test.ts';

const MAIN = 'refs/heads/main';
const SECRET = 'a-token-of-my-own';
const DELIVERY_BYTES_MAX = 25 * 1_048_576;
const BYTES = Buffer.from([0x64, 0x2f, 0xe9, 0xff, 0x25, 0x2b, 0x20]);

describeWith('TEKAI_TEST_NGINX', 'services, each a process of its own, behind nginx', () => {
  let folder: { path: string; remove(): Promise<void> };
  let system: System;
  let notifier: EngineProcess;
  let readers: EngineProcess[];
  let worker: EngineProcess;
  let services: NginxOptions['services'];
  let gateway: RunningServer;
  /** As anybody outside sees it. */
  let outside: System;
  let repository: Repository;
  let codebase: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const port = await freePort();
    const settings = behindGateway(`http://127.0.0.1:${port}`);
    system = await startSystem({ services: ['ingress'], settings, webhookToken: SECRET });
    const start = (...names: string[]) => startEngineProcess({ settings: { ...system.stores, ...settings }, names });
    [worker, notifier, ...readers] = await Promise.all([start('identity', 'scheduler', 'fetcher', 'scanner', 'storage-writer', 'projector'), start('notifier'), start('query-api'), start('query-api')]) as [EngineProcess, EngineProcess, ...EngineProcess[]];
    for (const one of [worker, notifier, ...readers]) await one.untilReady();
    services = { ingress: [hostOf(system)], 'query-api': readers.map(hostOf), notifier: [hostOf(notifier)], identity: [hostOf(worker)] };
    gateway = await startNginx({ directory: path.join(folder.path, 'nginx'), port, services });
    outside = { ...system, url: gateway.url, ask: (method, where, options) => ask(gateway.url, { method, where, ...options }) };

    repository = await makeRepository();
    const first = repository.commit('main', [{ path: 'a', content: 'one\n' }, { path: BYTES, content: 'bytes\n' }, { path: 'é 100%25/+&?#;', content: 'signs\n' }]);
    const { id } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'app', import: repository.dir });
    repository.git('remote', 'add', 'origin', system.gitlab.remote('root/app'));
    codebase = (await outside.ask('POST', '/v1/codebases', { body: { sourceId: await system.sourceId(), gitlabProject: id } })).json<{ id: string }>().id;
    await untilStored(outside, codebase, MAIN, first);
  }, 300_000);
  afterAll(async () => {
    await gateway?.stop();
    for (const one of [...readers, notifier, worker]) await one.stop();
    await system.stop();
    await folder.remove();
  }, 60_000);

  async function ask(base: string, { method, where, body, raw, headers = {} }: { method: string; where: string; body?: unknown; raw?: Buffer; headers?: Record<string, string> }): Promise<Answer> {
    const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(`${base}${where}`, { method, headers: { authorization: `Bearer ${system.token}`, 'content-type': 'application/json', 'idempotency-key': randomUUID(), ...headers }, ...(payload === undefined ? {} : { body: payload as string }) });
    const bytes = Buffer.from(await response.arrayBuffer());
    return { status: response.status, headers: response.headers, bytes, json: <T>() => JSON.parse(bytes.toString()) as T };
  }

  const push = (text: string) => {
    const commit = repository.commit('main', [{ path: 'a', content: text }]);
    repository.git('push', '-q', 'origin', 'main');
    return commit;
  };

  test('every address that a process serves leads to it', async () => {
    const doors = { ingress: system.url, identity: worker.url, notifier: notifier.url, 'query-api': readers[0]?.url ?? '' };
    const namers = await Promise.all(Object.keys(doors).map(async (name) => {
      const server = createServer((_request, response) => response.end(name)).listen(0, '127.0.0.1');
      await once(server, 'listening');
      return { name, server, address: `127.0.0.1:${(server.address() as AddressInfo).port}` };
    }));
    const named = await startNginx({ directory: path.join(folder.path, 'named'), services: Object.fromEntries(namers.map(({ name, address }) => [name, [address]])) as unknown as NginxOptions['services'] });
    try {
      for (const [name, url] of Object.entries(doors)) {
        const { see } = await (await fetch(url)).json() as { see: string[] };
        // What each process has is somebody's: the tests below say whose.
        const own = see.map((one) => one.split(' ')).filter(([, where = '']) => !/^\/(?:livez|readyz|version)?$/.test(where));
        expect(own.length).toBeGreaterThan(5);
        const led = await Promise.all(own.map(async ([method = '', where = '']) => `${method} ${where} ${await (await fetch(`${named.url}${where.replace(/\{\w+\}/g, 'x')}`, { method: method === 'WS' ? 'GET' : method })).text()}`));
        expect(led).toEqual(own.map((one) => [...one, name].join(' ')));
      }
    } finally {
      await named.stop();
      for (const { server } of namers) server.close();
    }
  });

  test('each address leads to the service that has it', async () => {
    const source = await system.sourceId();
    const has = async (method: string, where: string, options = {}) => (await outside.ask(method, where, options)).status;
    expect(await has('GET', `/v1/sources/${source}`)).toBe(200);
    expect(await has('GET', `/v1/sources/${source}/gitlab/projects?limit=1`)).toBe(200);
    expect(await has('POST', '/v1/projects', { body: { name: 'one' } })).toBe(201);
    expect(await has('POST', `/v1/codebases/${codebase}/files:batch`, { body: { paths: ['a'] } })).toBe(200);
    expect(await has('POST', '/v1/followers', { body: { name: 'index', codebases: [codebase] } })).toBe(201);
    expect(await has('GET', '/v1/followers/index/snapshot')).toBe(200);
    expect(await has('GET', '/readyz')).toBe(200);
    expect(await has('GET', '/v1/users')).toBe(200);
    expect((await outside.ask('GET', '/version')).json()).toMatchObject({ services: ['query-api'] });
    expect((await outside.ask('GET', '/nowhere')).json()).toMatchObject({ status: 404, code: 'no-such-address' });
  });

  test('paths come through byte for byte, also what is no UTF-8, and what would mean something to others', async () => {
    const commit = repository.git('rev-parse', 'main');
    expect(await expectSameAsGit(outside, codebase, { repository, commit, at: commit })).toBe(3);
    // Neither cleaned nor escaped anew.
    expect((await outside.ask('GET', `/v1/codebases/${codebase}/files/d//%e9%FF%25+%20`)).bytes.toString()).toBe('bytes\n');
  });

  test('a webhook of 25 MiB is taken; one byte more is refused in our shape, as is a command that is too large', async () => {
    const webhookUrl = `/webhooks/gitlab/${await system.sourceId()}`;
    const headers = { 'x-gitlab-token': SECRET, 'x-gitlab-event': 'Push Hook' };
    const largest = Buffer.alloc(DELIVERY_BYTES_MAX, ' ');
    largest.write('{"object_kind":"push"}');
    expect((await outside.ask('POST', webhookUrl, { raw: largest, headers })).status).toBe(202);
    const refused = await declared(webhookUrl, DELIVERY_BYTES_MAX + 1, headers);
    expect(refused).toMatchObject({ status: 413, type: 'application/problem+json', problem: { status: 413, code: 'body-too-large' } });
    expect(await declared('/v1/projects', 1_048_577, {})).toMatchObject({ status: 413, problem: { code: 'body-too-large' } });
  });

  /** Says how large its body is, and waits to hear of it. */
  async function declared(where: string, bytes: number, headers: Record<string, string>) {
    const sent = httpRequest({ host: '127.0.0.1', port: gateway.port, method: 'POST', path: where, headers: { ...headers, 'content-length': bytes } });
    sent.on('error', () => undefined);
    sent.flushHeaders();
    const [response] = (await once(sent, 'response')) as [AsyncIterable<Buffer> & { statusCode?: number; headers: Record<string, string> }];
    let body = '';
    for await (const piece of response) body += piece.toString();
    sent.destroy();
    return { status: response.statusCode, type: response.headers['content-type'], problem: JSON.parse(body) as object };
  }

  test('a push is told as it comes: by WebSocket, by server-sent events, and by a long poll that waited', async () => {
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/live`, { headers: { authorization: `Bearer ${system.token}` } });
    const frames: ServerFrame[] = [];
    socket.on('message', (message: Buffer) => frames.push(JSON.parse(message.toString()) as ServerFrame));
    await once(socket, 'open');
    socket.send(JSON.stringify({ op: 'subscribe', ch: `codebase:${codebase}` }));
    const cut = new AbortController();
    let streamed = '';
    const stream = await fetch(`${gateway.url}/v1/live?ch=codebase:${codebase}`, { headers: { authorization: `Bearer ${system.token}` }, signal: cut.signal });
    void (async () => { for await (const piece of stream.body as unknown as AsyncIterable<Uint8Array>) streamed += Buffer.from(piece).toString(); })().catch(() => undefined);
    await until('both are subscribed', () => frames.some(({ op }) => op === 'subscribed') && streamed.includes('event: subscribed'));

    const wanted = repository.commit('main', [{ path: 'a', content: 'two\n' }]);
    const waiting = outside.ask('GET', `/v1/codebases/${codebase}/files/a?atLeast=${wanted}&wait=30s`);
    repository.git('push', '-q', 'origin', 'main');
    expect((await waiting).bytes.toString()).toBe('two\n');
    await until('the socket was told', () => frames.some((frame) => frame.op === 'pub' && JSON.stringify(frame).includes(wanted)));
    await until('the stream was told, while it stays open', () => streamed.includes(wanted));
    cut.abort();
    socket.terminate();
  });

  test('the smoke test, which CI runs on docker-compose.yml, passes', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['infra/docker/smoke.mjs'], {
      env: { ...process.env, URL: gateway.url, TEKAI_TOKEN: system.token, SIMULATOR_URL: system.gitlab.url, SIMULATOR_ADMIN_TOKEN: system.gitlab.adminToken, SIMULATOR_ROOT_TOKEN: system.gitlab.token },
    });
    expect(stdout).toMatch(/^registered, and read after \d+ ms\npushed, and read after \d+ ms\n$/);
  });

  test('of two that answer questions one may die; without a notifier live feeds are 503 in our shape, and pushes are taken as ever', async () => {
    readers[0]?.child.kill('SIGKILL');
    notifier.child.kill('SIGKILL');
    for (let count = 0; count < 10; count += 1) expect((await outside.ask('GET', '/v1/codebases')).status).toBe(200);
    const away = await outside.ask('GET', `/v1/live?ch=all`);
    expect([away.status, away.headers.get('retry-after'), away.headers.get('content-type')]).toEqual([503, '2', 'application/problem+json']);
    expect(away.json()).toMatchObject({ status: 503, code: 'dependency-away', detail: expect.stringContaining('notifier') as string, instance: away.headers.get('x-request-id') });
    const commit = push('three\n');
    expect((await outside.ask('GET', `/v1/codebases/${codebase}/files/a?atLeast=${commit}&wait=30s`)).bytes.toString()).toBe('three\n');
  });

  test('an address that asks too often is told so, and its webhooks are taken all the same', async () => {
    const limited = await startNginx({ directory: path.join(folder.path, 'limited'), services, limit: { perSecond: 1, burst: 3 } });
    try {
      const asked = (method: string, where: string, headers = {}) => ask(limited.url, { method, where, headers });
      const refused = await until('it is too often', async () => { const answer = await asked('GET', '/v1/codebases'); return answer.status === 429 && answer; });
      expect([refused.headers.get('retry-after'), refused.json<{ code: string }>().code]).toEqual(['1', 'quota-exceeded']);
      for (let count = 0; count < 20; count += 1) expect((await asked('POST', `/webhooks/gitlab/${await system.sourceId()}`, { 'x-gitlab-token': SECRET })).status).toBe(202);
    } finally {
      await limited.stop();
    }
  });

  test('who tries to sign in too often is counted by their own address, whatever they say it is; others are not kept out', async () => {
    /** Each address of this machine is a client of its own. @returns the answer's status */
    const signIn = async (localAddress: string, said: string) => {
      const sent = httpRequest({ host: '127.0.0.1', port: gateway.port, method: 'POST', path: '/v1/auth/refresh', localAddress, headers: { 'content-type': 'application/json', 'x-forwarded-for': said } });
      sent.end(JSON.stringify({ refreshToken: 'made-up' }));
      const [response] = (await once(sent, 'response')) as [{ statusCode?: number; resume(): void }];
      response.resume();
      return response.statusCode;
    };
    await until('it is too often', async () => (await signIn('127.0.0.2', `198.51.100.${randomInt(256)}`)) === 429);
    expect(await signIn('127.0.0.3', '127.0.0.2')).toBe(401);
  });

  test('with a certificate it speaks TLS, and every answer says so to browsers, those that are its own too; without one none does', async () => {
    const authority = makeAuthority(folder.path);
    const secure = await startNginx({ directory: path.join(folder.path, 'secure'), services, tls: authority.server('127.0.0.1') });
    try {
      const told = async (method: string, where: string, headers: Record<string, string> = {}) => {
        const sent = httpsRequest({ host: '127.0.0.1', port: secure.port, method, path: where, headers, ca: authority.certPem });
        sent.end();
        const [response] = (await once(sent, 'response')) as [{ statusCode?: number; headers: Record<string, string | undefined>; resume(): void }];
        response.resume();
        return [response.statusCode, response.headers['strict-transport-security']];
      };
      const twoYears = 'max-age=63072000; includeSubDomains';
      expect(await told('GET', '/version')).toEqual([200, twoYears]);
      // Of a service that refuses, and of the gateway itself, also where it names headers of its own.
      expect(await told('GET', '/v1/sources')).toEqual([401, twoYears]);
      expect(await told('GET', '/v1/%00')).toEqual([400, twoYears]);
      expect((await fetch(`${gateway.url}/version`)).headers.get('strict-transport-security')).toBeNull();
      expect((await fetch(`${gateway.url}/v1/%00`)).headers.get('strict-transport-security')).toBeNull();
    } finally {
      await secure.stop();
    }
  });
});

const hostOf = ({ url }: { url: string }) => new URL(url).host;
