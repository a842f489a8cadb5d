import { createPool } from '#shared/postgres/pool.ts';
import { flipByte } from '../harness/own-stores.ts';
import { makeRepository, type Repository } from '../harness/repository.ts';
import { expectSameAsGit } from '../harness/same-as-git.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

const MAIN = 'refs/heads/main';
const BEFORE_STORING = ['ingress', 'scheduler', 'fetcher', 'scanner', 'projector', 'notifier', 'query-api'];

async function someRepository(system: System, name: string): Promise<{ repository: Repository; commit: string; id: number }> {
  const repository = await makeRepository();
  const commit = repository.commit('main', Array.from({ length: 60 }, (_, n) => ({ path: `d${n % 4}/f${n}`, content: `${name} ${n}\n`.repeat(50) })));
  const project = await system.gitlab.admin('POST', '/projects', { path: name, import: repository.dir });
  return { repository, commit, id: project.id };
}

test('a byte flipped in a pack before it is stored fails that sync, and the next attempt writes the pack anew', async () => {
  const system = await startSystem({ services: BEFORE_STORING });
  try {
    const { repository, commit, id } = await someRepository(system, 'early');
    const codebase = await system.follow(id);
    const fetched = await until('it is scanned', async () => {
      const events = await eventsOf(system, `key=${codebase}`);
      return events.some((event) => event.type === 'codebase.scanned') && events.find((event) => event.type === 'codebase.fetched');
    });
    await flipByte(system, fetched.data.packs[0].pack, 200);
    expect((await system.ask('GET', `/v1/codebases/${codebase}/tree`)).status).toBe(404);
    await system.startEngine(['storage-writer']);
    await untilStored(system, codebase, MAIN, commit);
    const events = await eventsOf(system, `key=${codebase}`);
    // By where the byte lies: its block cannot be inflated, or what is in it has another id.
    expect(events.find((event) => event.type === 'sync.failed')?.data.reason).toMatch(/^(?:pack|object)-damaged$/);
    expect(events.filter((event) => event.type === 'codebase.stored')).toHaveLength(1);
    await expectSameAsGit(system, codebase, { repository, commit, at: commit });
  } finally {
    await system.stop();
  }
});

test('a byte flipped in a pack after it was stored is never read as good', async () => {
  const system = await startSystem();
  try {
    const { repository, commit, id } = await someRepository(system, 'late');
    const codebase = await system.follow(id);
    await untilStored(system, codebase, MAIN, commit);
    const [fetched] = await eventsOf(system, `key=${codebase}&type=codebase.fetched`);
    const pack: string = fetched?.data.packs[0].pack;
    // Every region of the pack in turn: whichever object lies there, an answer is right or no answer.
    let refused = 0;
    for (const offset of [20, 400, 1_500]) {
      await flipByte(system, pack, offset);
      await system.kill('SIGTERM');
      await system.startEngine(); // No block is remembered from before.
      for (let n = 0; n < 60; n += 7) {
        const answer = await system.ask('GET', `/v1/codebases/${codebase}/files/d${n % 4}/f${n}`).catch(() => undefined);
        if (answer?.status === 200) expect(answer.bytes).toEqual(repository.gitBytes(['show', `${commit}:d${n % 4}/f${n}`]));
        else refused += 1;
      }
      await flipByte(system, pack, offset);
    }
    expect(refused).toBeGreaterThan(0);
  } finally {
    await system.stop();
  }
});

test('a missing child object fails the sync, not the reader', async () => {
  const system = await startSystem({ services: BEFORE_STORING });
  try {
    const { repository, commit, id } = await someRepository(system, 'gap');
    const codebase = await system.follow(id);
    await until('it is scanned', async () => (await eventsOf(system, `key=${codebase}&type=codebase.scanned`)).length > 0);
    // What the fetcher was told is only a hint: an object that it took for known vanishes from the index before storing.
    const second = await pushLeaving(system, repository);
    await system.startEngine(['storage-writer']);
    await untilStored(system, codebase, MAIN, second);
    await expectSameAsGit(system, codebase, { repository, commit: second, at: second });

    await system.kill('SIGTERM');
    await system.startEngine(BEFORE_STORING);
    const third = repository.commit('main', [{ path: 'd1/f1', content: 'third\n' }]);
    repository.git('push', '-q', 'origin', 'main');
    await until('the third is scanned', async () => (await eventsOf(system, `key=${codebase}&type=codebase.scanned`)).some((event) => event.data.commit === third));
    const victim = repository.git('rev-parse', `${commit}:d2`);
    await forget(system, victim);
    await system.startEngine(['storage-writer']);
    const failed = await until('the sync fails', async () => (await eventsOf(system, `key=${codebase}&type=sync.failed`))[0]);
    expect(failed.data).toMatchObject({ reason: 'object-missing', step: 'store' });
    expect(failed.data.detail).toContain(victim);
    // The next attempt asks the index anew, and brings what is missing.
    await untilStored(system, codebase, MAIN, third);
    await expectSameAsGit(system, codebase, { repository, commit: third, at: third });
  } finally {
    await system.stop();
  }
});

async function pushLeaving(system: System, repository: Repository): Promise<string> {
  repository.git('remote', 'add', 'origin', system.gitlab.remote('root/gap'));
  const second = repository.commit('main', [{ path: 'd0/f0', content: 'second\n' }]);
  repository.git('push', '-q', 'origin', 'main');
  return second;
}

async function forget(system: System, id: string): Promise<void> {
  const pool = createPool(system.databaseUrl, { connectionsMax: 1, applicationName: 'test' });
  const { rowCount } = await pool.query(`delete from objects where id = decode($1, 'hex')`, [id]);
  await pool.end();
  expect(rowCount).toBe(1);
}
