import { S3_KEYS } from '../../infra/servers/s3proxy.ts';
import { makeRepository } from '../harness/repository.ts';
import { expectSameAsGit } from '../harness/same-as-git.ts';
import { startSystem, until, untilStored } from '../harness/system.ts';
import { tekai } from '../harness/tekai.ts';
import { openWay, refuse } from './failing-way.ts';
import { makeBucket, openStore } from './s3-bucket.ts';
import { describeWith } from './stack-test.ts';

describeWith('TEKAI_TEST_S3', 'an engine whose packs lie in S3', (endpoint) => {
  test('syncs, answers, verifies and proves its read models; a store that fails is waited for, and parks nothing (I3, I5)', async () => {
    const way = await openWay(endpoint);
    const bucket = await makeBucket(endpoint, { prefix: 'engine' });
    const settings = { TEKAI_BLOBS_URL: bucket.url.replace(endpoint, way.url), TEKAI_BLOBS_ACCESS_KEY: S3_KEYS.accessKey, TEKAI_BLOBS_SECRET_KEY: S3_KEYS.secretKey };
    const system = await startSystem({ settings });
    try {
      const repository = await makeRepository();
      const first = repository.commit('main', [{ path: 'large', content: 'alone in its block\n'.repeat(10_000) }, ...Array.from({ length: 200 }, (_, n) => ({ path: `d${n % 7}/f${n}`, content: `${n}\n`.repeat(n + 1) }))]);
      const { id } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'in-s3', import: repository.dir });
      repository.git('remote', 'add', 'origin', system.gitlab.remote('root/in-s3'));
      const codebase = await system.follow(id);
      await untilStored(system, codebase, 'refs/heads/main', first);
      // It was not read yet, so nothing of it is remembered.
      way.fault = refuse(500);
      const refused = await system.ask('GET', `/v1/codebases/${codebase}/files/large?at=${first}`);
      expect([refused.status, Number(refused.headers.get('retry-after')) >= 1]).toEqual([503, true]);
      way.fault = undefined;
      expect(await expectSameAsGit(system, codebase, { repository, commit: first, at: first })).toBe(201);

      way.fault = refuse(500);
      const second = repository.commit('main', [{ path: 'd1/f1', content: 'while the store fails\n' }]);
      repository.git('push', '-q', 'origin', 'main');
      await until('work waits, and says why', () => /"reason":"[^"]*blob store/.test(system.log()));
      way.fault = undefined;
      await untilStored(system, codebase, 'refs/heads/main', second);
      expect(await expectSameAsGit(system, codebase, { repository, commit: second, at: second })).toBe(201);
      expect((await system.ask('GET', '/v1/parked')).json<{ parked: unknown[] }>().parked).toEqual([]);

      for (const words of [['replay', '--verify'], ['verify', codebase]]) expect(await tekai({ stores: { ...system.stores, ...settings } }, ...words)).toMatchObject({ code: 0 });
      const packs: string[] = [];
      for await (const { name } of openStore(bucket.place).list('packs/')) packs.push(name);
      expect(packs.length).toBeGreaterThanOrEqual(2);
    } finally {
      await system.stop();
      await way.close();
    }
  }, 300_000);
});
