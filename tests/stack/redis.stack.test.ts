import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startRedis } from '../../infra/servers/redis.ts';
import { freePort, type RunningServer } from '../../infra/servers/server.ts';
import { openRedis } from '#shared/redis/connection.ts';
import { makeRepository } from '../harness/repository.ts';
import { startSystem, until, untilStored, type System } from '../harness/system.ts';
import { describeWith } from './stack-test.ts';

const SECRET = 'canary-of-a-secret';
const MAIN = 'refs/heads/main';

describeWith('TEKAI_TEST_REDIS', 'an engine whose processes share over Redis', () => {
  let folder: string;
  let port: number;
  let server: RunningServer;
  let system: System;
  const start = async () => { server = await startRedis({ directory: folder, port, more: ['--requirepass', SECRET] }); };
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'tekai-redis-'));
    port = await freePort();
    await start();
    system = await startSystem({ settings: { TEKAI_REDIS_URL: `redis://:${SECRET}@127.0.0.1:${port}` } });
  }, 180_000);
  afterAll(async () => {
    await system.stop();
    await server.kill();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  const keys = async () => {
    const redis = openRedis(server.url.replace('//', `//:${SECRET}@`), { logger: { info: () => undefined, warn: () => undefined } as never });
    try {
      return await until('Redis answers', () => redis.run(`return redis.call('KEYS', '*')`, []).catch(() => undefined)) as string[];
    } finally {
      redis.close();
    }
  };

  test('counts there; without it, and with one that came back empty, each push is stored as before; its secret is in no log', async () => {
    const repository = await makeRepository();
    const push = (text: string) => {
      const commit = repository.commit('main', [{ path: 'a', content: text }]);
      repository.git('push', '-q', 'origin', 'main');
      return commit;
    };
    const first = repository.commit('main', [{ path: 'a', content: 'one' }]);
    const { id: project } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'app', import: repository.dir });
    repository.git('remote', 'add', 'origin', system.gitlab.remote('root/app'));
    const id = await system.follow(project);
    await untilStored(system, id, MAIN, first);
    expect(await keys()).toEqual(expect.arrayContaining([expect.stringMatching(/^tekai:[0-9a-f]+:requests:token /)]));

    await server.kill();
    await untilStored(system, id, MAIN, push('two'));
    await start();
    await until('the engine counts in the new one', async () => { await system.ask('GET', '/v1/codebases'); return (await keys()).length > 0; });
    await untilStored(system, id, MAIN, push('three'));
    expect(system.log()).toContain('Redis is away');
    expect(system.log()).not.toContain(SECRET);
  }, 300_000);
});
