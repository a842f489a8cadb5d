import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { createParser } from 'eventsource-parser';
import type { GitLabProjectId, SourceId } from '#schemas/brand.ts';
import { streamedFact } from '#schemas/api/live.ts';
import { codebaseIdOf } from '#schemas/ids.ts';
import type { StreamEvents } from '#schemas/live/frames.ts';
import { makeRepository, type Repository } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

const run = promisify(execFile);
const MAIN = 'refs/heads/main';
type Pub = StreamEvents['pub'];

let system: System;
let repository: Repository;
let codebase: string;
let projectId: number;
let pushes = 0;

beforeAll(async () => {
  system = await startSystem();
  repository = await makeRepository();
  repository.commit('main', [{ path: 'a', content: '0' }]);
  const project = await system.gitlab.admin('POST', '/projects', { path: 'streamed', import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote('root/streamed'));
  projectId = project.id as number;
  codebase = codebaseIdOf(await system.sourceId() as SourceId, projectId as GitLabProjectId);
});
afterAll(async () => { await system.stop(); });

function push(): string {
  pushes += 1;
  const commit = repository.commit('main', [{ path: 'a', content: String(pushes) }]);
  repository.git('push', '-q', 'origin', 'main');
  return commit;
}

/** A reader of server-sent events, by hand: what it was told, over as many connections as it took. */
function readerOf(channels: readonly string[]) {
  const pubs: Pub[] = [];
  const subscribed: StreamEvents['subscribed'][] = [];
  const errors: StreamEvents['error'][] = [];
  const retries: number[] = [];
  let cut = new AbortController();
  let ended: Promise<void> = Promise.resolve();
  let lastId: string | undefined;
  return {
    pubs, subscribed, errors, retries,
    async connect(): Promise<Headers> {
      cut = new AbortController();
      const response = await fetch(`${system.url}/v1/live?${channels.map((ch) => `ch=${ch}`).join('&')}`, {
        headers: { authorization: `Bearer ${system.token}`, 'accept-encoding': 'gzip, deflate', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) }, signal: cut.signal,
      });
      expect(response.status).toBe(200);
      const before = subscribed.length;
      const parser = createParser({
        onRetry: (ms) => retries.push(ms),
        onEvent({ event, id, data }) {
          if (id !== undefined) lastId = id;
          if (event === 'pub') pubs.push(streamedFact.parse(JSON.parse(data)) as Pub);
          if (event === 'subscribed') subscribed.push(JSON.parse(data) as StreamEvents['subscribed']);
          if (event === 'error') errors.push(JSON.parse(data) as StreamEvents['error']);
        },
      });
      ended = (async () => {
        const decoder = new TextDecoder();
        for await (const piece of response.body ?? []) parser.feed(decoder.decode(piece as Uint8Array, { stream: true }));
      })().catch(() => undefined);
      await until('it is subscribed', () => subscribed.length > before);
      return response.headers;
    },
    drop: async () => { cut.abort(); await ended; },
    ended: () => ended,
  };
}

