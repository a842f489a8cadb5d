import { jest } from '@jest/globals';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Router } from 'express';
import { createHttpDoor, type HttpDoor } from './http-door.ts';
import { createLogger } from './logger.ts';
import { Problem } from './problem.ts';

let door: HttpDoor;
let port: number;
const clients: Socket[] = [];

beforeEach(async () => {
  door = createHttpDoor({ logger: createLogger('silent'), host: '127.0.0.1' });
  port = await door.listen(0);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await door.close();
});

const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } });

async function upgradeAt(path: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  clients.push(socket);
  socket.on('error', () => undefined);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
  await once(socket, 'connect');
  return socket;
}

test('what one handler passes on, the next one serves; what nobody serves is not found', async () => {
  door.use((request, response, next) => { if (request.path === '/one') response.send('first'); else next(); });
  door.use((request, response, next) => { if (request.path === '/two') response.send('second'); else next(); });
  expect(await (await ask('/one')).text()).toBe('first');
  expect(await (await ask('/two')).text()).toBe('second');
  expect((await ask('/three')).status).toBe(404);
});

test('a handler that throws or rejects, at once or later, is answered', async () => {
  door.use(async (_request, _response, next) => { await Promise.resolve(); next(); });
  door.use((request, _response, next) => { if (request.path === '/throws') throw new Problem(422, 'no', 'no'); next(); });
  door.use(async (request, _response, next) => { if (request.path === '/rejects') throw new Problem(409, 'no', 'no'); next(); });
  expect((await ask('/throws')).status).toBe(422);
  expect((await ask('/rejects')).status).toBe(409);
});

test('a handler that throws at once behind one that passes on in a later turn is answered, and does not end the process', async () => {
  door.use((_request, _response, next) => { setImmediate(next); });
  door.use(() => { throw new Problem(401, 'no', 'no'); });
  expect((await ask('/anything')).status).toBe(401);
});

test('every answer names its request, no two the same; who we are made of is nobody\'s business', async () => {
  const [one, two] = await Promise.all([ask('/x'), ask('/x')]);
  expect(one.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  expect(one.headers.get('x-request-id')).not.toBe(two.headers.get('x-request-id'));
  expect(one.headers.get('x-powered-by')).toBeNull();
});

test.each([
  ['nobody is trusted: what anybody writes of where they come from is nothing', [], '203.0.113.9', '127.0.0.1'],
  ['a trusted proxy is before us: the client is whom it names', ['127.0.0.0/8'], '203.0.113.9', '203.0.113.9'],
  ['a client wrote the header first, and the proxy added to it: what the client wrote is nothing', ['127.0.0.1'], '10.0.0.1, 198.51.100.1, 203.0.113.9', '203.0.113.9'],
  ['two trusted proxies stand in line: the client is whom the outer one names', ['127.0.0.1', '10.1.0.0/16'], '198.51.100.1, 203.0.113.9, 10.1.2.3', '203.0.113.9'],
  ['the one who connects is no trusted proxy: the header is nothing, though it names one', ['10.1.0.0/16'], '203.0.113.9, 10.1.2.3', '127.0.0.1'],
  ['a trusted proxy names nobody', ['127.0.0.1'], '', '127.0.0.1'],
])('where %s', async (_what, trustedProxies, header, address) => {
  const behind = createHttpDoor({ logger: createLogger('silent'), host: '127.0.0.1', trustedProxies });
  behind.use((request, response) => { response.json(request.ip); });
  try {
    const answer = await fetch(`http://127.0.0.1:${await behind.listen(0)}/`, { headers: { connection: 'close', ...(header === '' ? {} : { 'x-forwarded-for': header }) } });
    expect(await answer.json()).toBe(address);
  } finally {
    await behind.close();
  }
});

test('a browser runs nothing of an answer, frames it nowhere, and gives it to no page of another origin, whatever it is', async () => {
  door.use((request, response, next) => { if (request.path === '/a') response.type('html').send('<script>alert(1)</script>'); else next(); });
  const origin = 'https://elsewhere.example';
  const answers = [await ask('/a'), await ask('/nothing'), await fetch(`http://127.0.0.1:${port}/a`, { headers: { origin, connection: 'close' } }),
    await fetch(`http://127.0.0.1:${port}/a`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'DELETE', connection: 'close' } })];
  for (const { headers } of answers) {
    expect(Object.fromEntries(['content-security-policy', 'x-content-type-options', 'x-frame-options', 'referrer-policy', 'cross-origin-resource-policy'].map((name) => [name, headers.get(name)]))).toEqual({
      'content-security-policy': "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none';sandbox",
      'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer', 'cross-origin-resource-policy': 'same-origin',
    });
    expect([...headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
  }
});

test('a name given twice in the address is no object and no surprise', async () => {
  door.use((request, response) => { response.json(request.query); });
  expect(await (await ask('/x?a=1&b[c]=2')).json()).toEqual({ a: '1', 'b[c]': '2' });
});

test('what is served is known, also of routers within routers: told as a list, by OPTIONS and by 405', async () => {
  const [outer, inner] = [Router(), Router()];
  inner.post('/v1/things/:id/archive', (_request, response) => void response.end());
  outer.use(inner);
  outer.get('/v1/things', (_request, response) => void response.end());
  door.use(outer);
  door.use((_request, _response, next) => next(), ['GET /v1/things/:id/files/*path', 'POST /v1/things/:id/files:batch']);
  door.onUpgrade('/v1/live', (_request, socket) => socket.destroy());
  expect(door.served()).toEqual(['WS /v1/live', 'GET /v1/things', 'POST /v1/things/{id}/archive', 'GET /v1/things/{id}/files/{path}', 'POST /v1/things/{id}/files:batch']);
  const answer = await ask('/v1/things/7/archive');
  expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'OPTIONS, POST']);
});

