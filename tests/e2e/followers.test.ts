import { spawn } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { Webhook } from 'standardwebhooks';
import { WebSocket } from 'ws';
import { followerBatch, followerEntry, snapshotLine, type FollowerAnswer, type FollowerCreated, type FollowerEntry, type SnapshotLine } from '#schemas/api/followers.ts';
import { followerServerFrame } from '#schemas/live/follower-frames.ts';
import { createApiClient } from '#shared/api-client/api-client.ts';
import { signIn } from '#tests/harness/callers.ts';
import { programOf } from '#tests/harness/program.ts';
import { makeRepository, type Entry, type Repository } from '#tests/harness/repository.ts';
import { startSystem, until, untilStored, type System } from '#tests/harness/system.ts';
import { ModelClient } from '../../services/notifier/followers/model-client.fixture.ts';

const MAIN = 'refs/heads/main';
/** Of the page and of the frame: so that kills fall into the middle of a version. */
const LIMIT = 40;

let system: System;
let repository: Repository;
let codebase: string;
let base: string;
const ending = new AbortController();
// Each connection made again listens to it.
setMaxListeners(0, ending.signal);
beforeAll(async () => {
  system = await startSystem();
  repository = await makeRepository();
  base = repository.commit('main', Array.from({ length: 400 }, (_, n): Entry => ({ path: `src/d${n % 20}/f${n}.ts`, content: `export const f${n} = 0;\n` })));
  const project = await system.gitlab.admin('POST', '/projects', { path: 'followed', import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote('root/followed'));
  codebase = await system.follow(project.id);
  await untilStored(system, codebase, MAIN, base);
});
afterAll(async () => { ending.abort(); await system.stop(); });

async function snapshotOf(name: string, query = ''): Promise<SnapshotLine[]> {
  const answer = await system.ask('GET', `/v1/followers/${name}/snapshot${query}`);
  expect(answer.status).toBe(200);
  return answer.bytes.toString('utf8').trimEnd().split('\n').map((line) => snapshotLine.parse(JSON.parse(line)));
}

/** Looks at what is held against a snapshot at the position of the end, which the follower has reached. */
async function expectLaw(name: string, held: ModelClient, position: string): Promise<void> {
  const lines = await snapshotOf(name, `?at=${encodeURIComponent(position)}`);
  expect(lines.at(-1)?.op).toBe('end');
  expect(held.shown(position)).toBe(lines.slice(0, -1).map((line) => JSON.stringify(line)).join('\n'));
}

interface Told { readonly held: ModelClient; readonly entries: FollowerEntry[]; end: string | undefined; failed: unknown }
const nobody = (): Told => ({ held: new ModelClient(), entries: [], end: undefined, failed: undefined });

function take(told: Told, entry: FollowerEntry): void {
  told.held.apply(entry);
  told.entries.push(entry);
  told.end = entry.op === 'end' ? entry.position : undefined;
}

/** By the client's own loop: it resumes by itself. */
function byLongPoll(name: string): Told {
  const told = nobody();
  void (async () => {
    const client = createApiClient({ url: system.url, token: system.token });
    for await (const entry of client.follow(name, { all: true, refs: ['*'], ends: true, limit: LIMIT, signal: ending.signal })) take(told, entry);
  })().catch((error: unknown) => { told.failed = error; });
  return told;
}

/** A socket that comes back, behind the last cursor that it has seen, and acknowledges by frames of its own. */
function bySocket(name: string): Told {
  const told = nobody();
  const connect = () => {
    if (ending.signal.aborted) return;
    const socket = new WebSocket(`${system.url.replace('http', 'ws')}/v1/followers/live`);
    const say = (frame: object) => socket.send(JSON.stringify(frame));
    ending.signal.addEventListener('abort', () => socket.terminate());
    socket.on('open', () => say({ op: 'connect', v: 1, token: system.token }));
    socket.on('error', () => undefined);
    socket.on('close', () => setTimeout(connect, 100));
    socket.on('message', (message: Buffer) => {
      const frame = followerServerFrame.parse(JSON.parse(message.toString()));
      if (frame.op === 'error') told.failed = frame;
      if (frame.op === 'connected') say({ op: 'follow', name, ...(told.held.cursor === undefined ? {} : { after: told.held.cursor }) });
      if (frame.op !== 'entries') return;
      for (const entry of frame.entries) take(told, entry);
      say({ op: 'ack', cursor: told.held.cursor });
    });
  };
  connect();
  return told;
}

interface Receiver extends Told { readonly url: string; readonly server: Server; secret: string; status: number; refused: number; readonly ids: string[] }

async function byWebhook(): Promise<Receiver> {
  const server = createServer((request, response) => void (async () => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces).toString('utf8');
    // Throws unless it is signed, and lately.
    new Webhook(receiver.secret).verify(body, request.headers as Record<string, string>);
    receiver.ids.push(String(request.headers['webhook-id']));
    if (receiver.status === 200) for (const entry of followerBatch.parse(JSON.parse(body)).entries) take(receiver, entry);
    else receiver.refused += 1;
    response.writeHead(receiver.status).end();
  })().catch((error: unknown) => { receiver.failed = error; response.writeHead(500).end(); }));
  // A test that fails leaves it open.
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  const receiver: Receiver = { ...nobody(), server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, secret: '', status: 200, refused: 0, ids: [] };
  return receiver;
}

