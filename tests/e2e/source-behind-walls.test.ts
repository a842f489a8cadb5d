import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startSimulator, type Simulator } from '../../infra/gitlab-simulator/server.ts';
import { startForwardProxy, type ForwardProxy } from '../harness/forward-proxy.ts';
import { hasOpenssl, makeAuthority, type Certified, type PrivateAuthority } from '../harness/private-authority.ts';
import { makeRepository } from '../harness/repository.ts';
import { eventsOf, startSystem, untilStored, until, type System } from '../harness/system.ts';

/** A name that no DNS knows (RFC 6761): who comes, came by the proxy. */
const HOST = 'gitlab.behind-walls.invalid';
const CREDENTIALS = { user: 'user', password: 'p@ss-canary' };
const MAIN = 'refs/heads/main';

(hasOpenssl ? describe : describe.skip)('a GitLab behind a private authority, a client certificate and a proxy (needs openssl)', () => {
  let folder: string;
  let authority: PrivateAuthority;
  let client: Certified;
  let simulator: Simulator;
  let proxy: ForwardProxy;
  let system: System;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'tekai-walls-'));
    authority = makeAuthority(folder);
    client = authority.client('tekai');
    const { certFile, keyFile } = authority.server(HOST);
    simulator = await startSimulator({ port: 0, dir: path.join(folder, 'gitlab'), tls: { certFile, keyFile, clientCaFile: authority.certFile } });
    proxy = await startForwardProxy({ credentials: CREDENTIALS, hosts: { [HOST]: { host: '127.0.0.1', port: Number(new URL(simulator.url).port) } } });
    system = await startSystem();
  });
  afterAll(async () => {
    await system.stop();
    await proxy.stop();
    await simulator.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const baseUrl = () => `https://${HOST}:${new URL(simulator.url).port}`;
  const body = () => ({
    baseUrl: baseUrl(), token: simulator.token, caPem: authority.certPem, clientCertPem: client.certPem, clientKeyPem: client.keyPem, proxyUrl: proxy.url,
  });
  const check = async (change: object) => (await system.ask('POST', '/v1/source-checks', { body: { ...body(), ...change } })).json<{ state: string; detail: string; advice: { code: string }[] }>();

  test('is told apart by what is missing: each with its own advice', async () => {
    const stranger = makeAuthority(folder, 'stranger');
    const nobody = stranger.client('nobody');
    const rows: [string, object, string][] = [
      ['no proxy', { proxyUrl: undefined }, 'name-not-found'],
      ['a proxy that wants a login', { proxyUrl: `http://127.0.0.1:${proxy.port}` }, 'proxy-login'],
      ['a proxy login that is wrong', { proxyUrl: `http://user:wrong@127.0.0.1:${proxy.port}` }, 'proxy-login'],
      ['a proxy that does not know the host', { baseUrl: 'https://elsewhere.invalid' }, 'proxy-failed'],
      ['a proxy that is not there', { proxyUrl: 'http://127.0.0.1:9' }, 'proxy-failed'],
      ['no authority', { caPem: undefined }, 'tls-authority-unknown'],
      ['another authority', { caPem: stranger.certPem }, 'tls-authority-unknown'],
      ['no client certificate', { clientCertPem: undefined, clientKeyPem: undefined }, 'connection-cut'],
      ['a client certificate of another authority', { clientCertPem: nobody.certPem, clientKeyPem: nobody.keyPem }, 'connection-cut'],
    ];
    const got: [string, string, string | undefined][] = [];
    for (const [what, change] of rows) {
      const { state, advice } = await check(change);
      got.push([what, state, advice[0]?.code]);
    }
    expect(got).toEqual(rows.map(([what, , code]) => [what, 'unreachable', code]));
    expect(await check({})).toMatchObject({ state: 'ok' });
  });

  test('a certificate that cannot be meant is refused before anybody is asked', async () => {
    const asked = proxy.passed.length;
    const other = authority.client('other');
    for (const [change, pointer] of [
      [{ caPem: 'nonsense' }, '/caPem'], [{ clientKeyPem: undefined }, '/clientKeyPem'], [{ clientCertPem: undefined }, '/clientCertPem'],
      [{ clientKeyPem: other.keyPem }, '/clientKeyPem'], [{ clientKeyPem: 'canary-key' }, '/clientKeyPem'], [{ baseUrl: `https://root:canary@${HOST}` }, '/baseUrl'],
    ] as const) {
      const answer = await system.ask('POST', '/v1/source-checks', { body: { ...body(), ...change } });
      expect([answer.status, answer.json<{ errors: { pointer: string }[] }>().errors[0]?.pointer]).toEqual([422, pointer]);
      expect(answer.bytes.toString()).not.toContain('canary');
    }
    expect(proxy.passed.length).toBe(asked);
  });

  test('syncs by REST and git, with all three, and nothing goes around the proxy', async () => {
    // The name leads nowhere but by the proxy: whatever went around it would have failed.
    const repository = await makeRepository();
    const first = repository.commit('main', [{ path: 'a', content: 'behind walls' }]);
    const seed = await adminOf(simulator, authority, client);
    const { id } = await seed<{ id: number }>('POST', '/projects', { path: 'walled', import: repository.dir });

    const registered = await system.ask('POST', '/v1/sources', { body: body() });
    expect(registered.status).toBe(201);
    const source = registered.json<{ id: string }>().id;
    const codebase = (await system.ask('POST', '/v1/codebases', { body: { sourceId: source, gitlabProject: id } })).json<{ id: string }>().id;
    await untilStored(system, codebase, MAIN, first);
    expect((await system.ask('GET', `/v1/codebases/${codebase}/files/a`)).bytes.toString()).toBe('behind walls');

    const tunnels = proxy.passed.filter(({ status }) => status === 200).map(({ method, target }) => `${method} ${target}`);
    expect(new Set(tunnels)).toEqual(new Set([`CONNECT ${HOST}:${new URL(simulator.url).port}`]));
    expect(proxy.agents.some((agent) => agent.startsWith('git/'))).toBe(true);
    expect(proxy.agents.some((agent) => !agent.startsWith('git/'))).toBe(true);
  });

  test('its key lies where only we can read it, and no secret is in a fact, a log line or an answer (I9)', async () => {
    const caches = path.join(system.stateDir, 'git-caches');
    const files = readdirSync(caches).filter((name) => name.startsWith('client-'));
    expect(files.filter((name) => name.endsWith('.key.pem'))).toHaveLength(1);
    for (const name of files) expect((statSync(path.join(caches, name)).mode & 0o777).toString(8)).toBe('600');
    expect(readFileSync(path.join(caches, files.find((name) => name.endsWith('.key.pem'))!), 'utf8')).toBe(client.keyPem);

    const told = [system.log(), JSON.stringify(await eventsOf(system, '')), (await system.ask('GET', '/v1/sources')).bytes.toString()];
    const keyLine = client.keyPem.split('\n')[1]!;
    for (const text of told) for (const secret of [simulator.token, 'ss-canary', keyLine]) expect(text).not.toContain(secret);
    const sources = (await system.ask('GET', '/v1/sources')).json<{ sources: { baseUrl: string; token: object; check: object }[] }>().sources;
    expect(sources.find((one) => one.baseUrl === baseUrl())).toMatchObject({
      token: { lastFour: simulator.token.slice(-4), kind: 'personal', scopes: expect.arrayContaining(['api']), expiresAt: null, checkedAt: expect.any(String) }, check: { state: 'ok' },
    });
  });

  test('another client certificate is taken once GitLab takes it, with its key, or with the key that is known; the one in use stays when it does not', async () => {
    const source = (await system.ask('GET', '/v1/sources')).json<{ sources: { id: string; baseUrl: string }[] }>().sources.find((one) => one.baseUrl === baseUrl())!.id;
    const change = (given: object) => system.ask('PATCH', `/v1/sources/${source}`, { body: given, headers: { 'if-match': '*' } });
    const stateNow = async () => (await system.ask('GET', `/v1/sources/${source}/check`)).json<{ state: string }>().state;
    const [renewed, nobody] = [authority.client('renewed'), makeAuthority(folder, 'strangers-too').client('nobody')];
    const pairOf = ({ certPem, keyPem }: Certified) => ({ clientCertPem: certPem, clientKeyPem: keyPem });
    for (const [given, code, pointer] of [
      [pairOf(nobody), 'source-unreachable', '/clientCertPem'], [{ clientCertPem: null }, 'source-unreachable', '/clientCertPem'], [{ caPem: null }, 'source-unreachable', '/caPem'], [{ proxyUrl: null }, 'source-unreachable', '/baseUrl'],
      [{ clientCertPem: renewed.certPem }, 'body-invalid', '/clientKeyPem'], [{ clientCertPem: null, clientKeyPem: renewed.keyPem }, 'body-invalid', '/clientCertPem'],
    ] as const) {
      const answer = await change(given);
      expect([Object.keys(given), answer.status, answer.json()]).toMatchObject([Object.keys(given), 422, { code, errors: [{ pointer }] }]);
    }
    expect(await stateNow()).toBe('ok');
    const changed = await change(pairOf(renewed));
    expect([changed.status, changed.json()]).toMatchObject([200, { changed: ['client'] }]);
    // What is in use already is no change: no fact, and GitLab is not asked.
    expect((await change({ ...pairOf(renewed), caPem: authority.certPem, proxyUrl: proxy.url })).json()).toMatchObject({ changed: [] });
    expect(await stateNow()).toBe('ok');
    // As it was, for what follows.
    expect((await change({ ...pairOf(client), acceptUnreachable: true })).status).toBe(200);
  });

  test('after a restart of the engine it syncs again: the key comes from the vault', async () => {
    await system.kill();
    await system.startEngine();
    const source = (await system.ask('GET', '/v1/sources')).json<{ sources: { id: string; baseUrl: string }[] }>().sources.find((one) => one.baseUrl === baseUrl())!.id;
    expect((await system.ask('GET', `/v1/sources/${source}/check`)).json()).toMatchObject({ state: 'ok' });
    await until('the projects are listed', async () => (await system.ask('GET', `/v1/sources/${source}/gitlab/projects`)).status === 200);
  });
});

/** Speaks to the simulator's admin door as a test may: directly, with a certificate. */
async function adminOf(simulator: Simulator, authority: PrivateAuthority, client: Certified) {
  const { Agent, request } = await import('undici');
  const dispatcher = new Agent({ connect: { ca: authority.certPem, cert: client.certPem, key: client.keyPem, servername: HOST } });
  return async <T>(method: 'POST', where: string, body: object): Promise<T> => {
    const answer = await request(`${simulator.url}/_simulator${where}`, { method, dispatcher, headers: { 'x-simulator-token': simulator.adminToken, 'content-type': 'application/json' }, body: JSON.stringify(body) });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${where}: ${answer.statusCode} ${text}`);
    return JSON.parse(text) as T;
  };
}
