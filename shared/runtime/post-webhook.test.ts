import type { LookupAddress } from 'node:dns';
import { createAddressGuard } from '#shared/addresses/address-guard.ts';
import { startScriptedServer, type Script, type ScriptedServer } from '#shared/gitlab/scripted-server.contract.ts';
import { createPostWebhook } from './post-webhook.ts';

let server: ScriptedServer;
afterEach(() => server.stop());

const serve = async (script: Script = (response) => response.writeHead(204).end()) => { server = await startScriptedServer(script); return new URL(server.url).port; };
const post = (url: string, { allowed = ['127.0.0.0/8'], leadsTo = [], allowAddresses = [] }: { allowed?: string[]; leadsTo?: LookupAddress[]; allowAddresses?: string[] } = {}) =>
  createPostWebhook(createAddressGuard({ allowed, resolve: async () => leadsTo }))(url, { headers: { 'webhook-id': 'one', 'content-type': 'application/json' }, body: '{}', allowAddresses, signal: new AbortController().signal });

test('a body is sent as it is, to the address that the name was judged to lead to', async () => {
  const port = await serve();
  expect(await post(`http://receiver.nowhere.invalid:${port}/hook?x=1`, { leadsTo: [{ address: '127.0.0.1', family: 4 }] })).toEqual({ status: 204 });
  expect(server.heard).toMatchObject([{ method: 'POST', url: '/hook?x=1', body: '{}', headers: { 'webhook-id': 'one', host: `receiver.nowhere.invalid:${port}` } }]);
});

test.each([
  ['this machine', 'http://127.0.0.1', []], ['this machine in decimal', 'http://2130706433', []], ['this machine in octal', 'http://0177.0.0.1', []], ['this machine, mapped', 'http://[::ffff:7f00:1]', []],
  ['a name that leads there', 'http://receiver.invalid', [{ address: '127.0.0.1', family: 4 }]], ['a name that leads outside and inside', 'http://receiver.invalid', [{ address: '93.184.216.34', family: 4 }, { address: '10.0.0.7', family: 4 }]],
  ['the metadata of a cloud', 'http://169.254.169.254', []],
])('nothing is sent to %s without leave', async (_what, url, leadsTo) => {
  const port = await serve();
  await expect(post(`${url}:${port}/`, { allowed: [], leadsTo, allowAddresses: ['192.168.0.0/16'] })).rejects.toMatchObject({ code: 'ERR_ADDRESS_REFUSED' });
  expect(server.heard).toEqual([]);
});

test('a redirect is an answer like another, and not followed', async () => {
  const port = await serve((response) => response.writeHead(307, { location: '/elsewhere' }).end());
  expect(await post(`http://127.0.0.1:${port}/`)).toEqual({ status: 307 });
  expect(server.heard).toHaveLength(1);
});

test('an answer is not read: however much a receiver says, its status is what counts', async () => {
  const port = await serve((response) => { response.writeHead(200); const more = () => { while (response.write(Buffer.alloc(65_536))); response.once('drain', more); }; response.on('error', () => undefined); more(); });
  expect(await post(`http://127.0.0.1:${port}/`)).toEqual({ status: 200 });
});
