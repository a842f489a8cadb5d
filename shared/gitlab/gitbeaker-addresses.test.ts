import type { LookupAddress } from 'node:dns';
import { createAddressGuard } from '#shared/addresses/address-guard.ts';
import { startForwardProxy } from '#tests/harness/forward-proxy.ts';
import { THIS_MACHINE } from '#tests/harness/this-machine.ts';
import { createGitbeakerGitLab } from './gitbeaker-gitlab.ts';
import type { GitLabAccess } from './gitlab.ts';
import { say, startScriptedServer, type Script, type ScriptedServer } from './scripted-server.contract.ts';
import type { Unreachable } from './unreachable.ts';

const VERSION = { version: '18.0.0', revision: 'x' };
const HERE = { address: '127.0.0.1', family: 4 };

describe('where a GitLab may be', () => {
  const servers: ScriptedServer[] = [];
  const serve = async (script: Script = (response) => say(response, 200, VERSION)) => {
    const server = await startScriptedServer(script);
    servers.push(server);
    return server;
  };
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.stop())));

  const portOf = ({ url }: ScriptedServer) => new URL(url).port;
  const ask = (more: Partial<GitLabAccess> & { baseUrl: string }, addresses = THIS_MACHINE) =>
    createGitbeakerGitLab({ token: 'glpat-canary', caPem: undefined, proxyUrl: undefined, ...more }, { addresses, sleep: async () => undefined }).version();
  const refusalOf = (promise: Promise<unknown>) => promise.then((value) => { throw new Error(`it was let through: ${JSON.stringify(value)}`); }, (error: unknown) => error as Unreachable);
  /** Every name leads where this says, one answer after the other; the last stays. */
  const naming = (allowed: readonly string[], ...answers: LookupAddress[][]) => {
    const asked: string[] = [];
    return { asked, guard: createAddressGuard({ allowed, resolve: async (host) => { asked.push(host); return (answers.length > 1 ? answers.shift() : answers[0]) ?? []; } }) };
  };

  test('it is connected to at the address that was judged, and DNS is not asked again', async () => {
    const server = await serve();
    const { asked, guard } = naming(['127.0.0.0/8'], [HERE], [{ address: '169.254.169.254', family: 4 }]);
    expect(await ask({ baseUrl: `http://gitlab.nowhere.invalid:${portOf(server)}` }, guard)).toEqual({ kind: 'ok', value: '18.0.0' });
    expect([asked, server.heard.length]).toEqual([['gitlab.nowhere.invalid'], 1]);
  });

  test('a name that leads elsewhere at the next connection is judged again', async () => {
    const server = await serve((response) => say(response, 200, VERSION, { connection: 'close' }));
    const { guard } = naming(['127.0.0.1'], [HERE], [{ address: '127.0.0.2', family: 4 }]);
    const gitlab = createGitbeakerGitLab({ baseUrl: `http://gitlab.nowhere.invalid:${portOf(server)}`, token: 't', caPem: undefined, proxyUrl: undefined }, { addresses: guard, sleep: async () => undefined });
    expect(await gitlab.version()).toMatchObject({ kind: 'ok' });
    expect(await refusalOf(gitlab.version())).toMatchObject({ obstacle: 'address' });
    expect(server.heard).toHaveLength(1);
  });

  test.each(['2130706433', '0x7f000001', '0177.0.0.1', '127.1', '[::ffff:127.0.0.1]', '127.0.0.1'])('http://%s is this machine, to which nothing goes without leave', async (host) => {
    const server = await serve();
    const { guard } = naming([]);
    const refusal = await refusalOf(ask({ baseUrl: `http://${host}:${portOf(server)}`, allowAddresses: ['10.0.0.0/8'] }, guard));
    expect(refusal).toMatchObject({ obstacle: 'address', message: expect.stringContaining('TEKAI_ALLOW_ADDRESSES') as string });
    expect(server.heard).toEqual([]);
  });

  test('what is private is gone to where the source allows it', async () => {
    const refusal = await refusalOf(ask({ baseUrl: 'http://10.255.255.1:9' }));
    expect([refusal.obstacle, refusal.message]).toEqual(['address', expect.stringContaining('"allowAddresses": ["10.0.0.0/8"]')]);
    const server = await serve();
    const { guard } = naming([], [HERE]);
    // Nothing private answers here: that it is tried is seen by how it fails.
    expect((await refusalOf(ask({ baseUrl: `http://gitlab.nowhere.invalid:${portOf(server)}`, allowAddresses: ['10.0.0.0/8'] }, guard))).obstacle).toBe('address');
    const tried = createGitbeakerGitLab({ baseUrl: 'http://10.255.255.1:9', token: 't', caPem: undefined, proxyUrl: undefined, allowAddresses: ['10.0.0.0/8'] }, { bounds: { connectMs: 50, triesMax: 1 } });
    expect((await refusalOf(tried.version())).obstacle).not.toBe('address');
  });

  test.each([
    ['the metadata of a cloud', 'http://169.254.169.254/latest/meta-data/', []],
    ['the same in IPv6', 'http://[::ffff:a9fe:a9fe]/latest/meta-data/', []],
    ['a private address', 'http://10.0.0.7/', []],
    ['a name that leads to one', 'http://inside.invalid/', [{ address: '10.0.0.7', family: 4 }]],
  ])('a redirect to %s is not followed', async (_what, location, leadsTo) => {
    const server = await serve((response) => { response.writeHead(302, { location }); response.end(); });
    const { guard } = naming(['127.0.0.0/8'], leadsTo);
    expect(await refusalOf(ask({ baseUrl: server.url }, guard))).toMatchObject({ obstacle: 'address' });
    expect(server.heard).toHaveLength(1);
  });

  test('a redirect to another origin that is allowed gets no credential', async () => {
    const other = await serve();
    const server = await serve((response) => { response.writeHead(302, { location: `http://elsewhere.invalid:${portOf(other)}/api/v4/metadata` }); response.end(); });
    const { guard } = naming(['127.0.0.0/8'], [HERE]);
    expect(await ask({ baseUrl: server.url }, guard)).toMatchObject({ kind: 'ok' });
    expect(server.heard[0]?.headers.authorization).toBe('Bearer glpat-canary');
    expect(other.heard.map(({ headers }) => [headers.authorization, headers['private-token']])).toEqual([[undefined, undefined]]);
  });

  test('a proxy is judged too; through it, addresses are, and names are its own to look up', async () => {
    const server = await serve();
    const proxy = await startForwardProxy({ hosts: { 'gitlab.inside': { host: '127.0.0.1', port: Number(portOf(server)) } } });
    try {
      const baseUrl = `http://gitlab.inside:${portOf(server)}`;
      const nothing = naming([], [HERE]);
      for (const host of ['127.0.0.1', 'proxy.invalid', '2130706433']) {
        expect(await refusalOf(ask({ baseUrl, proxyUrl: `http://${host}:${proxy.port}` }, nothing.guard))).toMatchObject({ obstacle: 'address' });
      }
      expect(await refusalOf(ask({ baseUrl: 'http://169.254.169.254/', proxyUrl: proxy.url }))).toMatchObject({ obstacle: 'address' });
      expect(proxy.passed).toEqual([]);
      const { asked, guard } = naming(['127.0.0.0/8'], [HERE]);
      expect(await ask({ baseUrl, proxyUrl: `http://proxy.invalid:${proxy.port}` }, guard)).toMatchObject({ kind: 'ok' });
      expect([asked, proxy.passed.length]).toEqual([['proxy.invalid'], 1]);
    } finally {
      await proxy.stop();
    }
  });
});
