import path from 'node:path';
import { createDiskBlobStore } from '../../shared/blobs/disk-blob-store.ts';
import { S3_KEYS } from '../../infra/servers/s3proxy.ts';
import { makeRepository } from '../harness/repository.ts';
import { expectSameAsGit } from '../harness/same-as-git.ts';
import { spawnProgram } from '../harness/spawn-program.ts';
import { startSystem, untilStored } from '../harness/system.ts';
import { tekai } from '../harness/tekai.ts';
import { openWay } from './failing-way.ts';
import { makeBucket, openStore } from './s3-bucket.ts';
import { describeWith } from './stack-test.ts';

describeWith('TEKAI_TEST_S3', 'packs that move from the state folder to S3', (endpoint) => {
  test('while the engine runs: a copy that was killed goes on, what comes meanwhile is brought afterwards, and every version is whole (I5)', async () => {
    const [way, bucket] = [await openWay(endpoint), await makeBucket(endpoint, { prefix: 'moved' })];
    const settings: Record<string, string> = {};
    const system = await startSystem({ settings });
    try {
      const repository = await makeRepository();
      const push = async (text: string, count: number) => {
        const commit = repository.commit('main', Array.from({ length: count }, (_, n) => ({ path: `d${n % 7}/f${n}`, content: `${text} ${n}\n` })));
        if (codebase !== '') {
          repository.git('push', '-q', 'origin', 'main');
          await untilStored(system, codebase, 'refs/heads/main', commit);
        }
        return commit;
      };
      let codebase = '';
      const first = await push('first', 100);
      const { id } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'moving', import: repository.dir });
      repository.git('remote', 'add', 'origin', system.gitlab.remote('root/moving'));
      codebase = await system.follow(id);
      await untilStored(system, codebase, 'refs/heads/main', first);

      const other = bucket.url.replace(endpoint, way.url);
      const stores = { ...system.stores, TEKAI_BLOBS_OTHER_ACCESS_KEY: S3_KEYS.accessKey, TEKAI_BLOBS_OTHER_SECRET_KEY: S3_KEYS.secretKey };
      const held = new Promise<void>((resolve) => { way.fault = (request, _response, pass) => { if (request.method === 'PUT') resolve(); else pass(); }; });
      const killed = spawnProgram(path.join(import.meta.dirname, '../../services/main.ts'), { arguments: ['blobs', 'migrate', '--to', other], within: ['env', ...Object.entries(stores).map(([name, value]) => `${name}=${value}`)] });
      await held;
      await killed.kill();
      way.fault = undefined;
      const second = await push('second', 10);
      const copied = await tekai({ stores }, 'blobs', 'migrate', '--to', other, '--json');
      expect([copied.code, JSON.parse(copied.stdout)]).toMatchObject([0, { from: 'disk', damaged: [], deleted: 0 }]);

      const third = await push('third', 10);
      await system.kill('SIGTERM');
      Object.assign(settings, { TEKAI_BLOBS_URL: other, TEKAI_BLOBS_ACCESS_KEY: S3_KEYS.accessKey, TEKAI_BLOBS_SECRET_KEY: S3_KEYS.secretKey });
      await system.startEngine();
      const rest = await tekai({ stores: { ...stores, ...settings } }, 'blobs', 'migrate', '--from', 'disk', '--delete', '--json');
      const moved = JSON.parse(rest.stdout) as { blobs: number; copied: number; deleted: number };
      expect([rest.code, moved.copied, moved.deleted]).toEqual([0, 2, moved.blobs]);
      const fourth = await push('fourth', 10);

      for (const commit of [first, second, third, fourth]) expect(await expectSameAsGit(system, codebase, { repository, commit, at: commit })).toBe(100);
      for (const words of [['replay', '--verify'], ['verify', codebase]]) expect(await tekai({ stores: { ...stores, ...settings } }, ...words)).toMatchObject({ code: 0 });
      const left = await createDiskBlobStore({ directory: path.join(system.stateDir, 'blobs') });
      for await (const { name } of left.list('')) throw new Error(`${name} is still there`);
      let there = 0;
      for await (const { name } of openStore(bucket.place).list('packs/')) there += Number(name.startsWith('packs/'));
      expect(there).toBe(4);
    } finally {
      await system.stop();
      await way.close();
    }
  }, 400_000);
});
