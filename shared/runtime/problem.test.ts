import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:http';
import express from 'express';
import { createLogger } from './logger.ts';
import { notFoundHandler, Problem, problemHandler } from './problem.ts';
import { Unavailable } from './unavailable.ts';

let server: Server;
let thrown: unknown;
const logged: { error: unknown }[] = [];
const warned: { error: unknown }[] = [];

beforeAll(async () => {
  const app = express();
  app.use((_request, response, next) => { response.setHeader('X-Request-Id', 'the request'); next(); });
  app.get('/throws', () => { throw thrown; });
  app.get('/begun', (_request, response) => { response.write('half'); throw new Error('in the middle'); });
  app.use(express.json());
  app.use(notFoundHandler);
  app.use(problemHandler({ ...createLogger('silent'), error: (fields: { error: unknown }) => void logged.push(fields), warn: (fields: { error: unknown }) => void warned.push(fields) } as never));
  server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => { server.closeAllConnections(); server.close(); });
beforeEach(() => { logged.splice(0); warned.splice(0); });

async function ask(path: string, options: RequestInit = {}) {
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, options);
  return { status: answer.status, headers: answer.headers, body: await answer.json() as Record<string, unknown> };
}
const whenThrown = (error: unknown) => { thrown = error; return ask('/throws'); };

test('a problem is answered as RFC 9457 says: type, title, status, code, detail, and which request it was', async () => {
  const answer = await whenThrown(new Problem(422, 'body-invalid', 'It is wrong.', { errors: [{ pointer: '/a', detail: 'missing' }] }));
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  expect(answer.body).toEqual({
    type: 'https://docs.tekai.dev/problems/body-invalid', title: 'Cannot be done', status: 422, code: 'body-invalid', detail: 'It is wrong.', instance: 'the request', errors: [{ pointer: '/a', detail: 'missing' }],
  });
  expect(answer.status).toBe(422);
  expect(logged).toEqual([]);
});

test('something that is away is 503 with the time to wait, at least a second, and in the log a warning: nobody has to mend it here', async () => {
  for (const [ms, wait] of [[undefined, '2'], [10, '1'], [12_001, '13']] as const) {
    const answer = await whenThrown(new Unavailable('database', 'no connection', ms === undefined ? {} : { retryAfterMs: ms }));
    expect({ status: answer.status, wait: answer.headers.get('retry-after'), code: answer.body['code'] }).toEqual({ status: 503, wait, code: 'dependency-away' });
  }
  expect(warned).toHaveLength(3);
  expect(logged).toEqual([]);
});

test('a bug of ours is 500, its details in the log and not in the answer', async () => {
  const error = new Error('canary: what nobody outside may read');
  const answer = await whenThrown(error);
  expect(answer.status).toBe(500);
  expect(JSON.stringify(answer.body)).not.toContain('canary');
  expect(logged).toMatchObject([{ error, method: 'GET', path: '/throws', requestId: 'the request' }]);
});

test('nobody serves an unknown address, and the answer says where to look', async () => {
  const answer = await ask('/nowhere');
  expect(answer).toMatchObject({ status: 404, body: { code: 'no-such-address', detail: expect.stringContaining('GET /nowhere') } });
});

test('a body that express refuses, and a path that is no UTF-8, are the caller\'s faults', async () => {
  const headers = { 'content-type': 'application/json' };
  expect(await ask('/x', { method: 'POST', headers, body: '{' })).toMatchObject({ status: 400, body: { code: 'entity-parse-failed', detail: expect.stringContaining('Send an object in UTF-8') } });
  const spilled = await ask('/x', { method: 'POST', headers, body: 'canary-of-a-token' });
  expect([spilled.status, JSON.stringify(spilled.body)]).toEqual([400, expect.not.stringContaining('canary')]);
  expect(await ask('/x', { method: 'POST', headers, body: JSON.stringify('x'.repeat(200_000)) })).toMatchObject({ status: 413, body: { code: 'entity-too-large', detail: expect.stringMatching(/larger than \d+ bytes/) } });
  expect(await whenThrown(Object.assign(new Error('Failed to decode param \'%ff\''), { status: 400 }))).toMatchObject({ status: 400, body: { detail: expect.stringContaining('not UTF-8') } });
  expect(await whenThrown(new URIError('bad'))).toMatchObject({ status: 400, body: { code: 'bad-escape' } });
  expect(logged).toEqual([]);
});

test('an answer that was begun is cut, not continued as something else', async () => {
  await expect(fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/begun`).then((answer) => answer.text())).rejects.toThrow();
});

test('a NUL in what was given is the asker\'s fault, not ours', async () => {
  const answer = await whenThrown(Object.assign(new Error('invalid byte sequence for encoding "UTF8": 0x00'), { code: '22021' }));
  expect([answer.status, answer.body['code'], logged]).toEqual([400, 'not-text', []]);
});