test('a reader of server-sent events is told exactly the facts of its channels, each once and in order, over dropped links, an orderly restart and a kill', async () => {
  await system.follow(projectId);
  const { id: PROJECT } = (await system.ask('POST', '/v1/projects', { body: { name: 'Streamed' } })).json<{ id: string }>();
  const { revision } = (await system.ask('PUT', `/v1/projects/${PROJECT}/codebases/${codebase}`, { headers: { 'if-match': '*' } })).json<{ revision: number }>();
  await until('it is in the project', async () => (await system.ask('GET', `/v1/projects/${PROJECT}`)).json<{ revision: number }>().revision === revision);
  const reader = readerOf(['all', `project:${PROJECT}`]);
  const project = readerOf([`project:${PROJECT}`]);
  const headers = await reader.connect();
  await project.connect();
  expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect([headers.get('content-encoding'), headers.get('x-accel-buffering')]).toEqual([null, 'no']);
  push();
  await until('a sync is told', () => reader.pubs.some(({ type }) => type === 'codebase.stored'));

  push();
  await reader.drop();
  await untilStored(system, codebase, MAIN, push());
  await reader.connect();

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    push();
    await system.kill(signal);
    await Promise.all([reader.ended(), project.ended()]);
    if (signal === 'SIGTERM') {
      expect(reader.errors).toMatchObject([{ code: 'restarting', position: reader.pubs.at(-1)?.position }]);
      expect(reader.retries).toHaveLength(1);
    }
    await system.startEngine();
    await untilStored(system, codebase, MAIN, push());
    await Promise.all([reader.connect(), project.connect()]);
  }
  await untilStored(system, codebase, MAIN, push());

  for (const [one, query, ownChannels] of [[reader, '', ['all', `project:${PROJECT}`]], [project, `key=${codebase}`, [`project:${PROJECT}`]]] as const) {
    const events = (await eventsOf(system, query)).filter(({ position }) => position > (one.subscribed[0]?.position ?? ''));
    const last = events.at(-1)?.position ?? 'none';
    await until('the last one has come', () => one.pubs.some(({ position }) => position >= last));
    const told = one.pubs.filter(({ position }) => position <= last);
    expect(told.map(({ id, type, position, data }) => ({ id, type, position, data }))).toEqual(events.map(({ id, type, position, data }) => ({ id, type, position, data })));
    expect(told.map(({ previous }) => previous)).toEqual([one.subscribed[0]?.position, ...told.slice(0, -1).map(({ position }) => position)]);
    expect(one.subscribed.every(({ recovered }) => recovered)).toBe(true);
    for (const pub of told) if (pub.key === codebase) expect(pub.channels).toEqual(ownChannels);
    await one.drop();
  }
});

test('who may not listen, and what cannot be listened to, is answered as a problem', async () => {
  const status = async (query: string, headers: Record<string, string> = {}) => {
    const answer = await system.ask('GET', `/v1/live${query}`, { headers });
    return [answer.status, answer.json<{ code: string }>().code];
  };
  const [{ position } = { position: '' }] = (await eventsOf(system, '')).slice(-1);
  expect(await status('?ch=all', { authorization: 'Bearer wrong' })).toEqual([401, 'not-authenticated']);
  expect(await status('')).toEqual([400, 'channel-missing']);
  expect(await status('?ch=all&since=x')).toEqual([400, 'position-malformed']);
  expect(await status(`?ch=all&since=${position.slice(0, 9)}99999999999999999999`)).toEqual([400, 'position-ahead']);
  const head = await system.ask('HEAD', '/v1/live?ch=all');
  expect([head.status, head.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
});

test('the examples of docs/live.md say what they promise', async () => {
  const root = path.resolve(import.meta.dirname, '../..');
  const text = await readFile(path.join(root, 'docs/live.md'), 'utf8');
  const example = (kind: string) => new RegExp(`\`\`\`${kind}\n([^]*?)\`\`\``).exec(text)?.[1] ?? '';
  const [first] = await eventsOf(system, `key=${codebase}`);
  const env = { ...process.env, TEKAI_URL: system.url, TEKAI_TOKEN: system.token, CODEBASE: codebase, SINCE: first?.position ?? '' };

  const streamed = await run('sh', ['-c', example('sh')], { env }).catch((error: { stdout: string }) => error);
  expect(streamed.stdout).toContain(`id: ${first?.position}\nevent: subscribed\ndata: {"channels":["all","codebase:${codebase}"]`);
  expect(streamed.stdout).toContain('"type":"codebase.stored"');

  const script = path.join(root, `tests/e2e/live-example-${process.pid}.mjs`);
  await writeFile(script, example('js'));
  try {
    expect((await run(process.execPath, [script], { env })).stdout).toMatch(/[0-9a-f]{8}-\d{20} codebase\.stored\n/);
  } finally {
    await rm(script, { force: true });
  }
});
