import { jest } from '@jest/globals';
import { EventEmitter } from 'node:events';
import { randomUUID } from 'node:crypto';
import type { WebSocket } from 'ws';
import type { ServerFrame } from '#schemas/live/frames.ts';
import { positionOutside } from '#schemas/positions.ts';
import type { Progress } from '#shared/bus/bus.ts';
import { createTokenAccess } from '#shared/runtime/access.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { createNotifierBench, KEY_A, KEY_B } from './notifier-bench.fixture.ts';
import { serveSocket, type LiveSocket } from './socket.ts';

type Of<Op extends ServerFrame['op']> = Extract<ServerFrame, { op: Op }>;

const sockets: EventEmitter[] = [];
afterEach(() => { for (const socket of sockets.splice(0)) socket.emit('close'); });

/** One client: what it was sent, and how it was let go. */
function connectClient({ isKnown = true, bench = createNotifierBench() } = {}) {
  const frames: ServerFrame[] = [];
  const closed: { code: number; reason: string }[] = [];
  const socket = Object.assign(new EventEmitter(), {
    OPEN: 1, readyState: 1, bufferedAmount: 0,
    send: (text: string) => void frames.push(JSON.parse(text) as ServerFrame),
    close(code: number, reason: string) { if (socket.readyState === 1) closed.push({ code, reason }); socket.readyState = 2; },
  });
  sockets.push(socket);
  const served: LiveSocket = serveSocket({ ...bench, access: createTokenAccess('secret'), logger: createLogger('silent') }, socket as unknown as WebSocket, { isKnown });
  return {
    bench, socket, served, frames, closed,
    say: (frame: unknown) => void socket.emit('message', Buffer.from(typeof frame === 'string' ? frame : JSON.stringify(frame))),
    ofOp: <Op extends ServerFrame['op']>(op: Op) => frames.filter((frame) => frame.op === op) as Of<Op>[],
    until: async (isSo: () => boolean) => { for (let turn = 0; turn < 5_000 && !isSo(); turn += 1) await new Promise(setImmediate); expect(isSo()).toBe(true); },
  };
}

describe('connecting', () => {
  test('with a known token in the header is greeted at once, with the limits', () => {
    expect(connectClient().frames).toEqual([{ op: 'connected', v: 1, pingMs: 25_000, limits: { channels: 200, catchUpFacts: 10_000 } }]);
  });

  test('with a known token in the first frame is greeted then', async () => {
    const client = connectClient({ isKnown: false });
    expect(client.frames).toEqual([]);
    client.say({ op: 'connect', v: 1, token: 'secret' });
    await client.until(() => client.ofOp('connected').length === 1);
  });

  test('with a wrong token is let go, and told not to come back without a better one', async () => {
    const client = connectClient({ isKnown: false });
    client.say({ op: 'connect', v: 1, token: 'wrong' });
    await client.until(() => client.closed.length === 1);
    expect(client.closed[0]?.code).toBe(4_501);
    expect(client.frames).toEqual([]);
  });

  test('and asking for something before that is let go', async () => {
    const client = connectClient({ isKnown: false });
    client.say({ op: 'subscribe', ch: 'all' });
    await client.until(() => client.closed.length === 1);
    expect(client.closed[0]?.code).toBe(4_501);
  });

  describe('within ten seconds', () => {
    beforeEach(() => { jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] }); });
    afterEach(() => { jest.useRealTimers(); });

    test('who has not said who they are is let go', () => {
      const client = connectClient({ isKnown: false });
      jest.advanceTimersByTime(9_999);
      expect(client.closed).toEqual([]);
      jest.advanceTimersByTime(1);
      expect(client.closed).toEqual([{ code: 4_501, reason: 'send a connect frame within 10 s' }]);
    });

    test('who has said so may stay', async () => {
      const client = connectClient({ isKnown: false });
      client.say({ op: 'connect', v: 1, token: 'secret' });
      await client.until(() => client.frames.length === 1);
      jest.advanceTimersByTime(60_000);
      expect(client.closed).toEqual([]);
    });
  });
});

test.each(['no json', '[]', '{"op":"shout"}', '{"op":"subscribe","ch":"codebase:x"}', '{"op":"connect","v":2,"token":"secret"}', '{"op":"subscribe","ch":"all","since":7}'])('a frame that is none (%s) ends the socket', async (frame) => {
  const client = connectClient();
  client.say(frame);
  await client.until(() => client.closed.length === 1);
  expect(client.closed[0]?.code).toBe(4_502);
});

