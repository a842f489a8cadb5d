import { makeRepository, type Entry } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

let system: System;
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });

const MAIN = 'refs/heads/main';

test('a push of one file into 100,000 writes one commit, one blob and the trees above it, and a branch at a stored commit writes nothing', async () => {
  const repository = await makeRepository();
  const first = repository.commit('main', Array.from({ length: 100_000 }, (_, n): Entry => ({ path: `a${n % 10}/b${Math.floor(n / 10) % 100}/f${n}`, content: `file ${n}\n` })));
  const project = await system.gitlab.admin('POST', '/projects', { path: 'wide', import: repository.dir });
  const codebase = await system.follow(project.id);
  await untilStored(system, codebase, MAIN, first);
  const [whole] = await eventsOf(system, `key=${codebase}&type=codebase.stored`);
  expect(whole?.data.objectsAdded).toBe(1 + 1 + 10 + 1_000 + 100_000);

  repository.git('remote', 'add', 'wide', system.gitlab.remote('root/wide'));
  const second = repository.commit('main', [{ path: 'a3/b7/f73', content: 'changed\n' }]);
  repository.git('push', '-q', 'wide', 'main');
  await untilStored(system, codebase, MAIN, second);
  // Root, a3, b7.
  expect((await eventsOf(system, `key=${codebase}&type=codebase.fetched`)).at(-1)?.data.counts).toEqual({ commits: 1, trees: 3, blobs: 1 });
  expect((await eventsOf(system, `key=${codebase}&type=codebase.stored`)).at(-1)?.data.objectsAdded).toBe(5);

  repository.git('push', '-q', 'wide', 'main:again');
  await untilStored(system, codebase, 'refs/heads/again', second);
  expect((await eventsOf(system, `key=${codebase}&type=codebase.fetched`)).at(-1)?.data.packs).toEqual([]);
  expect((await eventsOf(system, `key=${codebase}&type=codebase.stored`)).at(-1)?.data.objectsAdded).toBe(0);
}, 300_000);

test('200 branches registered at once write each object once', async () => {
  const repository = await makeRepository();
  const base = repository.commit('main', Array.from({ length: 50 }, (_, n): Entry => ({ path: `d${n % 5}/f${n}`, content: `${n}` })));
  const heads = new Map([[MAIN, base]]);
  for (let n = 0; n < 199; n += 1) heads.set(`refs/heads/b/${n}`, repository.commit(`b/${n}`, [{ path: `d1/only${n % 20}`, content: `${n % 20}` }], { parent: base, message: `branch ${n}` }));
  const project = await system.gitlab.admin('POST', '/projects', { path: 'branchy', import: repository.dir });
  const codebase = await system.follow(project.id);
  await until('every branch is stored', async () => {
    const { refs } = (await system.ask('GET', `/v1/codebases/${codebase}/refs`)).json<{ refs: { ref: string; commit: string }[] }>();
    return refs.length === 200 && refs.every((one) => heads.get(one.ref) === one.commit);
  }, 240_000);
  const distinct = repository.gitBytes(['rev-list', '--objects', '--all']).toString().trim().split('\n').length;
  const stored = await eventsOf(system, `key=${codebase}&type=codebase.stored`);
  expect(stored).toHaveLength(200);
  // rev-list counts every commit once, trees and blobs too; so must we.
  expect(stored.reduce((sum, event) => sum + event.data.objectsAdded, 0)).toBe(distinct);
  const fetched = await eventsOf(system, `key=${codebase}&type=codebase.fetched`);
  expect(fetched.reduce((sum, event) => sum + event.data.packs.reduce((all: number, pack: { objects: number }) => all + pack.objects, 0), 0)).toBe(distinct);
}, 300_000);
