import { once } from 'node:events';
import { get } from 'node:http';
import { WebSocket } from 'ws';
import type { AuditEntry } from '#schemas/api/audit.ts';
import { signIn } from '../harness/callers.ts';
import { startSystem, until, type System } from '../harness/system.ts';

// A page of elsewhere opens nothing that is told live, whoever looks at it; and what is refused on a socket is written down.

const ALLOWED = 'https://pages.example.com';
const FOREIGN = ['https://evil.example', 'null', 'http://pages.example.com', 'https://pages.example.com:8443'];
const ID = '00000000-0000-4000-8000-000000000001';
let system: System;
beforeAll(async () => { system = await startSystem({ settings: { TEKAI_ALLOWED_ORIGINS: ALLOWED } }); });
afterAll(() => system.stop());

const withOrigin = (origin: string | undefined) => (origin === undefined ? {} : { origin });

/** 101: it is open. */
async function upgrade(at: string, origin: string | undefined, token: string | undefined): Promise<number> {
  const socket = new WebSocket(`${system.url.replace('http', 'ws')}${at}`, { headers: { ...withOrigin(origin), ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) } });
  const refused = once(socket, 'unexpected-response').then(([, response]) => (response as { statusCode: number }).statusCode);
  const opened = once(socket, 'open').then(() => 101);
  const failed = new Promise<never>((_resolve, reject) => { socket.on('error', reject); });
  try {
    return await Promise.race([refused, opened, failed]);
  } finally {
    socket.terminate();
  }
}

/** By node:http: fetch sets no Origin. */
function stream(origin: string | undefined, token: string | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = get(`${system.url}/v1/live?ch=all`, { headers: { ...withOrigin(origin), ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) } }, (response) => {
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    asked.on('error', reject);
  });
}

test.each(['/v1/live', '/v1/followers/live'])('a socket at %s is refused to pages of elsewhere, whatever they show; programs, our own pages and those that are allowed may', async (at) => {
  for (const origin of FOREIGN) expect([origin, await upgrade(at, origin, system.token), await upgrade(at, origin, undefined)]).toEqual([origin, 403, 403]);
  for (const origin of [undefined, new URL(system.url).origin, ALLOWED]) expect([origin, await upgrade(at, origin, system.token)]).toEqual([origin, 101]);
});

test('a stream likewise, before anybody is asked for; and no origin is let read an answer', async () => {
  for (const origin of FOREIGN) expect([origin, await stream(origin, system.token), await stream(origin, undefined)]).toEqual([origin, 403, 403]);
  for (const origin of [undefined, new URL(system.url).origin, ALLOWED]) expect([origin, await stream(origin, system.token), await stream(origin, undefined)]).toEqual([origin, 200, 401]);
});

test('what is refused on a socket or a stream is an entry: pages of elsewhere, tokens that nobody knows, channels of others', async () => {
  const bob = await signIn(system, 'bob');
  const said = async (at: string, token: string | undefined, ...frames: object[]) => {
    const socket = new WebSocket(`${system.url.replace('http', 'ws')}${at}`, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
    const heard: string[] = [];
    socket.on('message', (message: Buffer) => heard.push(message.toString()));
    let isOver = false;
    socket.on('close', () => { isOver = true; });
    await once(socket, 'open');
    for (const frame of frames) socket.send(JSON.stringify(frame));
    await until('it is answered', () => isOver || heard.some((one) => one.includes('"error"')));
    socket.terminate();
  };
  await said('/v1/live', bob.accessToken, { op: 'subscribe', ch: `codebase:${ID}` });
  await said('/v1/live', bob.accessToken, { op: 'subscribe', ch: 'all' });
  for (const at of ['/v1/live', '/v1/followers/live']) await said(at, undefined, { op: 'connect', v: 1, token: 'a-canary-that-nobody-knows' });
  const entries = await until('refusals are written down', async () => {
    const { entries } = (await system.ask('GET', '/v1/audit?act=request-refused')).json<{ entries: AuditEntry[] }>();
    return ['WS /v1/live not-authenticated', 'WS /v1/followers/live not-authenticated', 'WS /v1/live not-allowed', 'WS /v1/live codebase-unknown', 'WS /v1/live origin-not-allowed', 'WS /v1/followers/live origin-not-allowed', 'GET /v1/live origin-not-allowed']
      .every((wanted) => entries.some(({ route, code }) => `${route} ${code}` === wanted)) && entries;
  });
  expect(entries.find(({ code }) => code === 'codebase-unknown')).toMatchObject({ actor: { kind: 'user', id: bob.id }, target: ID, route: 'WS /v1/live' });
  expect(entries.filter(({ actor, code }) => actor.id === bob.id && code === 'not-allowed')).toMatchObject([{ target: null }]);
  expect(JSON.stringify(entries)).not.toContain('canary');
}, 120_000);
