import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startRedis } from '../../infra/servers/redis.ts';
import { freePort, type RunningServer } from '../../infra/servers/server.ts';
import type { Progress } from '#shared/bus/bus.ts';
import { until } from '#shared/bus/bus-bench.contract.ts';
import { progressChannelContract } from '#shared/bus/progress-channel.contract.ts';
import { createRedisProgressChannel } from '#shared/bus/redis-progress-channel.ts';
import { createMemoryRequestHolds } from '#shared/gitlab/memory-request-holds.ts';
import { createRedisRequestHolds } from '#shared/gitlab/redis-request-holds.ts';
import { createRedisRequestPlaces } from '#shared/gitlab/redis-request-places.ts';
import { requestHoldsContract } from '#shared/gitlab/request-holds.contract.ts';
import { requestPlacesContract } from '#shared/gitlab/request-places.contract.ts';
import { createKeyedSlots } from '#shared/gitlab/slots.ts';
import { createMemoryRequestCounts } from '#shared/runtime/memory-request-counts.ts';
import { createRedisRequestCounts } from '#shared/runtime/redis-request-counts.ts';
import { requestCountsContract } from '#shared/runtime/request-counts.contract.ts';
import { hasOpenssl, makeAuthority } from '#tests/harness/private-authority.ts';
import { describeWith } from '#tests/stack/stack-test.ts';
import { openRedis, type RedisConnection } from './connection.ts';

const PREFIX = 'tekai:test:';
const said: { reason?: string; message: string }[] = [];
const logger = {
  warn: (about: { reason: string }, message: string) => void said.push({ ...about, message }),
  info: (message: string) => void said.push({ message }),
} as never;
const PING = `return redis.call('PING', 'here')`;

const opened: RedisConnection[] = [];
let folder: string;
beforeAll(async () => { folder = await mkdtemp(path.join(tmpdir(), 'tekai-redis-')); });
afterEach(() => { said.length = 0; });
afterAll(async () => {
  for (const redis of opened) redis.close();
  await rm(folder, { recursive: true, force: true });
});

function open(url: string): RedisConnection {
  const redis = openRedis(url, { logger });
  opened.push(redis);
  return redis;
}

const answers = (redis: RedisConnection) => redis.run(PING, []).then((answer) => answer === 'here', () => false);
const progress = (objectsDone: number) => ({ syncId: 's', codebaseId: 'c', ref: 'refs/heads/main', step: 'fetch', objectsDone, objectsTotal: null, bytesDone: 1 }) as unknown as Progress;
const placesOver = (redis: RedisConnection, placesMax: number) => createRedisRequestPlaces(redis, { prefix: PREFIX, placesMax, own: createKeyedSlots(placesMax) });
const holdsOver = (redis: RedisConnection) => createRedisRequestHolds(redis, { prefix: PREFIX, own: createMemoryRequestHolds() });
const countsOver = (redis: RedisConnection) => createRedisRequestCounts(redis, { prefix: PREFIX, fallback: createMemoryRequestCounts() });

describeWith('TEKAI_TEST_REDIS', 'what processes share over a real Redis', (url) => {
  const processes: RedisConnection[] = [];
  let turn = 0;
  const next = () => processes[(turn += 1) % 2]!;
  beforeAll(async () => {
    processes.push(open(url), open(url));
    for (const redis of processes) await until('Redis answers', () => answers(redis));
  });

  progressChannelContract('Redis', () => createRedisProgressChannel(next(), { prefix: PREFIX }));
  requestCountsContract('Redis', () => countsOver(next()));
  requestHoldsContract('Redis', () => holdsOver(next()));
  requestPlacesContract('Redis', { placesMax: 3, open: () => placesOver(next(), 3) });

  test('two engines on one Redis do not hear each other', async () => {
    const [ours, theirs, here] = [createRedisProgressChannel(next(), { prefix: PREFIX }), createRedisProgressChannel(next(), { prefix: 'tekai:other:' }), createRedisProgressChannel(next(), { prefix: PREFIX })];
    const heard: number[] = [];
    const stop = here.listen(({ objectsDone }) => heard.push(objectsDone));
    await until('ours is heard', () => { theirs.tell(progress(2)); ours.tell(progress(1)); return heard.length > 2; }).finally(stop);
    expect(new Set(heard)).toEqual(new Set([1]));
  });

  test('the places of a process that died come free, those of a living one are kept', async () => {
    const [dies, lives] = [open(url), processes[0]!];
    await until('Redis answers', () => answers(dies));
    const gitlab = 'https://gitlab.example.com';
    await placesOver(dies, 2).take(gitlab);
    dies.close();
    const kept = await placesOver(lives, 2).take(gitlab);
    // Another process, whose third place comes only once the dead one's has run out: by then the living one was kept alive.
    const other = placesOver(processes[1]!, 2);
    const second = await other.take(gitlab);
    const third = other.take(gitlab, AbortSignal.timeout(200));
    await expect(third).rejects.toThrow();
    second();
    kept();
    for (const release of [await other.take(gitlab), await other.take(gitlab)]) release();
  }, 60_000);
});