test('an upgrade is taken at exactly its path, whatever the query', async () => {
  const taken: string[] = [];
  door.onUpgrade('/v1/live', (request, socket) => { taken.push(`${request.url} of ${request.ip}`); socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'); });
  const heard = async (path: string) => {
    const socket = await upgradeAt(path);
    const [piece] = (await once(socket, 'data')) as [Buffer];
    return piece.toString().split('\r\n')[0];
  };
  expect(await heard('/v1/live?token=x')).toBe('HTTP/1.1 101 Switching Protocols');
  for (const path of ['/v1/live/', '/v1/liv', '/', '/v1/LIVE']) expect(await heard(path)).toBe('HTTP/1.1 404 Not Found');
  expect(taken).toEqual(['/v1/live?token=x of 127.0.0.1']);
});

test('a client that asks for an upgrade and breaks off does not end the process', async () => {
  let broken: Duplex | undefined;
  door.onUpgrade('/v1/live', (_request, socket) => { broken = socket; });
  const nobody = await upgradeAt('/nowhere');
  nobody.resetAndDestroy();
  const client = await upgradeAt('/v1/live');
  while (broken === undefined) await new Promise(setImmediate);
  const closed = once(broken, 'close').catch(() => undefined);
  client.resetAndDestroy();
  await closed;
  // Written to after it is gone, as a notifier may.
  broken.write('x');
  broken.destroy(new Error('reset'));
  expect((await ask('/')).status).toBe(404);
});

test('closing answers what was begun, takes nothing new, and ends', async () => {
  let answer: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    door.use((_request, response) => { answer = () => void response.send('finished'); resolve(); });
  });
  const asking = ask('/slow').then((response) => response.text());
  await begun;
  const closing = door.close();
  await expect(ask('/new')).rejects.toThrow();
  answer();
  expect(await asking).toBe('finished');
  await closing;
  await door.close();
});

test('closing cuts after ten seconds what still stands: a request without an answer, an upgraded connection', async () => {
  let hasUpgraded = false;
  door.onUpgrade('/v1/live', () => { hasUpgraded = true; });
  const begun = new Promise<void>((resolve) => { door.use(() => resolve()); });
  const asking = ask('/never').then(() => 'answered', () => 'cut');
  await begun;
  await upgradeAt('/v1/live');
  while (!hasUpgraded) await new Promise(setImmediate);
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'setInterval'] });
  try {
    const closing = door.close();
    await jest.advanceTimersByTimeAsync(10_000);
    await closing;
  } finally {
    jest.useRealTimers();
  }
  expect(await asking).toBe('cut');
});

test('a port that is taken is told with the setting to change', async () => {
  const other = createHttpDoor({ logger: createLogger('silent'), host: '127.0.0.1' });
  await expect(other.listen(port)).rejects.toThrow(/TEKAI_PORT/);
});
