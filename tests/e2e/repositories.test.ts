import { randomBytes } from 'node:crypto';
import { makeRepository, type Repository, type Entry } from '../harness/repository.ts';
import { expectSameAsGit } from '../harness/same-as-git.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

let system: System;
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });

const MAIN = 'refs/heads/main';
let made = 0;

/** A project in the simulator, followed, with a repository that pushes to it. */
async function followed(repository: Repository, options: { objectFormat?: string; forkOf?: number; pushFirst?: boolean } = {}): Promise<{ codebase: string; id: number }> {
  const name = `p${(made += 1)}`;
  const project = await system.gitlab.admin('POST', '/projects', { path: name, ...(options.objectFormat === undefined ? {} : { objectFormat: options.objectFormat }), ...(options.forkOf === undefined ? {} : { forkOf: options.forkOf }) });
  repository.git('remote', 'add', name, system.gitlab.remote(`root/${name}`));
  if (options.pushFirst === true) repository.git('push', '-q', name, 'main');
  return { codebase: await system.follow(project.id), id: project.id };
}

const push = (repository: Repository, ...args: string[]) => repository.git('push', '-q', `p${made}`, ...args);
const text = (n: number) => `line ${n}\n`.repeat(1 + (n % 40));

test('a repository of more than 3,000 files is stored as git has it, at its newest and at an older version', async () => {
  const repository = await makeRepository();
  const files = Array.from({ length: 3_200 }, (_, n): Entry => ({ path: `src/d${n % 40}/e${n % 7}/f${n}.ts`, content: text(n) }));
  const first = repository.commit('main', files);
  const { codebase } = await followed(repository, { pushFirst: true });
  await untilStored(system, codebase, MAIN, first);
  const second = repository.commit('main', [{ path: 'src/d1/e1/f1.ts', content: 'changed\n' }, { path: 'src/d2/e2/f2.ts' }, { path: 'new/file', content: 'new\n' }]);
  push(repository, 'main');
  await untilStored(system, codebase, MAIN, second);
  expect(await expectSameAsGit(system, codebase, { repository, commit: second, at: second })).toBe(3_200);
  expect(await expectSameAsGit(system, codebase, { repository, commit: first, at: first })).toBe(3_200);
});

test('odd things come through byte for byte: submodules, symlinks, executables, LFS pointers, empty and huge files, names of any bytes', async () => {
  const repository = await makeRepository();
  const huge = randomBytes(50 * 1_048_576);
  const entries: Entry[] = [
    { path: 'sub/module', mode: '160000', id: '1234567890123456789012345678901234567890' },
    { path: 'link', mode: '120000', content: '../outside/target' },
    { path: 'run.sh', mode: '100755', content: '#!/bin/sh\n' },
    { path: 'big.psd', content: `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 12345\n` },
    { path: 'empty', content: '' },
    { path: 'huge.bin', content: huge },
    { path: 'with space/and\nnewline', content: 'a' },
    { path: Buffer.from([0x66, 0xff, 0xfe, 0x80]), content: 'not UTF-8' },
    { path: Buffer.from([0x64, 0xe9, 0x2f, 0xe9]), content: 'latin1 folder' },
    { path: 'Case', content: 'upper' }, { path: 'case', content: 'lower' }, { path: 'CASE/x', content: 'folder' },
    { path: 'percent%2Fname', content: 'percent' }, { path: 'question?mark#hash', content: 'q' }, { path: '日本語/ファイル', content: 'unicode' },
    { path: 'quote"back\\slash', content: 'q' }, { path: '...', content: 'dots' }, { path: '-dash', content: 'd' },
    { path: 'crlf.txt', content: 'a\r\nb\r\n' }, { path: '.gitattributes', content: '*.txt text eol=crlf\nignored export-ignore\n' }, { path: 'ignored', content: 'still here' },
  ];
  const first = repository.commit('main', entries);
  const { codebase } = await followed(repository, { pushFirst: true });
  await untilStored(system, codebase, MAIN, first);
  expect(await expectSameAsGit(system, codebase, { repository, commit: first, at: first })).toBe(entries.length - 1);
  const tree = (await system.ask('GET', `/v1/codebases/${codebase}/tree`)).json<{ entries: { name: string; type: string; isLfsPointer?: boolean }[] }>().entries;
  expect(tree.find((one) => one.name === 'big.psd')?.isLfsPointer).toBe(true);
  expect(tree.find((one) => one.name === 'run.sh')?.type).toBe('executable');
  expect((await system.ask('GET', `/v1/codebases/${codebase}/files/sub/module`)).json<{ code: string }>().code).toBe('is-a-submodule');
});

