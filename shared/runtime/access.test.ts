import { mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import express from 'express';
import { actorOf, bearerOf, createTokenAccess, loadOrCreateToken, requireAccess, TOKEN_FILE } from './access.ts';
import { createLogger } from './logger.ts';
import { problemHandler } from './problem.ts';

const stateDir = () => path.join(mkdtempSync(path.join(tmpdir(), 'tekai-access-')), 'state');

test('the first token is made once, 256 random bits, in a file that only we may read', () => {
  const dir = stateDir();
  const token = loadOrCreateToken(dir);
  expect(token).toMatch(/^tekai_[A-Za-z0-9_-]{43}$/);
  expect(statSync(path.join(dir, TOKEN_FILE)).mode & 0o777).toBe(0o600);
  expect(readFileSync(path.join(dir, TOKEN_FILE), 'utf8')).toBe(`${token}\n`);
  expect(loadOrCreateToken(dir)).toBe(token);
  // Nothing half made is left beside it.
  expect(readdirSync(dir)).toEqual([TOKEN_FILE]);
  expect(loadOrCreateToken(stateDir())).not.toBe(token);
});

test('exactly the token is known', async () => {
  const access = createTokenAccess('tekai_x');
  expect(await access.principalOf('tekai_x')).toEqual({ actor: { kind: 'token', id: 'first-token' }, isSystemAdmin: true, scope: 'admin', credential: { kind: 'engine-token' } });
  for (const other of ['', 'tekai_', 'tekai_x ', 'TEKAI_X', 'tekai_xx', 'tekai_y']) expect(await access.principalOf(other)).toBeUndefined();
});

test.each<[string | undefined, string | undefined]>([
  ['Bearer abc', 'abc'], ['bearer abc', 'abc'], ['BEARER   a.b-c_d~+/=', 'a.b-c_d~+/='],
  [undefined, undefined], ['', undefined], ['abc', undefined], ['Basic abc', undefined], ['Bearer', undefined], ['Bearer a b', undefined], ['Bearer é', undefined], ['xBearer abc', undefined],
])('of the header %j the token is %j', (header, token) => {
  expect(bearerOf(header)).toBe(token);
});

test('who is not known is told how to become known, and gets no further', async () => {
  const app = express();
  app.use(requireAccess(createTokenAccess('secret')));
  app.get('/', (_request, response) => { response.json(actorOf(response)); });
  app.use(problemHandler(createLogger('silent')));
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const ask = (headers: Record<string, string>) => fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { headers });
  for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: 'secret' }]) {
    const answer = await ask(headers);
    expect({ status: answer.status, asks: answer.headers.get('www-authenticate'), body: await answer.json() }).toMatchObject({ status: 401, asks: 'Bearer', body: { code: 'not-authenticated', detail: expect.stringContaining(TOKEN_FILE) } });
  }
  expect(await (await ask({ authorization: 'Bearer secret' })).json()).toEqual({ kind: 'token', id: 'first-token' });
  server.closeAllConnections();
  server.close();
});
