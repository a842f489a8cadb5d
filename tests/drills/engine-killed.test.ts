import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { makeRepository, type Repository } from '../harness/repository.ts';
import { expectSameAsGit } from '../harness/same-as-git.ts';
import { eventsOf, startSystem, until, type System } from '../harness/system.ts';

const run = promisify(execFile);

/** KILLS=50 is the long form. */
const KILLS = Number(process.env['KILLS'] ?? 5);
const CODEBASES = 5;
/** While one engine lives and dies. */
const PUSHES_A_KILL = 8;
/** From the first push after a start to the kill. A start alone takes two seconds. */
const LIFE_MS_MAX = 1_500;
const BRANCHES = ['main', 'side', 'topic/a'];

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
const below = (count: number) => Math.floor(random() * count);

interface Followed { readonly repository: Repository; readonly codebase: string; /** What GitLab has now. */ readonly heads: Map<string, string> }

test(`kill -9 of the engine among pushes loses nothing, doubles nothing, and ends where GitLab is (I1, I2, I4, I5, I11; seed ${said})`, async () => {
  const followed: Followed[] = [];
  for (let n = 0; n < CODEBASES; n += 1) followed.push(await follow(n));
  for (let kill = 0; kill < KILLS; kill += 1) {
    const pushing = pushSome(followed, kill);
    // Not a wait for a state: the drill's very point is that nobody knows where this falls.
    await sleep(random() * LIFE_MS_MAX);
    await system.kill('SIGKILL');
    // GitLab goes on meanwhile.
    await sleep(random() * 300);
    await Promise.all([system.startEngine(), pushing]);
  }
  // Hooks that fell into the time when nobody listened are GitLab's to lose: an operator asks.
  await system.gitlab.admin('GET', '/idle');
  for (const { codebase } of followed) expect((await system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body: {} })).status).toBe(202);
  for (const one of followed) await untilSameHeads(one);

  expect((await system.ask('GET', '/v1/parked')).json<{ parked: unknown[] }>().parked).toEqual([]);
  await expectEveryDeliveryRecorded(followed);
  for (const one of followed) {
    await expectNothingDoubled(one);
    await expectEveryVersionWhole(one);
  }
}, 240_000 + KILLS * 30_000);

async function follow(n: number): Promise<Followed> {
  const repository = await makeRepository();
  const head = repository.commit('main', Array.from({ length: 40 }, (_, file) => ({ path: `d${file % 5}/f${file}`, content: `${n} ${file}\n` })));
  const project = await system.gitlab.admin('POST', '/projects', { path: `killed-${n}`, import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/killed-${n}`));
  return { repository, codebase: await system.follow(project.id), heads: new Map([['main', head]]) };
}

/** Ordinary pushes, new branches, rewritten ones, deleted ones. Asynchronous, so that the kill can fall into one. */
async function pushSome(followed: readonly Followed[], kill: number): Promise<void> {
  for (let n = 0; n < PUSHES_A_KILL; n += 1) {
    const { repository, heads } = followed[below(followed.length)]!;
    const branch = BRANCHES[below(BRANCHES.length)]!;
    const before = heads.get(branch);
    const refspec = branch !== 'main' && before !== undefined && random() < 0.25 ? `:refs/heads/${branch}` : `+refs/heads/${branch}`;
    if (refspec.startsWith(':')) heads.delete(branch);
    // A rewritten branch begins again at main's head.
    else heads.set(branch, repository.commit(branch, [{ path: `d${below(5)}/pushed`, content: `${kill} ${n} ${random()}\n` }], { parent: (random() < 0.3 ? undefined : before) ?? heads.get('main')! }));
    await run('git', ['push', '-q', 'origin', refspec], { cwd: repository.dir });
  }
}

async function untilSameHeads({ codebase, heads }: Followed): Promise<void> {
  const wanted = [...heads].map(([branch, commit]) => `refs/heads/${branch} ${commit}`).sort();
  await until(`every head of ${codebase} is reached: ${wanted.join(', ')}`, async () => {
    const { refs } = (await system.ask('GET', `/v1/codebases/${codebase}/refs`)).json<{ refs: { ref: string; commit: string }[] }>();
    return refs.map(({ ref, commit }) => `${ref} ${commit}`).sort().join() === wanted.join();
  });
}

/** I1: what was answered 2xx is in the log. */
async function expectEveryDeliveryRecorded(followed: readonly Followed[]): Promise<void> {
  const recorded = new Set<string>();
  for (const { codebase } of followed) for (const event of await eventsOf(system, `key=${codebase}&type=push.received`)) recorded.add(event.data.deliveryId);
  const answered = (await system.gitlab.admin<Delivery[]>('GET', '/deliveries')).filter((one) => /^2/.test(one.responseStatus));
  expect(answered.length).toBeGreaterThan(0);
  expect(answered.map(keyOf).filter((key) => !recorded.has(key))).toEqual([]);
}

/** I2, I4: a step was recorded once a sync, and a ref moved to where it was not. */
async function expectNothingDoubled({ codebase }: Followed): Promise<void> {
  const events = await eventsOf(system, `key=${codebase}`);
  const ids = events.map((event) => event.id);
  expect(ids).toHaveLength(new Set(ids).size);
  const steps = events.filter((event) => event.stream.startsWith('sync-')).map((event) => `${event.stream} ${event.type}`);
  expect(steps).toHaveLength(new Set(steps).size);
  const moves = events.filter((event) => event.type === 'codebase.stored' || event.type === 'ref.deleted');
  for (const ref of new Set(moves.map((move) => move.data.ref))) {
    const commits = moves.filter((move) => move.data.ref === ref).map((move) => (move.type === 'codebase.stored' ? move.data.commit : null));
    expect(commits.filter((commit, index) => index > 0 && commit === commits[index - 1])).toEqual([]);
  }
}

/** I5: every version ever visible has git's tree, and the newest ones are read to the last byte. */
async function expectEveryVersionWhole({ repository, codebase, heads }: Followed): Promise<void> {
  const { versions } = (await system.ask('GET', `/v1/codebases/${codebase}/versions?limit=1000`)).json<{ versions: { state: string; commit: string; tree: string }[] }>();
  for (const { commit, tree } of versions.filter(({ state }) => state === 'stored')) {
    expect([commit, tree]).toEqual([commit, repository.git('rev-parse', `${commit}^{tree}`)]);
    expect((await system.ask('GET', `/v1/codebases/${codebase}/tree?at=${commit}`)).json<{ tree: string }>().tree).toBe(tree);
  }
  for (const commit of heads.values()) expect(await expectSameAsGit(system, codebase, { repository, commit, at: commit })).toBeGreaterThan(0);
}

interface Delivery { readonly responseStatus: string; readonly requestHeaders: Readonly<Record<string, string>> }

function keyOf({ requestHeaders: headers }: Delivery): string {
  return Object.entries(headers).find(([name]) => name.toLowerCase() === 'webhook-id')?.[1] ?? '';
}