test('a SHA-256 repository is stored under its 64-digit ids', async () => {
  const repository = await makeRepository({ objectFormat: 'sha256' });
  const first = repository.commit('main', [{ path: 'a/b', content: 'one' }, { path: 'c', content: '' }]);
  const { codebase } = await followed(repository, { objectFormat: 'sha256', pushFirst: true });
  await untilStored(system, codebase, MAIN, first);
  const second = repository.commit('main', [{ path: 'a/b', content: 'two' }]);
  push(repository, 'main');
  await untilStored(system, codebase, MAIN, second);
  expect(second).toHaveLength(64);
  expect(await expectSameAsGit(system, codebase, { repository, commit: second, at: second })).toBe(2);
});

test('an empty repository is a state, and its first push is the next one, also to another branch', async () => {
  const repository = await makeRepository();
  const { codebase } = await followed(repository);
  const empty = await untilStored(system, codebase, MAIN, null);
  expect(empty.tree).toBe('4b825dc642cb6eb9a060e54bf8d69288fbee4904');
  expect((await system.ask('GET', `/v1/codebases/${codebase}/tree`)).json<{ entries: unknown[] }>().entries).toEqual([]);
  const first = repository.commit('trunk', [{ path: 'a', content: 'a' }]);
  push(repository, 'trunk');
  await untilStored(system, codebase, 'refs/heads/trunk', first);
  await until('the stand-in for emptiness is gone', async () =>
    (await eventsOf(system, `key=${codebase}&type=ref.deleted`)).some((event) => event.data.ref === MAIN));
  expect(await expectSameAsGit(system, codebase, { repository, commit: first, at: first })).toBe(1);
});

test('a force push, a deleted and a recreated branch are followed, and what was stays readable', async () => {
  const repository = await makeRepository();
  const base = repository.commit('main', [{ path: 'a', content: 'base' }, { path: 'keep/me', content: 'kept' }]);
  const { codebase } = await followed(repository, { pushFirst: true });
  const doomed = repository.commit('main', [{ path: 'a', content: 'doomed' }]);
  push(repository, 'main');
  await untilStored(system, codebase, MAIN, doomed);
  const rewritten = repository.commit('main', [{ path: 'b', content: 'other history' }], { parent: base });
  push(repository, '--force', 'main');
  await untilStored(system, codebase, MAIN, rewritten);
  expect(await expectSameAsGit(system, codebase, { repository, commit: doomed, at: doomed })).toBe(2);

  const side = repository.commit('side', [{ path: 's', content: 's' }]);
  push(repository, 'side');
  await untilStored(system, codebase, 'refs/heads/side', side);
  push(repository, ':side');
  await until('side is gone', async () => (await system.ask('GET', `/v1/codebases/${codebase}/tree?ref=side`)).status === 404);
  expect(await expectSameAsGit(system, codebase, { repository, commit: side, at: side })).toBe(1);
  push(repository, 'side');
  await untilStored(system, codebase, 'refs/heads/side', side);
  const facts = (await eventsOf(system, `key=${codebase}`)).filter((event) => event.data.ref === 'refs/heads/side' && ['codebase.stored', 'ref.deleted'].includes(event.type));
  expect(facts.map((event) => event.type)).toEqual(['codebase.stored', 'ref.deleted', 'codebase.stored']);
});