describe('subscribing', () => {
  test('without a position begins now; with one, behind it', async () => {
    const client = connectClient();
    for (let count = 0; count < 3; count += 1) await client.bench.append(KEY_A);
    client.bench.project();
    client.say({ op: 'subscribe', ch: 'all' });
    client.say({ op: 'subscribe', ch: `codebase:${KEY_A}`, since: positionOutside(client.bench.epoch, client.bench.all[0]?.position as never) });
    await client.until(() => client.ofOp('pub').length === 2);
    expect(client.ofOp('subscribed')).toEqual([
      { op: 'subscribed', ch: 'all', position: positionOutside(client.bench.epoch, client.bench.visible), recovered: true },
      { op: 'subscribed', ch: `codebase:${KEY_A}`, position: positionOutside(client.bench.epoch, client.bench.all[0]?.position as never), recovered: true },
    ]);
    expect(client.ofOp('pub').map(({ id }) => id)).toEqual(client.bench.all.slice(1).map(({ id }) => id));
  });

  test('with a position of another log is not recovered, and begins now', async () => {
    const client = connectClient();
    await client.bench.append(KEY_A);
    client.bench.project();
    client.say({ op: 'subscribe', ch: 'all', since: positionOutside('another epoch', client.bench.visible) });
    await client.until(() => client.ofOp('subscribed').length === 1);
    expect(client.ofOp('subscribed')[0]).toMatchObject({ recovered: false, position: positionOutside(client.bench.epoch, client.bench.visible) });
    expect(client.ofOp('pub')).toEqual([]);
  });

  test('behind more than can be caught up is not recovered', async () => {
    const client = connectClient();
    for (let count = 0; count < 10_001; count += 1) await client.bench.append(KEY_A);
    client.bench.project();
    client.say({ op: 'subscribe', ch: 'all', since: positionOutside(client.bench.epoch, '' as never) });
    await client.until(() => client.ofOp('subscribed').length === 1);
    expect(client.ofOp('subscribed')[0]?.recovered).toBe(false);
    client.say({ op: 'subscribe', ch: `codebase:${KEY_B}`, since: positionOutside(client.bench.epoch, '' as never) });
    await client.until(() => client.ofOp('subscribed').length === 2);
    expect(client.ofOp('subscribed')[1]?.recovered).toBe(true);
  });

  test('with what is no position is an error, and the socket stays', async () => {
    const client = connectClient();
    client.say({ op: 'subscribe', ch: 'all', since: 'yesterday' });
    await client.until(() => client.ofOp('error').length === 1);
    expect(client.ofOp('error')[0]?.code).toBe('position-malformed');
    expect(client.closed).toEqual([]);
  });

  test('to more channels than 200 is refused; to one of them again is not', async () => {
    const client = connectClient();
    const channels = Array.from({ length: 201 }, () => `codebase:${randomUUID()}`);
    for (const ch of channels) client.say({ op: 'subscribe', ch });
    client.say({ op: 'subscribe', ch: channels[0] });
    await client.until(() => client.ofOp('subscribed').length === 201);
    expect(client.ofOp('error')).toMatchObject([{ code: 'too-many-channels' }]);
  });

  test('ends with unsubscribe', async () => {
    const client = connectClient();
    client.say({ op: 'subscribe', ch: 'all' });
    client.say({ op: 'unsubscribe', ch: 'all' });
    await client.until(() => client.ofOp('unsubscribed').length === 1);
    client.served.take(await client.bench.append(KEY_A));
    expect(client.ofOp('pub')).toEqual([]);
  });
});

test('a reader that does not read is let go with the position to resume from, and is sent nothing more', async () => {
  const client = connectClient();
  client.say({ op: 'subscribe', ch: 'all' });
  await client.until(() => client.ofOp('subscribed').length === 1);
  const first = await client.bench.append(KEY_A);
  client.bench.project();
  client.served.take(first);
  await client.until(() => client.ofOp('pub').length === 1);
  client.socket.bufferedAmount = 5 * 1_048_576;
  client.served.take(await client.bench.append(KEY_A));
  client.served.take(await client.bench.append(KEY_A));
  expect(client.closed).toEqual([{ code: 4_008, reason: `too slow; resume after ${positionOutside(client.bench.epoch, first.position)}` }]);
  expect(Buffer.byteLength(client.closed[0]?.reason ?? '')).toBeLessThanOrEqual(123);
  expect(client.ofOp('pub')).toHaveLength(1);
});

test('progress reaches the channel of its codebase, and all', async () => {
  const client = connectClient();
  const progress = (codebaseId: string) => ({ syncId: 's', codebaseId, ref: 'refs/heads/main', step: 'fetch', objectsDone: 1, objectsTotal: null, bytesDone: 1 }) as unknown as Progress;
  client.served.tellProgress(progress(KEY_A));
  client.say({ op: 'subscribe', ch: `codebase:${KEY_A}` });
  client.say({ op: 'subscribe', ch: 'all' });
  await client.until(() => client.ofOp('subscribed').length === 2);
  client.served.tellProgress(progress(KEY_A));
  client.served.tellProgress(progress(KEY_B));
  expect(client.ofOp('progress').map(({ ch }) => ch)).toEqual(['all', `codebase:${KEY_A}`, 'all']);
});

test('when something that it depends on is away, the client is let go and may come back', async () => {
  const bench = createNotifierBench();
  const client = connectClient({ bench: { ...bench, store: { ...bench.store, position: async () => { throw new Unavailable('database', 'away'); } } } as typeof bench });
  client.say({ op: 'subscribe', ch: 'all' });
  await client.until(() => client.closed.length === 1);
  expect(client.closed[0]?.code).toBe(4_001);
});
