import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SourceCheck } from '#schemas/api/sources.ts';
import { eventsOf, startSystem, until, type System } from '../harness/system.ts';

// An engine that nobody allowed anything, as it is by default.

let system: System;
let receiver: Server;
let heard = 0;
beforeAll(async () => {
  system = await startSystem({ settings: { TEKAI_ALLOW_ADDRESSES: '' } });
  receiver = createServer((_request, response) => { heard += 1; response.writeHead(204).end(); }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
});
afterAll(async () => {
  await system.stop();
  receiver.close();
});

const register = (change: object) => system.ask('POST', '/v1/sources', { body: { name: 'inside', baseUrl: 'http://10.255.255.1:9', token: 'glpat-x', acceptUnreachable: true, ...change } });
const follow = (name: string, webhook: object) => system.ask('POST', '/v1/followers', { body: { name, all: true, webhook } });
const ownUrl = (host = '127.0.0.1') => `http://${host}:${(receiver.address() as AddressInfo).port}/`;

test('a source on this machine is not registered, nor checked, nor accepted unseen', async () => {
  for (const baseUrl of [system.gitlab.url, system.internalUrl, system.gitlab.url.replace('127.0.0.1', '2130706433'), system.gitlab.url.replace('127.0.0.1', '[::ffff:127.0.0.1]')]) {
    const answer = await register({ baseUrl });
    expect([answer.status, answer.json()]).toMatchObject([422, { code: 'address-not-allowed', detail: expect.stringContaining('TEKAI_ALLOW_ADDRESSES=127.0.0.0/8') as string, errors: [{ pointer: '/allowAddresses' }] }]);
  }
  expect((await register({ baseUrl: 'http://169.254.169.254', allowAddresses: ['169.254.0.0/16'] })).json()).toMatchObject({ code: 'body-invalid', errors: [{ pointer: '/allowAddresses' }] });
  expect((await register({ baseUrl: 'http://169.254.169.254' })).json()).toMatchObject({ code: 'address-not-allowed' });
  expect((await register({ baseUrl: 'https://gitlab.example.com', proxyUrl: 'http://192.168.1.1:3128' })).json()).toMatchObject({ code: 'address-not-allowed', detail: expect.stringContaining('192.168.0.0/16') as string });
  expect((await system.ask('POST', '/v1/source-checks', { body: { baseUrl: system.gitlab.url, token: 'glpat-x' } })).json()).toMatchObject({ state: 'unreachable', advice: [{ code: 'address-not-allowed' }] });
  expect((await system.gitlab.admin<{ requests: { path: string }[] }>('GET', '/requests')).requests.filter(({ path }) => path.startsWith('/api/'))).toEqual([]);
});

test('one at a private address is asked about once: what was allowed stands with it, and in its facts', async () => {
  const asked = await register({});
  expect([asked.status, asked.json()]).toMatchObject([422, { code: 'address-not-allowed', detail: expect.stringContaining('"allowAddresses": ["10.0.0.0/8"]') as string }]);
  const made = await register({ allowAddresses: ['10.0.0.0/8'] });
  expect(made.status).toBe(201);
  const { id } = made.json<{ id: string }>();
  // It is away, and may be gone to.
  const { advice } = (await system.ask('GET', `/v1/sources/${id}/check`)).json<SourceCheck>();
  expect(advice.map(({ code }) => code)).not.toContain('address-not-allowed');
  const narrowed = await system.ask('PATCH', `/v1/sources/${id}`, { body: { allowAddresses: ['10.255.0.0/16'], acceptUnreachable: true }, headers: { 'if-match': '*' } });
  expect([narrowed.status, narrowed.json()]).toMatchObject([200, { changed: ['addresses'] }]);
  expect((await system.ask('PATCH', `/v1/sources/${id}`, { body: { allowAddresses: [], acceptUnreachable: true }, headers: { 'if-match': '*' } })).json()).toMatchObject({ code: 'address-not-allowed' });
  await until('both facts are there', async () => (await eventsOf(system, `key=${id}`)).length === 2);
  expect((await eventsOf(system, `key=${id}`)).map(({ type, data }) => [type, data.allowAddresses])).toEqual([['source.registered', ['10.0.0.0/8']], ['source.changed', ['10.255.0.0/16']]]);
}, 120_000);

test('a follower\'s webhook goes to no address inside without leave', async () => {
  for (const url of [ownUrl(), ownUrl('localhost'), ownUrl('0x7f000001'), system.internalUrl, 'http://169.254.169.254/', 'http://10.0.0.7/']) {
    expect([url, (await follow('hook', { url })).json()]).toMatchObject([url, { code: 'address-not-allowed', errors: [{ pointer: '/webhook/url' }] }]);
  }
  expect((await follow('hook', { url: ownUrl(), allowAddresses: ['127.0.0.0/8'] })).json()).toMatchObject({ code: 'body-invalid', errors: [{ pointer: '/webhook/allowAddresses' }] });
  expect((await follow('inside', { url: 'http://10.255.255.1:9/', allowAddresses: ['10.0.0.0/8'] })).status).toBe(201);
  expect(heard).toBe(0);
});
