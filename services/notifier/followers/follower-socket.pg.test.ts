import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import type { CodebaseId, Position } from '#schemas/brand.ts';
import type { FollowerServerFrame } from '#schemas/live/follower-frames.ts';
import { createTokenAccess } from '#shared/runtime/access.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createPositionSignal } from '#shared/runtime/position-signal.ts';
import { createFollower } from './follower-store.ts';
import { createFollowerWorld, type FollowerWorld } from './follower-world.fixture.ts';
import { CLOSE, serveFollower, type FollowerSocketDeps } from './follower-socket.ts';

const ID = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa' as CodebaseId;
const ACTOR = { kind: 'token', id: 'first-token' } as const;
const FILES = 6_500;
const files = new Map(Array.from({ length: FILES }, (_, n) => [`d${n % 50}/f${n}`, String(n)]));

/** The half of a WebSocket that the server talks to. */
class FakeSocket extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;
  bufferedAmount = 0;
  readonly frames: FollowerServerFrame[] = [];
  closed: { code: number; reason: string } | undefined;
  send(text: string): void { this.frames.push(JSON.parse(text) as FollowerServerFrame); }
  close(code: number, reason: string): void { this.readyState = 3; this.closed ??= { code, reason }; this.emit('close'); }
  say(frame: object): void { this.emit('message', Buffer.from(JSON.stringify(frame))); }
  entries() { return this.frames.flatMap((frame) => (frame.op === 'entries' ? frame.entries : [])); }
}

let world: FollowerWorld;
let deps: FollowerSocketDeps;
/** Ends every wait for an acknowledgement at once. */
let isOutOfPatience: boolean;
beforeAll(async () => { world = await createFollowerWorld(); });
afterAll(() => world.close());
beforeEach(async () => {
  await world.empty();
  isOutOfPatience = false;
  deps = {
    ...world.deps, pool: world.pool, projected: createPositionSignal(), now: () => new Date(), access: createTokenAccess('right'), logger: createLogger('silent'),
    store: { position: async () => (await world.pool.query<{ position: Position }>('select position from read_model.progress')).rows[0]!.position },
    async sleep(ms, signal) { while (!signal.aborted && !(isOutOfPatience && ms > 60_000)) await sleep(5, undefined, { signal }).catch(() => undefined); },
  };
  await world.register(ID);
  await world.push(ID, 'refs/heads/main', files);
  await createFollower({ pool: world.pool, vault: { put: async () => undefined, delete: async () => undefined }, now: () => new Date() }, ACTOR, { name: 'f', all: true });
});

async function until(isThere: () => boolean): Promise<void> {
  const end = performance.now() + 60_000;
  while (!isThere()) {
    if (performance.now() > end) throw new Error('waited in vain');
    await sleep(5);
  }
}

function open(): FakeSocket {
  const socket = new FakeSocket();
  serveFollower(deps, socket as unknown as WebSocket, { principal: undefined, refused: () => {}, pingMs: 1_000 });
  return socket;
}

test('no more is told than may be in flight; acknowledgements make room; then what is new comes by itself', async () => {
  const socket = open();
  socket.say({ op: 'connect', v: 1, token: 'right' });
  socket.say({ op: 'follow', name: 'f' });
  await until(() => socket.entries().length >= 5_000);
  await sleep(50);
  // An end may stand at the close of a page.
  expect(socket.entries()).toHaveLength(5_000);
  socket.say({ op: 'ack', cursor: socket.entries()[2_999]?.cursor });
  await until(() => socket.entries().at(-1)?.op === 'end');
  expect(socket.entries()).toHaveLength(FILES + 2);
  socket.say({ op: 'ack', cursor: socket.entries().at(-1)?.cursor });
  await world.push(ID, 'refs/heads/main', new Map([...files, ['new', '1']]));
  await until(() => socket.entries().filter(({ op }) => op === 'ref-moved').length === 2);
  world.denied.add(ID);
  await until(() => socket.entries().some(({ op }) => op === 'access-lost'));
  socket.close(1_000, 'done');
});

test('a client that acknowledges nothing, or does not read, is let go with the reason', async () => {
  const socket = open();
  socket.say({ op: 'connect', v: 1, token: 'right' });
  socket.say({ op: 'follow', name: 'f' });
  await until(() => socket.entries().length >= 5_000);
  isOutOfPatience = true;
  await until(() => socket.closed !== undefined);
  expect(socket.closed).toEqual({ code: CLOSE.tooSlow, reason: 'too slow: 5000 entries wait to be acknowledged' });
  const stuck = open();
  stuck.bufferedAmount = 5_000_000;
  stuck.say({ op: 'connect', v: 1, token: 'right' });
  stuck.say({ op: 'follow', name: 'f' });
  await until(() => stuck.closed !== undefined);
  expect(stuck.closed?.code).toBe(CLOSE.tooSlow);
});

test('who is not known, says nonsense, or stands where nobody stood is told so', async () => {
  const frames: [object, number][] = [[{ op: 'connect', v: 1, token: 'wrong' }, CLOSE.notAuthenticated], [{ op: 'follow', name: 'f' }, CLOSE.notAuthenticated], [{ op: 'what' }, CLOSE.malformed]];
  for (const [frame, code] of frames) {
    const socket = open();
    socket.say(frame);
    await until(() => socket.closed !== undefined);
    expect(socket.closed?.code).toBe(code);
  }
  const socket = open();
  socket.say({ op: 'connect', v: 1, token: 'right' });
  socket.say({ op: 'follow', name: 'nobody' });
  await until(() => socket.closed !== undefined);
  expect(socket.frames.at(-1)).toMatchObject({ op: 'error', code: 'follower-unknown' });
  expect(socket.closed).toEqual({ code: CLOSE.refused, reason: 'follower-unknown' });
});

test('frames that come faster than they are worked on are not kept without end', async () => {
  const socket = open();
  socket.say({ op: 'connect', v: 1, token: 'right' });
  socket.say({ op: 'follow', name: 'f' });
  await until(() => socket.entries().length > 0);
  const cursor = `${socket.entries()[0]?.cursor.split('.')[0]}.1.${'61'.repeat(15_000)}`;
  for (let n = 0; n < 200 && socket.closed === undefined; n += 1) socket.say({ op: 'ack', cursor });
  expect(socket.closed).toMatchObject({ code: CLOSE.refused, reason: expect.stringContaining('too many frames') });
});