test('changes of names and modes alone move no blob', async () => {
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a.txt', content: 'same bytes' }, { path: 'x', content: 'x' }]);
  const { codebase } = await followed(repository, { pushFirst: true });
  await untilStored(system, codebase, MAIN, first);
  const renamed = repository.commit('main', [{ path: 'a.txt' }, { path: 'dir/b.txt', content: 'same bytes' }]);
  push(repository, 'main');
  await untilStored(system, codebase, MAIN, renamed);
  const executable = repository.commit('main', [{ path: 'dir/b.txt', content: 'same bytes', mode: '100755' }]);
  push(repository, 'main');
  await untilStored(system, codebase, MAIN, executable);
  expect(await expectSameAsGit(system, codebase, { repository, commit: executable, at: executable })).toBe(2);
  const fetched = await eventsOf(system, `key=${codebase}&type=codebase.fetched`);
  expect(fetched.map((event) => event.data.counts.blobs)).toEqual([2, 0, 0]);
});

test('two branches and a fork that share history cost only what differs', async () => {
  const repository = await makeRepository();
  const files = Array.from({ length: 200 }, (_, n): Entry => ({ path: `d${n % 10}/f${n}`, content: `${made} ${n}` }));
  const main = repository.commit('main', files);
  const { codebase, id } = await followed(repository, { pushFirst: true });
  await untilStored(system, codebase, MAIN, main);
  const topic = repository.commit('topic', [{ path: 'd1/f1', content: 'topic' }], { parent: main });
  push(repository, 'topic');
  await untilStored(system, codebase, 'refs/heads/topic', topic);

  const fork = await followed(repository, { forkOf: id });
  await untilStored(system, fork.codebase, MAIN, main);
  await untilStored(system, fork.codebase, 'refs/heads/topic', topic);
  const inFork = repository.commit('fork', [{ path: 'd2/f2', content: 'fork' }], { parent: topic });
  push(repository, 'fork');
  await untilStored(system, fork.codebase, 'refs/heads/fork', inFork);
  expect(await expectSameAsGit(system, fork.codebase, { repository, commit: inFork, at: inFork })).toBe(200);
  const fetched = await eventsOf(system, `key=${fork.codebase}&type=codebase.fetched`);
  expect(fetched.map((event) => event.data.counts)).toEqual([{ commits: 0, trees: 0, blobs: 0 }, { commits: 0, trees: 0, blobs: 0 }, { commits: 1, trees: 2, blobs: 1 }]);
  const stored = await eventsOf(system, `key=${fork.codebase}&type=codebase.stored`);
  expect(stored.map((event) => [event.data.ref, event.data.objectsAdded])).toEqual([[MAIN, 0], ['refs/heads/topic', 0], ['refs/heads/fork', 4]]);
});

test('history rewritten while a sync runs ends at what GitLab has in the end, and every version in between is whole', async () => {
  const repository = await makeRepository();
  const base = repository.commit('main', Array.from({ length: 2_000 }, (_, n): Entry => ({ path: `d${n % 20}/f${n}`, content: `r ${n}` })));
  const { codebase } = await followed(repository, { pushFirst: true });
  let head = base;
  for (let round = 0; round < 6; round += 1) {
    head = repository.commit('main', [{ path: `d1/round${round}`, content: String(round) }], { parent: base });
    push(repository, '--force', 'main');
  }
  await untilStored(system, codebase, MAIN, head);
  const versions = (await system.ask('GET', `/v1/codebases/${codebase}/versions`)).json<{ versions: { commit: string; tree: string }[] }>().versions;
  for (const version of versions) expect(version.tree).toBe(repository.git('rev-parse', `${version.commit}^{tree}`));
  expect(await expectSameAsGit(system, codebase, { repository, commit: head, at: head })).toBe(2_001);
});
