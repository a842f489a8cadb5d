import { setTimeout as sleep } from 'node:timers/promises';
import { makeRepository, type Repository } from '../harness/repository.ts';
import { eventsOf, startSystem, untilStored, type System } from '../harness/system.ts';

/** KILLS=50 is the long form. */
const KILLS = Number(process.env['KILLS'] ?? 3);
const CODEBASES = 3;
const PUSHES_BETWEEN = 3;
const MAIN = 'refs/heads/main';

let system: System;
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });

/** Another pause each time: the kill falls between other steps. */
let seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const said = seed;
function random(): number {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
  return seed / 0x7fffffff;
}

test(`kill -9 of the engine among pushes loses nothing, doubles nothing, and ends where GitLab is (I1, I2, I4, I5, I11; seed ${said})`, async () => {
  const followed: { repository: Repository; codebase: string; id: number; head: string }[] = [];
  for (let n = 0; n < CODEBASES; n += 1) {
    const repository = await makeRepository();
    const head = repository.commit('main', Array.from({ length: 40 }, (_, file) => ({ path: `d${file % 5}/f${file}`, content: `${n} ${file}\n` })));
    const project = await system.gitlab.admin('POST', '/projects', { path: `killed-${n}`, import: repository.dir });
    repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/killed-${n}`));
    followed.push({ repository, codebase: await system.follow(project.id), id: project.id, head });
  }
  for (let kill = 0; kill < KILLS; kill += 1) {
    for (let push = 0; push < PUSHES_BETWEEN; push += 1) {
      for (const one of followed) {
        one.head = one.repository.commit('main', [{ path: `d1/pushed`, content: `${kill} ${push} ${one.id}\n` }]);
        one.repository.git('push', '-q', 'origin', 'main');
      }
    }
    // Not a wait for a state: the drill's very point is that nobody knows where this falls.
    await sleep(random() * 600);
    await system.kill('SIGKILL');
    await system.startEngine();
  }
  // Hooks that fell into the time when nobody listened are GitLab's to lose: an operator asks.
  for (const one of followed) expect((await system.ask('POST', `/v1/codebases/${one.codebase}/syncs`, { body: {} })).status).toBe(202);
  for (const one of followed) await untilStored(system, one.codebase, MAIN, one.head);
  await expectNothingLostOrDoubled(followed);
}, 600_000);

async function expectNothingLostOrDoubled(followed: readonly { repository: Repository; codebase: string; id: number }[]): Promise<void> {
  const keys = new Set<string>();
  for (const one of followed) {
    const events = await eventsOf(system, `key=${one.codebase}`);
    for (const event of events) if (event.type === 'push.received') keys.add(event.data.deliveryId);
    const steps = events.filter((event) => event.stream.startsWith('sync-')).map((event) => `${event.stream} ${event.type}`);
    expect(steps).toHaveLength(new Set(steps).size);
    const moves = events.filter((event) => event.type === 'codebase.stored' || event.type === 'ref.deleted');
    for (const [index, move] of moves.entries()) if (move.type === 'codebase.stored') expect(move.data.commit).not.toBe(moves[index - 1]?.data.commit);
    for (const move of moves) expect(move.data.tree).toBe(one.repository.git('rev-parse', `${move.data.commit}^{tree}`));
  }
  const delivered = await system.gitlab.admin<Delivery[]>('GET', '/deliveries');
  const answered = delivered.filter((one) => /^2/.test(one.responseStatus));
  expect(answered.length).toBeGreaterThan(0);
  for (const one of answered) expect(keys).toContain(keyOf(one));
}

interface Delivery { readonly responseStatus: string; readonly requestHeaders: Readonly<Record<string, string>> }

function keyOf({ requestHeaders: headers }: Delivery): string {
  return Object.entries(headers).find(([name]) => name.toLowerCase() === 'webhook-id')?.[1] ?? '';
}
