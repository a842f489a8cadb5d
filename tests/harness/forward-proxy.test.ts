import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fetch, ProxyAgent } from 'undici';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { startForwardProxy } from './forward-proxy.ts';

let server: Server;
let port: number;

beforeAll(async () => {
  server = createServer((request, response) => { request.resume(); response.end(`${request.method} ${request.url} for ${request.headers.host} ${request.headers['proxy-authorization'] ?? 'bare'}`); });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => { server.closeAllConnections(); server.close(); });

const curl = async (...words: string[]) => (await promisify(execFile)('git', ['-c', 'core.askPass=true', ...words]).catch((error: { stderr: string }) => ({ stdout: '', stderr: error.stderr }))).stderr;

test('a name that only the proxy knows is reached through it, by tunnel and by whole address, and both are in its log', async () => {
  const proxy = await startForwardProxy({ hosts: { 'gitlab.internal': { host: '127.0.0.1', port } } });
  const dispatcher = new ProxyAgent({ uri: proxy.url, proxyTunnel: true });
  const answer = await fetch('http://gitlab.internal/x?y=1', { dispatcher });
  expect(await answer.text()).toBe('GET /x?y=1 for gitlab.internal bare');
  expect(proxy.passed).toEqual([{ method: 'CONNECT', target: 'gitlab.internal:80', status: 200 }]);
  await dispatcher.close();

  await curl('-c', `http.proxy=${proxy.url}`, 'ls-remote', 'http://gitlab.internal/group/app.git');
  expect(proxy.passed.at(-1)).toEqual({ method: 'GET', target: 'gitlab.internal', status: 200 });
  await proxy.stop();
});

test('a proxy with a password answers 407 without it, and hands none of it on', async () => {
  const proxy = await startForwardProxy({ credentials: { user: 'build', password: 'p@ss' }, hosts: { 'gitlab.internal': { host: '127.0.0.1', port } } });
  const bare = new ProxyAgent({ uri: `http://127.0.0.1:${proxy.port}` });
  await expect(fetch('http://gitlab.internal/', { dispatcher: bare })).rejects.toThrow();
  expect(proxy.passed).toEqual([{ method: 'CONNECT', target: 'gitlab.internal:80', status: 407 }]);
  const known = new ProxyAgent({ uri: proxy.url });
  expect(await (await fetch('http://gitlab.internal/', { dispatcher: known })).text()).toBe('GET / for gitlab.internal bare');
  await Promise.all([bare.close(), known.close()]);
  await proxy.stop();
});

test('where nothing answers behind it, it says 502', async () => {
  const proxy = await startForwardProxy({ hosts: { 'away.internal': { host: '127.0.0.1', port: 1 } } });
  const dispatcher = new ProxyAgent({ uri: proxy.url });
  await expect(fetch('http://away.internal/', { dispatcher })).rejects.toThrow();
  expect(proxy.passed).toEqual([{ method: 'CONNECT', target: 'away.internal:80', status: 502 }]);
  await dispatcher.close();
  await proxy.stop();
});