describeWith('TEKAI_TEST_REDIS', 'a Redis that goes away', () => {
  let server: RunningServer;
  let port: number;
  const start = async () => { server = await startRedis({ directory: path.join(folder, 'own'), port }); };
  beforeAll(async () => { port = await freePort(); await start(); });
  afterAll(async () => { await server.kill(); });

  test('killed and started again in the middle: who counts, asks and listens goes on, alone and then together', async () => {
    const [here, there] = [open(server.url), open(server.url)];
    await until('Redis answers', async () => (await answers(here)) && answers(there));
    const [counts, places] = [countsOver(here), placesOver(here, 2)];
    const heard: number[] = [];
    const stop = createRedisProgressChannel(there, { prefix: PREFIX }).listen(({ objectsDone }) => heard.push(objectsDone));
    const teller = createRedisProgressChannel(here, { prefix: PREFIX });
    await until('it is heard', () => { teller.tell(progress(1)); return heard.length > 0; });
    expect((await counts.count('a', 600_000)).count).toBe(1);
    expect((await counts.count('a', 600_000)).count).toBe(2);

    const working = Promise.all(Array.from({ length: 50 }, async () => { const release = await places.take('g'); await new Promise(setImmediate); release(); }));
    const holds = holdsOver(here);
    await server.kill();
    await working;
    holds.hold('g', 600_000);
    expect([await holds.leftMs('g'), await holdsOver(there).leftMs('g')]).toEqual([expect.any(Number), 0]);
    expect(await holds.leftMs('g')).toBeGreaterThan(0); // Who was told still waits.
    expect((await counts.count('a', 600_000)).count).toBe(1); // This process's own.
    teller.tell(progress(2));
    (await places.take('g'))();

    await start();
    await until('Redis is back', async () => (await answers(here)) && answers(there));
    heard.length = 0;
    await until('it is heard again', () => { teller.tell(progress(3)); return heard.length > 0; });
    stop();
    expect((await countsOver(there).count('b', 600_000)).count).toBe(1);
    expect((await counts.count('b', 600_000)).count).toBe(2);
    expect(said.map(({ message }) => message).filter((message) => message.startsWith('Redis is away'))).toHaveLength(2); // Once by each.
  }, 120_000);

  test('stopped in the middle, and silent: one wait, then nobody waits, until it goes on', async () => {
    const redis = open(server.url);
    await until('Redis answers', () => answers(redis));
    const [counts, places] = [countsOver(redis), placesOver(redis, 2)];
    server.child.kill('SIGSTOP');
    try {
      const all = await Promise.all(Array.from({ length: 200 }, () => counts.count('s', 600_000)));
      expect(all.map(({ count }) => count).sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, n) => n + 1));
      // Now it is known: asked ten thousand times it is sent nothing.
      for (let asked = 0; asked < 10_000; asked += 1) await counts.count('s', 600_000);
      (await places.take('g'))();
    } finally {
      server.child.kill('SIGCONT');
    }
    await until('Redis is back', () => answers(redis));
    expect(said.map(({ message }) => message)).toEqual(['Redis is away: each process goes by itself until it is back', 'Redis is back']);
    expect(said[0]?.reason).toBe('no answer within 250 ms');
  }, 120_000);
});

describeWith('TEKAI_TEST_REDIS', 'a Redis that wants a password', () => {
  const SECRET = 'canary/of:a-secret';
  let server: RunningServer;
  beforeAll(async () => { server = await startRedis({ directory: path.join(folder, 'login'), more: ['--requirepass', SECRET] }); });
  afterAll(async () => { await server.stop(); });
  const urlWith = (secret: string) => `redis://:${encodeURIComponent(secret)}@127.0.0.1:${server.port}`;

  test('the right one is let in', async () => {
    const redis = open(urlWith(SECRET));
    await until('Redis answers', () => answers(redis));
  });

  test.each(['canary-of-a-wrong-one', ''])('with %p it is as if it were away: everything goes on, the reason is told once, the secret never', async (secret) => {
    const redis = open(urlWith(secret));
    await until('it is told', () => said.length > 0);
    expect(said[0]?.reason).toMatch(/WRONGPASS|NOAUTH/);
    expect((await countsOver(redis).count('a', 60_000)).count).toBe(1);
    const refused: unknown = await redis.run(PING, []).catch((error: unknown) => error);
    expect(refused).toMatchObject({ name: 'Unavailable', dependency: 'redis' });
    expect(JSON.stringify([said, refused, String(refused), (refused as Error).stack])).not.toContain('canary');
    redis.close();
    expect(said).toHaveLength(1);
  });
});

describeWith(hasOpenssl ? 'TEKAI_TEST_REDIS' : 'openssl', 'a Redis with TLS', () => {
  let server: RunningServer;
  let port: number;
  let caFile: string;
  beforeAll(async () => {
    const authority = makeAuthority(folder);
    const { certFile, keyFile } = authority.server('127.0.0.1');
    [port, caFile] = [await freePort(), authority.certFile];
    server = await startRedis({ directory: path.join(folder, 'tls'), more: ['--tls-port', String(port), '--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', caFile, '--tls-auth-clients', 'no'] });
  });
  afterAll(async () => { await server.stop(); });

  test('whose authority is named is reached', async () => {
    const redis = open(`rediss://127.0.0.1:${port}?ca=${encodeURIComponent(caFile)}`);
    await until('Redis answers', () => answers(redis));
  });

  test('an authority that nobody named is not trusted, and one that cannot be read is told at once', async () => {
    const redis = open(`rediss://127.0.0.1:${port}`);
    await until('it is told', () => said.length > 0);
    expect(said[0]?.reason).toMatch(/self.signed|unable to/i);
    expect(await answers(redis)).toBe(false);
    redis.close();
    expect(() => openRedis('rediss://h?ca=/nowhere', { logger })).toThrow('/nowhere');
  });
});
