import { jest } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { positionOutside } from '#schemas/positions.ts';
import type { Progress } from '#shared/bus/bus.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { connectClient, cutClients } from './connected-client.fixture.ts';
import { ANN, createNotifierBench, KEY_A, KEY_B, PROJECT } from './notifier-bench.fixture.ts';
import { LIMITS } from './subscription.ts';

afterEach(cutClients);

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

  test('stays as long as what was shown is good, and while nobody can tell; then is let go', async () => {
    const client = connectClient();
    const { access } = client.notifier.live;
    const known = access.recheck;
    await client.recheck();
    access.recheck = async () => { throw new Error('the database is away'); };
    await client.recheck();
    expect(client.closed).toEqual([]);
    access.recheck = async () => undefined;
    await client.recheck();
    await client.until(() => client.closed.length === 1);
    const other = connectClient();
    other.notifier.live.access.recheck = async (principal) => ({ ...(await known(principal))!, isSystemAdmin: false });
    await other.recheck();
    await other.until(() => other.closed.length === 1);
    expect([client, other].map(({ closed }) => closed[0]?.code)).toEqual([4_501, 4_503]);
  });

  test('as somebody else, behind what was subscribed, is let go: nothing goes on under a token that nobody looks at any more', async () => {
    const client = connectClient();
    client.say({ op: 'connect', v: 1, token: 'secret' });
    client.say({ op: 'subscribe', ch: 'all' });
    await client.until(() => client.ofOp('subscribed').length === 1);
    expect(client.closed).toEqual([]);
    client.say({ op: 'connect', v: 1, token: 'secret' });
    await client.until(() => client.closed.length === 1);
    expect(client.closed[0]?.code).toBe(4_502);
  });

  test('what is refused is noted as an answer of that code is: a token that nobody knows, asking before it, and a channel that is not theirs; a slip is not', async () => {
    const [stranger, hasty, ann] = [connectClient({ isKnown: false }), connectClient({ isKnown: false }), connectClient({ principal: ANN })];
    stranger.say({ op: 'connect', v: 1, token: 'wrong' });
    hasty.say({ op: 'subscribe', ch: 'all' });
    for (const ch of ['all', `codebase:${KEY_A}`, `project:${PROJECT}`]) ann.say({ op: 'subscribe', ch });
    await stranger.until(() => stranger.closed.length === 1);
    await hasty.until(() => hasty.closed.length === 1);
    await ann.until(() => ann.ofOp('error').length === 3);
    expect([stranger.noted, hasty.noted]).toMatchObject([[{ actor: { kind: 'nobody' }, code: 'not-authenticated', token: 'wrong' }], [{ actor: { kind: 'nobody' }, code: 'not-authenticated' }]]);
    const byAnn = { actor: ANN.actor, act: 'request-refused', route: 'WS /v1/live', address: '192.0.2.1' };
    expect(ann.noted).toMatchObject([{ ...byAnn, code: 'not-allowed', target: null }, { ...byAnn, code: 'codebase-unknown', target: KEY_A }, { ...byAnn, code: 'project-unknown', target: PROJECT }]);
    const admin = connectClient();
    admin.say({ op: 'subscribe', ch: 'all', since: 'nowhere' });
    await admin.until(() => admin.ofOp('error').length === 1);
    expect(admin.noted).toEqual([]);
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
      client.pipe.read();
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
    const bench = createNotifierBench();
    for (let count = 0; count < 10_001; count += 1) await bench.append(KEY_A);
    bench.project();
    const client = connectClient({ bench });
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
    await client.bench.append(KEY_A);
    client.bench.project();
    await client.notifier.untilTold();
    client.pipe.read();
    expect(client.ofOp('pub')).toEqual([]);
  });
});

test('a position behind the last fact is an error that says so, and the socket stays', async () => {
  const client = connectClient();
  await client.bench.append(KEY_A);
  client.bench.project();
  client.say({ op: 'subscribe', ch: 'all', since: positionOutside(client.bench.epoch, '00000000000000000009' as never) });
  await client.until(() => client.ofOp('error').length === 1);
  expect(client.ofOp('error')[0]).toMatchObject({ code: 'position-ahead', ch: 'all', detail: expect.stringContaining(positionOutside(client.bench.epoch, client.bench.visible)) });
  expect(client.ofOp('subscribed')).toEqual([]);
  client.say({ op: 'subscribe', ch: 'all' });
  await client.until(() => client.ofOp('subscribed').length === 1);
});

test('a position that the log has and the tables have not reached yet is waited for', async () => {
  const client = connectClient();
  for (let count = 0; count < 3; count += 1) await client.bench.append(KEY_A);
  client.bench.project(1);
  client.say({ op: 'subscribe', ch: 'all', since: positionOutside(client.bench.epoch, client.bench.all[1]?.position as never) });
  await client.until(() => client.ofOp('subscribed').length === 1);
  client.bench.project();
  await client.until(() => client.ofOp('pub').length > 0);
  expect(client.ofOp('pub').map(({ id }) => id)).toEqual([client.bench.all[2]?.id]);
});

