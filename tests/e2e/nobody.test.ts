import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { WebSocket } from 'ws';
import { startSystem, type System } from '../harness/system.ts';

// Whoever has no token gets nothing, at every address that a service serves. The list is read from the code: a new route is in it.

const SERVICES = path.resolve(import.meta.dirname, '../../services');
const ID = '00000000-0000-4000-8000-000000000001';

interface Served { readonly method: string; readonly path: string }

/** Routes as routers are given them, and as the door is told them where there is no router; sockets apart. */
async function served(): Promise<{ routes: Served[]; sockets: string[] }> {
  const [routes, sockets]: [Served[], string[]] = [[], []];
  for (const service of ['ingress', 'query-api', 'notifier']) {
    for (const file of (await readdir(path.join(SERVICES, service), { recursive: true })).filter((name) => name.endsWith('.ts') && !/\.(test|fixture)\.ts$/.test(name))) {
      const code = await readFile(path.join(SERVICES, service, file), 'utf8');
      for (const [, method = '', at = ''] of code.matchAll(/\brout(?:er|es)\.(get|post|put|patch|delete)\('([^']+)'/g)) routes.push({ method: method.toUpperCase(), path: at });
      for (const [, method = '', at = ''] of code.matchAll(/'(GET|POST|PUT|PATCH|DELETE) (\/[^']+)'/g)) routes.push({ method, path: at });
      for (const [, at = ''] of code.matchAll(/onUpgrade\('([^']+)'/g)) sockets.push(at);
    }
  }
  return { routes, sockets };
}

let system: System;
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });

test('every address wants a token: without one, and with a made-up one, it is 401, however it is written', async () => {
  const { routes } = await served();
  expect(routes.length).toBeGreaterThan(45);
  const open: string[] = [];
  for (const { method, path: pattern } of routes) {
    const at = pattern.replace(/\*\w+/g, 'a').replace(/\\?:batch/g, '%3Abatch').replace(/:\w+/g, ID).replace('%3Abatch', ':batch');
    // Express takes other cases and a slash at the end for the same.
    for (const written of [at, `${at}/`, at.replace(/^\/v1/, '/V1'), `${at}?x=1`]) {
      for (const authorization of [undefined, 'Bearer made-up', 'Basic made-up']) {
        const headers = { 'content-type': 'application/json', 'idempotency-key': ID, 'if-match': '"0"', connection: 'close', ...(authorization === undefined ? {} : { authorization }) };
        const { status } = await fetch(`${system.url}${written}`, { method, headers, ...(method === 'GET' ? {} : { body: '{}' }) });
        if (status !== 401) open.push(`${method} ${written} ${authorization ?? ''}: ${status}`);
      }
    }
  }
  expect(open).toEqual([]);
});

test('a socket without a token is told nothing but that it must connect, and ends', async () => {
  const { sockets } = await served();
  expect(sockets.length).toBeGreaterThanOrEqual(2);
  for (const at of sockets) {
    for (const frame of [{ op: 'subscribe', ch: 'all' }, { op: 'follow', name: 'x' }, { op: 'connect', v: 1, token: 'made-up' }]) {
      const socket = new WebSocket(`${system.url.replace('http', 'ws')}${at}`);
      const told: string[] = [];
      socket.on('message', (message: Buffer) => told.push(message.toString()));
      await once(socket, 'open');
      socket.send(JSON.stringify(frame));
      const [code] = await once(socket, 'close') as [number];
      expect([at, frame.op, [4_501, 4_502].includes(code), told]).toEqual([at, frame.op, true, []]);
    }
  }
});
