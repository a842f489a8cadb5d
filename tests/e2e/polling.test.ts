import { makeRepository, type Repository } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

// What no webhook told is found by looking, told as a fact and healed; what webhooks tell is never told twice.

const MAIN = 'refs/heads/main';
/** A look every two and a half seconds or so, and a second one three seconds after a difference. */
const SETTINGS = { TEKAI_POLL_ACTIVE_SECONDS: '3', TEKAI_POLL_IDLE_SECONDS: '3', TEKAI_HOOK_CHECK_SECONDS: '5', TEKAI_HOOK_RETRY_SECONDS: '5', TEKAI_GITLAB_REQUESTS_PER_MINUTE: '3000' };

let system: System;
beforeAll(async () => { system = await startSystem({ settings: SETTINGS }); });
afterAll(async () => { await system.stop(); });
afterEach(async () => { await system.gitlab.admin('DELETE', '/faults'); });

let made = 0;

interface Project { readonly repository: Repository; readonly id: number; readonly codebase: string; readonly first: string; commit(content: string): string; push(...refspec: string[]): void }

/** A project in GitLab that we follow, with its webhook or whatever became of it. */
async function follow(hook: 'installed' | 'refused' = 'installed'): Promise<Project> {
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: 'first' }]);
  const name = `polled-${(made += 1)}`;
  const { id } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: name, import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/${name}`));
  const codebase = await system.follow(id);
  await untilStored(system, codebase, MAIN, first);
  await until(`the hook is ${hook}`, async () => (await detailOf(codebase)).hook.state === hook);
  return { repository, id, codebase, first, commit: (content) => repository.commit('main', [{ path: 'a', content }]), push: (...refspec) => void repository.git('push', '-q', '--force', 'origin', ...refspec) };
}

interface Detail { hook: { state: string; reason: string | null }; watchedBy: string; hookTrouble: string | null; lastLook: { at: string; how: string } | null; head: { commit: string; lastLook: { at: string; how: string }; watchedBy: string } }

const detailOf = async (codebase: string) => (await system.ask('GET', `/v1/codebases/${codebase}`)).json<Detail>();
const gapsOf = (codebase: string) => eventsOf(system, `key=${codebase}&type=gap.detected`);
const untilPolled = (codebase: string, after: string) => until('a look found everything equal', async () => {
  const { lastLook } = await detailOf(codebase);
  return lastLook?.how === 'poll' && lastLook.at > after && lastLook;
});
const dropHooks = () => system.gitlab.admin('POST', '/faults', { kind: 'hook', action: 'drop' });
const oldestBranch = async (codebase: string) => (await system.ask('GET', `/v1/codebases/${codebase}/refs`)).json<{ refs: { ref: string }[] }>().refs.map(({ ref }) => ref);

test('a push whose webhook is lost is found, told once, and healed; the receipt says when GitLab was looked at and how', async () => {
  const project = await follow();
  await dropHooks();
  const second = project.commit('second');
  project.push('main');
  await untilStored(system, project.codebase, MAIN, second);
  const [gap, ...others] = await gapsOf(project.codebase);
  expect(others).toEqual([]);
  expect(gap).toMatchObject({ stream: expect.stringMatching(/^command-scheduler-/), data: { ref: MAIN, found: second, known: project.first, how: 'poll' } });
  expect((await eventsOf(system, `key=${project.codebase}&type=codebase.stored`)).at(-1)?.data.commit).toBe(second);

  await untilPolled(project.codebase, gap?.data.lookedAt);
  const { head } = await detailOf(project.codebase);
  expect(head).toMatchObject({ commit: second, watchedBy: 'hook', lastLook: { how: 'poll' } });
  const file = await system.ask('GET', `/v1/codebases/${project.codebase}/files/a`);
  expect(file.headers.get('x-tekai-watched-by')).toBe('hook');
  expect(Date.parse(file.headers.get('x-tekai-looked-at') ?? '')).toBeGreaterThan(Date.parse(gap?.data.lookedAt));
  // Of a version that its ref has left behind no later look says anything.
  const old = await system.ask('GET', `/v1/codebases/${project.codebase}/files/a?at=${project.first}`);
  expect(old.headers.get('x-tekai-looked-at')).toBe(old.headers.get('x-tekai-observed-at'));
});

test('branches that came and went unheard are gaps too, and A→B→A is two', async () => {
  const project = await follow();
  await system.gitlab.admin('POST', `/projects/${project.id}/refs`, { ref: 'refs/heads/side', sha: project.first, hooks: false });
  await untilStored(system, project.codebase, 'refs/heads/side', project.first);
  await system.gitlab.admin('POST', `/projects/${project.id}/refs`, { ref: 'refs/heads/side', hooks: false });
  await until('side is gone', async () => !(await oldestBranch(project.codebase)).includes('refs/heads/side'));
  expect((await gapsOf(project.codebase)).map(({ data }) => [data.ref, data.found, data.known])).toEqual([['refs/heads/side', project.first, null], ['refs/heads/side', null, project.first]]);

  await dropHooks();
  const second = project.commit('second');
  for (const [commit, refspec] of [[second, 'main'], [project.first, `${project.first}:main`], [second, `${second}:main`]] as const) {
    project.push(refspec);
    await untilStored(system, project.codebase, MAIN, commit);
  }
  expect((await gapsOf(project.codebase)).filter(({ data }) => data.ref === MAIN).map(({ data }) => data.found)).toEqual([second, project.first, second]);
});

test('30 pushes whose webhooks come, as quick as they go, with looks meanwhile: not one gap', async () => {
  const project = await follow();
  const before = await looks();
  let last = '';
  for (let n = 0; n < 30; n += 1) {
    last = project.commit(`push ${n}`);
    project.push('main', `main:b${n % 3}`);
  }
  await untilStored(system, project.codebase, MAIN, last);
  for (let n = 0; n < 3; n += 1) await untilPolled(project.codebase, (await detailOf(project.codebase)).lastLook?.at ?? '');
  expect(await gapsOf(project.codebase)).toEqual([]);
  expect(await looks()).toBeGreaterThan(before + 5);
}, 240_000);

test('where GitLab does not take the webhook its refs are polled, and it is made as soon as GitLab takes it', async () => {
  await system.gitlab.admin('POST', '/faults', { kind: 'http', method: 'POST', path: '/hooks', status: 422, body: '{"message":"Invalid url given"}', headers: { 'Content-Type': 'application/json' } });
  const project = await follow('refused');
  expect(await detailOf(project.codebase)).toMatchObject({ watchedBy: 'poll', head: { watchedBy: 'poll' } });
  const second = project.commit('second');
  project.push('main');
  await untilStored(system, project.codebase, MAIN, second);
  expect(await gapsOf(project.codebase)).toHaveLength(1);
  await system.gitlab.admin('DELETE', '/faults');
  await until('the hook is installed', async () => (await detailOf(project.codebase)).watchedBy === 'hook');
});

test('a webhook that somebody removed is made again', async () => {
  const project = await follow();
  const [hook] = await system.gitlab.rest<{ id: number }[]>('GET', `/projects/${project.id}/hooks`);
  await system.gitlab.rest('DELETE', `/projects/${project.id}/hooks/${hook?.id}`);
  await until('it stands there again', async () => (await system.gitlab.rest<unknown[]>('GET', `/projects/${project.id}/hooks`)).length === 1);
  await until('it is told', async () => (await eventsOf(system, `key=${project.codebase}&type=hook.installed`)).some(({ data }) => data.how === 'repaired'));
});

test('429 with Retry-After: the source is left alone for that long, nothing is concluded, and then it is found', async () => {
  const project = await follow();
  await untilPolled(project.codebase, '');
  await dropHooks();
  await system.gitlab.admin('POST', '/faults', { kind: 'http', path: '/repository/branches\\?', status: 429, retryAfterSeconds: 8, times: 1 });
  const second = project.commit('second');
  project.push('main');
  const held = await until('the source is held', async () => (await system.ask('GET', `/v1/sources/${await system.sourceId()}`)).json<{ polling: { heldUntil: string | null; heldReason: string | null } }>().polling.heldUntil ?? undefined);
  await untilStored(system, project.codebase, MAIN, second);
  const [gap] = await gapsOf(project.codebase);
  expect(Date.parse(gap?.data.lookedAt)).toBeGreaterThanOrEqual(Date.parse(held));
});

test('GitLab away, cut or refusing: not one branch is missed or said to be gone', async () => {
  const project = await follow();
  project.push('main:side');
  await untilStored(system, project.codebase, 'refs/heads/side', project.first);
  for (const fault of [{ status: 503 }, { status: 401 }, { cutAfterBytes: 100 }, { html: true }]) {
    await system.gitlab.admin('POST', '/faults', { kind: 'http', path: '/repository/branches\\?', ...fault });
    await until(`${JSON.stringify(fault)} was met twice`, async () => (await system.gitlab.admin<{ hits: number }[]>('GET', '/faults')).some(({ hits }) => hits >= 2));
    await system.gitlab.admin('DELETE', '/faults');
  }
  await untilPolled(project.codebase, new Date().toISOString());
  expect(await gapsOf(project.codebase)).toEqual([]);
  expect(await oldestBranch(project.codebase)).toEqual([MAIN, 'refs/heads/side']);
}, 240_000);

/** Requests for the branches of any project, as GitLab counts them. */
async function looks(): Promise<number> {
  return (await system.gitlab.admin<{ count: number }>('GET', '/requests?path=repository%2Fbranches%5C%3F&method=GET')).count;
}