function push(branch: string, entries: readonly Entry[], options: object = {}): string {
  const commit = repository.commit(branch, entries, options);
  repository.git('push', '-q', '-f', 'origin', branch);
  return commit;
}

test('what is followed by long poll, WebSocket and webhook is what a snapshot shows, over kill -9, force pushes and deleted branches', async () => {
  const hook = await byWebhook();
  // A receiver that is down is waited for.
  hook.status = 503;
  const made = (await system.ask('POST', '/v1/followers', { body: { name: 'hook', all: true, refs: ['*'], webhook: { url: hook.url } } })).json<FollowerCreated>();
  hook.secret = made.webhookSecret ?? '';
  expect((await system.ask('POST', '/v1/followers', { body: { name: 'socket', codebases: [codebase], refs: ['*'] } })).status).toBe(201);
  const [poll, socket] = [byLongPoll('poll'), bySocket('socket')];
  await until('the receiver was asked', () => hook.refused > 0);
  const failing = await until('it is told', async () => [(await system.ask('GET', '/v1/followers/hook')).json<FollowerAnswer>().webhook].find((one) => one?.state === 'failing'));
  expect(failing).toMatchObject({ lastError: 'the receiver answered 503' });
  hook.status = 200;
  await system.ask('POST', '/v1/followers/hook/webhook/redeliver');

  const kill = async () => { await system.kill('SIGKILL'); await system.startEngine(); };
  await until('the feed has begun', () => poll.entries.length > 0 && socket.entries.length > 0 && hook.entries.length > 0);
  await kill();
  const every = (content: string) => Array.from({ length: 400 }, (_, n): Entry => ({ path: `src/d${n % 20}/f${n}.ts`, content: `export const f${n} = ${content};\n` }));
  push('main', every('1'));
  push('feature', [{ path: 'only/here', content: 'x' }], { parent: base });
  await until('the new version is told in part', () => poll.entries.some((entry) => entry.op === 'upsert' && entry.path === 'only/here') || poll.entries.length > 450);
  await kill();
  push('main', [{ path: 'forced', content: 'y' }, { path: 'src/d1/f1.ts' }], { parent: base });
  repository.git('push', '-q', 'origin', ':feature');
  const last = push('main', [{ path: Buffer.from([0x66, 0xff]), content: 'bytes' }]);
  await kill();
  await untilStored(system, codebase, MAIN, last);

  for (const [name, told] of [['poll', poll], ['socket', socket], ['hook', hook]] as const) {
    await until(`${name} has been told the last version`, () => {
      if (told.failed !== undefined) throw new Error(name, { cause: told.failed });
      return told.end !== undefined && told.held.shown(told.end).includes(last) && !told.held.shown(told.end).includes('feature');
    });
    await expectLaw(name, told.held, told.end ?? '');
    await until(`${name} has acknowledged`, async () => (await system.ask('GET', `/v1/followers/${name}`)).json<FollowerAnswer>().queuedGroups === 0);
  }
  // The receiver was asked the same under the same id while it said no.
  expect(hook.ids[0]).toMatch(/^msg_/);
  hook.server.close();
});