test('a project is its codebases and itself: who joins is told from then on, who leaves no longer', async () => {
  const client = connectClient();
  client.say({ op: 'subscribe', ch: `project:${PROJECT}` });
  await client.until(() => client.ofOp('subscribed').length === 1);
  const expected: string[] = [];
  for (const [isMember, isToldThen] of [[undefined, false], [true, true], [false, false], [true, true]] as const) {
    if (isMember !== undefined) expected.push((await client.bench.setMember(KEY_A, isMember)).id);
    const { id } = await client.bench.append(KEY_A);
    await client.bench.append(KEY_B);
    if (isToldThen) expected.push(id);
    client.bench.project();
    await client.notifier.untilTold();
    client.pipe.read();
  }
  await client.until(() => client.ofOp('pub').length === expected.length);
  expect(client.ofOp('pub').map(({ id }) => id)).toEqual(expected);
});

test('whose codebase joins a project while a page of it is read misses nothing behind the joining', async () => {
  const bench = createNotifierBench({ recentMax: 1 });
  for (let count = 0; count < 3; count += 1) await bench.setMember(KEY_B, true);
  bench.project();
  const client = connectClient({ bench });
  const pause = bench.pause;
  let joined: string | undefined;
  bench.pause = async () => {
    if (bench.pagesRead === 2 && joined === undefined) {
      joined = 'soon';
      await bench.setMember(KEY_A, true);
      joined = (await bench.append(KEY_A)).id;
      bench.project();
    }
    await pause();
  };
  client.say({ op: 'subscribe', ch: `project:${PROJECT}`, since: positionOutside(bench.epoch, '' as never) });
  await client.until(() => client.ofOp('pub').length === 5);
  expect(client.ofOp('pub').at(-1)?.id).toBe(joined);
});

test('a reader that does not read is let go with the position to resume from, behind all that was written, and is sent nothing more', async () => {
  const bench = createNotifierBench({ limits: { ...LIMITS, backlogBytes: 5_000, behindBytes: 5_000 } });
  const [client, other] = [connectClient({ bench }), connectClient({ bench })];
  for (const one of [client, other]) { one.say({ op: 'subscribe', ch: 'all' }); await one.until(() => one.ofOp('subscribed').length === 1); }
  client.isReading = false;
  for (let count = 0; count < 40; count += 1) await bench.append(KEY_A);
  bench.project();
  for (let count = 0; count < 40; count += 1) { await client.notifier.untilTold(); await other.notifier.untilTold(); other.pipe.read(); }
  expect(client.closed).toEqual([]);
  client.isReading = true;
  await client.until(() => client.closed.length === 1);
  const last = client.ofOp('pub').at(-1);
  expect(client.ofOp('pub').length).toBeGreaterThan(5);
  expect(client.ofOp('pub').length).toBeLessThan(40);
  expect(client.closed).toEqual([{ code: 4_008, reason: `too slow; resume after ${last?.position}` }]);
  expect(Buffer.byteLength(client.closed[0]?.reason ?? '')).toBeLessThanOrEqual(123);
});

test('a catch-up goes as fast as its reader, who is not let go for being behind', async () => {
  const bench = createNotifierBench({ limits: { ...LIMITS, backlogBytes: 20_000, behindBytes: 2_000 } });
  for (let count = 0; count < 600; count += 1) await bench.append(KEY_A);
  bench.project();
  const client = connectClient({ bench });
  client.say({ op: 'subscribe', ch: 'all', since: positionOutside(bench.epoch, '' as never) });
  await client.until(() => client.ofOp('pub').length === 600);
  expect(client.closed).toEqual([]);
});

test('a catch-up ends when the socket does', async () => {
  const bench = createNotifierBench();
  for (let count = 0; count < 1_000; count += 1) await bench.append(KEY_A);
  bench.project();
  const client = connectClient({ bench });
  client.say({ op: 'subscribe', ch: 'all', since: positionOutside(bench.epoch, '' as never) });
  await client.until(() => client.ofOp('pub').length > 0);
  const read = bench.pagesRead;
  client.cut();
  for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
  expect(bench.pagesRead).toBeLessThan(read + 3);
});

test('progress reaches the channels of its codebase and of its projects, and all', async () => {
  const client = connectClient();
  const progress = (codebaseId: string) => ({ syncId: 's', codebaseId, ref: 'refs/heads/main', step: 'fetch', objectsDone: 1, objectsTotal: null, bytesDone: 1 }) as unknown as Progress;
  await client.bench.setMember(KEY_A, true);
  client.bench.project();
  client.notifier.fanOut.progress(progress(KEY_A));
  for (const ch of [`codebase:${KEY_A}`, 'all', `project:${PROJECT}`]) client.say({ op: 'subscribe', ch });
  await client.until(() => client.ofOp('subscribed').length === 3);
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  client.notifier.fanOut.progress(progress(KEY_A));
  client.notifier.fanOut.progress(progress(KEY_B));
  await client.until(() => client.ofOp('progress').length === 4);
  expect(client.ofOp('progress').map(({ ch }) => ch).sort()).toEqual(['all', 'all', `codebase:${KEY_A}`, `project:${PROJECT}`]);
});

test('when something that it depends on is away, the client is let go and may come back', async () => {
  const bench = createNotifierBench();
  const client = connectClient({ bench });
  bench.store.position = async () => { throw new Unavailable('database', 'away'); };
  client.say({ op: 'subscribe', ch: 'all' });
  await client.until(() => client.closed.length === 1);
  expect(client.closed[0]?.code).toBe(4_001);
});
