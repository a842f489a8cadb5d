import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { GitLabProjectId, SourceId } from '#schemas/brand.ts';
import { codebaseIdOf } from '#schemas/ids.ts';
import type { ServerFrame } from '#schemas/live/frames.ts';
import { makeRepository, type Entry } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

let system: System;
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });

const MAIN = 'refs/heads/main';
type Pub = Extract<ServerFrame, { op: 'pub' }>;

interface Follower {
  readonly pubs: Pub[];
  readonly others: ServerFrame[];
  /** Subscribes, behind the last position that it was told. */
  connect(): Promise<void>;
  /** How the connection ended. */
  closed(): Promise<number>;
  drop(): void;
}

/** A client of the live protocol, by hand: what it was told, over as many connections as it took. */
function followerOf(ch: string): Follower {
  const pubs: Pub[] = [];
  const others: ServerFrame[] = [];
  let socket: WebSocket;
  let ended: Promise<number>;
  return {
    pubs, others,
    async connect() {
      const subscribed = others.filter(({ op }) => op === 'subscribed').length;
      const since = pubs.at(-1)?.position;
      socket = new WebSocket(`${system.url.replace('http', 'ws')}/v1/live`, { headers: { authorization: `Bearer ${system.token}` } });
      ended = once(socket, 'close').then(([code]) => code as number);
      socket.on('message', (message: Buffer) => {
        const frame = JSON.parse(message.toString()) as ServerFrame;
        if (frame.op === 'pub') pubs.push(frame);
        else others.push(frame);
      });
      await once(socket, 'open');
      socket.send(JSON.stringify({ op: 'subscribe', ch, ...(since === undefined ? {} : { since }) }));
      await until('it is subscribed', () => others.filter(({ op }) => op === 'subscribed').length > subscribed);
    },
    closed: () => ended,
    drop: () => socket.terminate(),
  };
}

async function followedProject(name: string, entries: readonly Entry[]) {
  const repository = await makeRepository();
  const first = repository.commit('main', entries);
  const project = await system.gitlab.admin('POST', '/projects', { path: name, import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/${name}`));
  // Known before it is registered: so a client can listen from the very first fact.
  const codebase = codebaseIdOf(await system.sourceId() as SourceId, project.id as GitLabProjectId);
  return { repository, first, project, codebase };
}

test('a follower of a codebase is told exactly its facts, each once and in order, over dropped links and restarts of the engine', async () => {
  const { repository, first, project, codebase } = await followedProject('followed', [{ path: 'a', content: '0' }]);
  const push = (content: string) => {
    const commit = repository.commit('main', [{ path: 'a', content }]);
    repository.git('push', '-q', 'origin', 'main');
    return commit;
  };
  const follower = followerOf(`codebase:${codebase}`);
  const everything = followerOf('all');
  await Promise.all([follower.connect(), everything.connect()]);
  await system.follow(project.id);
  await untilStored(system, codebase, MAIN, first);

  // The link drops while syncs are under way.
  push('1');
  follower.drop();
  await untilStored(system, codebase, MAIN, push('2'));
  await follower.connect();

  // Asked to stop, the engine says so; killed, it does not.
  for (const [signal, code] of [['SIGTERM', 4_001], ['SIGKILL', 1_006]] as const) {
    push(`before ${signal}`);
    const closed = Promise.all([follower.closed(), everything.closed()]);
    await system.kill(signal);
    expect(await closed).toEqual([code, code]);
    await system.startEngine();
    await untilStored(system, codebase, MAIN, push(`after ${signal}`));
    await Promise.all([follower.connect(), everything.connect()]);
  }
  await untilStored(system, codebase, MAIN, push('last'));

  for (const [one, query] of [[follower, `key=${codebase}`], [everything, '']] as const) {
    const events = (await eventsOf(system, query)).filter(({ position }) => position >= (one.pubs[0]?.position ?? ''));
    const last = events.at(-1)?.position ?? 'none';
    await until('the last one has come', () => one.pubs.some(({ position }) => position >= last));
    const told = one.pubs.filter(({ position }) => position <= last);
    expect(told.map(({ id, type, position, data }) => ({ id, type, position, data }))).toEqual(events.map(({ id, type, position, data }) => ({ id, type, position, data })));
    const froms = one.others.filter((frame) => frame.op === 'subscribed');
    expect(froms.map(({ recovered }) => recovered)).toEqual(froms.map(() => true));
    expect(told.map(({ previous }) => previous)).toEqual([froms[0]?.position, ...told.slice(0, -1).map(({ position }) => position)]);
    one.drop();
  }
  expect(follower.pubs[0]?.type).toBe('codebase.registered');
});

test('a first sync of 3,000 files is seen to move, by its codebase\'s channel and by nobody else\'s', async () => {
  const entries = Array.from({ length: 3_000 }, (_, n): Entry => ({ path: `src/d${n % 50}/f${n}.ts`, content: `export const f${n} = ${n};\n`.repeat(1 + (n % 60)) }));
  const { first, project, codebase } = await followedProject('large', entries);
  const [own, other] = [followerOf(`codebase:${codebase}`), followerOf('codebase:00000000-0000-4000-8000-000000000000')];
  await Promise.all([own.connect(), other.connect()]);
  await system.follow(project.id);
  await untilStored(system, codebase, MAIN, first);
  const progress = own.others.flatMap((frame) => (frame.op === 'progress' ? [frame.progress as { codebaseId: string; ref: string; objectsDone: number; bytesDone: number; syncId: string }] : []));
  expect(progress.length).toBeGreaterThan(0);
  expect(new Set(progress.map(({ codebaseId, ref }) => `${codebaseId} ${ref}`))).toEqual(new Set([`${codebase} ${MAIN}`]));
  await until('its end has come', () => own.pubs.some(({ type }) => type === 'codebase.stored'));
  expect((own.pubs.find(({ type }) => type === 'codebase.stored')?.data as { syncId: string }).syncId).toBe(progress[0]?.syncId);
  expect(other.others.filter(({ op }) => op === 'progress')).toEqual([]);
  expect(other.pubs).toEqual([]);
  own.drop();
  other.drop();
});