test('a follower begins with a snapshot, and is told from there on only what changed; names are its own', async () => {
  const wish = { name: 'from-snapshot', codebases: [codebase] };
  expect((await system.ask('POST', '/v1/followers', { body: wish })).status).toBe(201);
  expect((await system.ask('POST', '/v1/followers', { body: wish })).status).toBe(200);
  expect((await system.ask('POST', '/v1/followers', { body: { ...wish, refs: ['x'] } })).status).toBe(409);
  const lines = await snapshotOf('from-snapshot');
  expect(await snapshotOf('from-snapshot', `?at=${(lines[0] as { position: string }).position}`)).toEqual(lines);
  const held = new ModelClient();
  held.load(lines);
  expect((await system.ask('GET', `/v1/followers/from-snapshot/changes?after=${held.cursor}`)).status).toBe(409);
  const nothing = await system.ask('GET', `/v1/followers/from-snapshot/changes?after=${held.cursor}&ack=true`);
  expect(nothing.bytes.toString().trim().split('\n').map((line) => (JSON.parse(line) as FollowerEntry).op)).toEqual(['end']);

  // It waits, and answers as soon as there is something.
  const waiting = system.ask('GET', '/v1/followers/from-snapshot/changes?wait=55s');
  const commit = push('main', [{ path: 'one-more', content: 'z' }]);
  const told = (await waiting).bytes.toString().trim().split('\n').map((line) => JSON.parse(line) as FollowerEntry);
  expect(told.map(({ op }) => op)).toEqual(['upsert', 'ref-moved', 'end']);
  for (const entry of told) held.apply(entry);
  expect(held.shown('')).toContain(commit);
  await expectLaw('from-snapshot', held, (told.at(-1) as { position: string }).position);

  expect((await system.ask('POST', '/v1/followers/from-snapshot/ack', { body: { cursor: held.cursor } })).status).toBe(200);
  expect((await system.ask('POST', '/v1/followers/from-snapshot/ack', { body: { cursor: told[0]?.cursor } })).json()).toMatchObject({ status: 409, code: 'cursor-behind-acknowledged' });
  expect((await system.ask('GET', '/v1/followers', { headers: { authorization: 'Bearer nobody' } })).status).toBe(401);
  expect((await system.ask('POST', '/v1/followers', { body: { name: 'Bad Name', all: true, webhook: { url: 'ftp://u:p@x' } } })).json<{ errors: { pointer: string }[] }>().errors.map(({ pointer }) => pointer)).toEqual(['/name', '/webhook/url']);
  expect((await system.ask('DELETE', '/v1/followers/from-snapshot')).status).toBe(204);
  expect((await system.ask('GET', '/v1/followers/from-snapshot')).status).toBe(404);
});

