import express from 'express';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { problemHandler } from '#shared/runtime/problem.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createOrigins, refuseForeignOrigins } from './origins.ts';

const origins = createOrigins({ publicUrl: 'https://tekai.example.com:443/behind/a/path', allowed: ['http://127.0.0.1:3000'] });

test.each([
  [undefined, false], ['https://tekai.example.com', false], ['http://127.0.0.1:3000', false],
  ['http://tekai.example.com', true], ['https://tekai.example.com:8443', true], ['https://tekai.example.com.evil.example', true], ['https://evil.example/https://tekai.example.com', true], ['http://127.0.0.1', true], ['null', true], ['', true],
])('origin %s is foreign: %j', (origin, isForeign) => { expect(origins.isForeign(origin === undefined ? {} : { origin })).toBe(isForeign); });

test('a stream is refused to a page of elsewhere before anything else, however its address is written; other addresses are as they were', async () => {
  const app = express();
  app.use(refuseForeignOrigins(origins));
  app.use((_request, response) => void response.status(401).end());
  app.use(problemHandler(createLogger('silent')));
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const statusOf = (method: string, path: string, origin?: string) => new Promise<number | undefined>((resolve) => {
    request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', method, path, headers: origin === undefined ? {} : { origin } }, (response) => { response.resume(); resolve(response.statusCode); }).end();
  });
  try {
    for (const path of ['/v1/live', '/v1/live?ch=all', '/V1/Live', '/v1/live/']) expect([path, await statusOf('GET', path, 'https://evil.example'), await statusOf('HEAD', path, 'null'), await statusOf('GET', path), await statusOf('GET', path, 'https://tekai.example.com')]).toEqual([path, 403, 403, 401, 401]);
    expect(await statusOf('GET', '/v1/codebases', 'https://evil.example')).toBe(401);
  } finally {
    server.close();
  }
});