test('tekai follow prints what changes and goes on where it ended; ls and rm tell and forget it', async () => {
  const tekai = (...words: string[]) => spawn(process.execPath, [...programOf('services/main.ts'), ...words, '--url', system.url],
    { env: { ...process.env, TEKAI_TOKEN: system.token }, stdio: ['ignore', 'pipe', 'inherit'] });
  /** Lines until one is as wished; then, once `isDone`, the program is killed. */
  const linesUntil = async (words: string[], isLast: (line: string) => boolean, isDone = async () => true): Promise<string[]> => {
    const child = tekai(...words);
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line);
      if (isLast(line)) break;
    }
    await until('it has done what it does behind the last line', isDone);
    child.kill('SIGKILL');
    return lines;
  };
  const all = await linesUntil(['follow', 'by-cli', '--codebase', 'followed', '--json'], (line) => line.includes('"op":"end"'),
    async () => (await system.ask('GET', '/v1/followers/by-cli')).json<FollowerAnswer>().position !== null);
  const held = new ModelClient();
  for (const line of all) held.apply(followerEntry.parse(JSON.parse(line)));
  await expectLaw('by-cli', held, (JSON.parse(all.at(-1) ?? '') as { position: string }).position);
  push('main', [{ path: 'for the\nCLI', content: '1' }]);
  expect((await linesUntil(['follow', 'by-cli'], (line) => line.startsWith('ref-moved'))).filter((line) => !line.startsWith('end')).map((line) => line.split(/  +/)[0])).toEqual(['upsert', 'ref-moved']);
  expect((await linesUntil(['follow', 'ls'], (line) => line.startsWith('by-cli')))).toEqual([expect.stringMatching(/^by-cli +1 codebases, default branches/)]);
  expect(await once(tekai('follow', 'rm', 'by-cli'), 'exit')).toEqual([0, null]);
  expect((await system.ask('GET', '/v1/followers/by-cli')).status).toBe(404);
});

test('to an address inside a webhook goes while its maker is a system admin: not any longer once they are none, and its state says why; and again once they are', async () => {
  const ben = await signIn(system, 'ben', { isSystemAdmin: true });
  const asBen = (method: string, where: string, body?: object) => system.ask(method, where, { body, headers: { authorization: `Bearer ${ben.accessToken}` } });
  const change = async (isSystemAdmin: boolean) => expect((await system.ask('PATCH', `/v1/users/${ben.id}`, { body: { isSystemAdmin } })).status).toBe(200);
  const hook = await byWebhook();
  hook.secret = (await asBen('POST', '/v1/followers', { name: 'of-ben', codebases: [codebase], webhook: { url: hook.url } })).json<FollowerCreated>().webhookSecret ?? '';
  await until('they are told all there is', () => hook.end !== undefined);
  const before = hook.ids.length;
  await change(false);
  // That they may not read it any more is news.
  const state = await until('it is not sent', async () => [(await asBen('GET', '/v1/followers/of-ben')).json<FollowerAnswer>().webhook].find((one) => one?.state === 'failing'));
  expect([state?.lastError, hook.ids.length]).toEqual([expect.stringMatching(/^Its maker is no system admin any more/), before]);
  await change(true);
  await asBen('POST', '/v1/followers/of-ben/webhook/redeliver');
  await until('they are told again', () => hook.ids.length > before && hook.end !== undefined);
  expect(hook.failed).toBeUndefined();
  hook.server.close();
});

test('a codebase that is removed is dropped, and not one more entry of it is told', async () => {
  await system.ask('POST', '/v1/followers', { body: { name: 'loses', all: true } });
  const first = (await system.ask('GET', '/v1/followers/loses/changes?limit=10')).bytes.toString().trim().split('\n').map((line) => JSON.parse(line) as FollowerEntry);
  expect(first.map(({ op }) => op)).toEqual(Array.from({ length: 10 }, () => 'upsert'));
  const { Client } = (await import('pg')).default;
  const client = new Client({ connectionString: system.databaseUrl });
  await client.connect();
  await client.query(`update read_model.codebases set state = 'removed' where codebase_id = $1`, [codebase]);
  await client.end();
  const after = (await system.ask('GET', `/v1/followers/loses/changes?after=${first.at(-1)?.cursor}`)).bytes.toString().trim().split('\n').map((line) => JSON.parse(line) as FollowerEntry);
  expect(after.map(({ op }) => op)).toEqual(['codebase-removed', 'end']);
});
