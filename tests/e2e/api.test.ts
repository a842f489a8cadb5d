import { randomBytes, randomUUID } from 'node:crypto';
import { makeRepository, type Repository } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type Answer, type System } from '../harness/system.ts';

let system: System;
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });
afterEach(async () => { await system.gitlab.admin('DELETE', '/faults'); });

const MAIN = 'refs/heads/main';
let made = 0;

/** A project in GitLab with one commit, which nobody follows yet. */
async function project(): Promise<{ repository: Repository; id: number; path: string; first: string; push(content: string, ...refspec: string[]): string }> {
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: 'first' }]);
  const name = `api-${(made += 1)}`;
  const { id } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: name, import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/${name}`));
  const push = (content: string, ...refspec: string[]) => {
    const commit = repository.commit('main', [{ path: 'a', content }]);
    repository.git('push', '-q', 'origin', ...(refspec.length === 0 ? ['main'] : refspec));
    return commit;
  };
  return { repository, id, path: `root/${name}`, first, push };
}

const register = async (body: object, headers: Record<string, string> = {}) => system.ask('POST', '/v1/codebases', { body: { sourceId: await system.sourceId(), ...body }, headers });
const problemOf = (answer: Answer) => answer.json<{ status: number; code: string; detail: string; errors?: { pointer: string }[] }>();
const hooksOf = (id: number) => system.gitlab.rest<{ id: number; url: string }[]>('GET', `/projects/${id}/hooks`);
const untilHook = (codebase: string, state: string) => until(`the hook of ${codebase} is ${state}`, async () => {
  const { hook } = (await system.ask('GET', `/v1/codebases/${codebase}`)).json<{ hook: { state: string; reason: string | null; isSigned: boolean | null } }>();
  return hook.state === state && hook;
});
const untilSync = (url: string) => until(`${url} has ended`, async () => {
  const sync = (await system.ask('GET', url)).json<{ isEnded: boolean; state: string; ref: string; reason: string | null; coveredBy: string | null; commit: string | null }>();
  return sync.isEnded && sync;
});

/** Facts of a kind, as soon as there are any: the tables follow the log. */
const untilRecorded = (codebase: string, type: string) => until(`${type} of ${codebase}`, async () => {
  const events = await eventsOf(system, `key=${codebase}&type=${type}`);
  return events.length > 0 && events;
});

describe('registering a codebase', () => {
  test('by path and by id it is the same codebase: 201 the first time, 200 the next, and its first sync starts by itself', async () => {
    const { id, path, first } = await project();
    const byPath = await register({ gitlabProject: path });
    expect(byPath.status).toBe(201);
    const registered = byPath.json<{ id: string; cause: string; syncs: string }>();
    expect(byPath.headers.get('location')).toBe(`/v1/codebases/${registered.id}`);
    const byId = await register({ gitlabProject: id });
    expect([byId.status, byId.json()]).toEqual([200, { ...registered, how: 'known' }]);
    await untilStored(system, registered.id, MAIN, first);
    // Nothing but the registration caused it.
    const { syncs } = (await system.ask('GET', registered.syncs)).json<{ syncs: { ref: string; cause: string; state: string; commit: string }[] }>();
    expect(syncs).toMatchObject([{ ref: MAIN, cause: registered.cause, state: 'stored', commit: first }]);
    expect((await system.ask('GET', `/v1/codebases/${registered.id}`)).json()).toMatchObject({ path, gitlabProjectId: id, defaultRef: MAIN, refs: 1 });
  });

  test('a project that GitLab does not show is 422 with the reason, by path and by id, and leaves nothing', async () => {
    for (const gitlabProject of ['root/never-was', 999_999]) {
      const problem = problemOf(await register({ gitlabProject }));
      expect(problem).toMatchObject({ status: 422, code: 'project-absent', errors: [{ pointer: '/gitlabProject' }] });
      expect(problem.detail).toContain(JSON.stringify(gitlabProject));
    }
    const { codebases } = (await system.ask('GET', '/v1/codebases?limit=1000')).json<{ codebases: { gitlabProjectId: number }[] }>();
    expect(codebases.some((one) => one.gitlabProjectId === 999_999)).toBe(false);
  });

  test('with a token that GitLab refuses by now is 422, not a wait; a source that refuses is never registered', async () => {
    const refused = problemOf(await system.ask('POST', '/v1/sources', { body: { name: 'wrong', baseUrl: system.gitlab.url, token: 'glpat-wrong' } }));
    expect(refused).toMatchObject({ status: 422, code: 'source-refused' });
    const { id: tokenId, secret } = await system.gitlab.admin<{ id: number; secret: string }>('POST', '/tokens', { user: 'root', scopes: ['api'] });
    const source = (await system.ask('POST', '/v1/sources', { body: { name: 'revoked', baseUrl: system.gitlab.url, token: secret } })).json<{ id: string }>().id;
    await system.gitlab.admin('PATCH', `/tokens/${tokenId}`, { revoked: true });
    const problem = problemOf(await register({ sourceId: source, gitlabProject: (await project()).id }));
    expect(problem).toMatchObject({ status: 422, code: 'source-refused' });
    expect(problem.detail).toMatch(/401.*token/);
    expect(problem.detail + refused.detail).not.toMatch(/glpat-/);
    expect(problemOf(await register({ sourceId: randomUUID(), gitlabProject: 1 }))).toMatchObject({ status: 422, code: 'source-unknown' });
  });

  test('other followed refs than before are 409, not a silent change', async () => {
    const { id } = await project();
    await register({ gitlabProject: id });
    expect(problemOf(await register({ gitlabProject: id, followed: { branches: ['main'], tags: [] } }))).toMatchObject({ status: 409, code: 'codebase-registered' });
  });

  test.each<[string, object]>([['no project', {}], ['a project that is neither id nor path', { gitlabProject: -1 }], ['a field that nobody knows', { gitlabProject: 1, branch: 'main' }]])('a body with %s is 422 and says where', async (_what, body) => {
    const problem = problemOf(await register(body));
    expect(problem).toMatchObject({ status: 422, code: 'body-invalid' });
    expect(problem.errors?.length).toBeGreaterThan(0);
  });
});

describe('an Idempotency-Key', () => {
  test('repeats a registration: the same body gets the same answer, also at once; another body is 422', async () => {
    const [one, other] = [await project(), await project()];
    const headers = { 'idempotency-key': randomUUID() };
    const answers = await Promise.all(Array.from({ length: 8 }, () => register({ gitlabProject: one.id }, headers)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(new Set(answers.map((answer) => answer.bytes.toString())).size).toBe(1);
    expect(await untilRecorded(answers[0]!.json<{ id: string }>().id, 'codebase.registered')).toHaveLength(1);
    for (const body of [{ gitlabProject: other.id }, { gitlabProject: one.id, followed: { branches: ['x'], tags: [] } }]) {
      expect(problemOf(await register(body, headers))).toMatchObject({ status: 422, code: 'idempotency-key-reused' });
    }
  });

  test('repeats a sync and a source alike', async () => {
    const codebase = await system.follow((await project()).id);
    const headers = { 'idempotency-key': `words, no UUID ${made}` };
    const ask = (body: object) => system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body, headers });
    const answers = [await ask({ ref: MAIN }), await ask({ ref: MAIN })];
    expect(answers.map(({ status }) => status)).toEqual([202, 202]);
    expect(answers[1]!.json()).toEqual(answers[0]!.json());
    expect(problemOf(await ask({}))).toMatchObject({ status: 422, code: 'idempotency-key-reused' });
    expect(await untilRecorded(codebase, 'sync.requested')).toHaveLength(1);

    const body = { name: 'twice', baseUrl: system.gitlab.url, token: system.gitlab.token };
    const again = { 'idempotency-key': randomUUID() };
    const sources = await Promise.all([0, 1, 2].map(() => system.ask('POST', '/v1/sources', { body, headers: again })));
    expect(new Set(sources.map((answer) => `${answer.status} ${answer.bytes.toString()}`)).size).toBe(1);
    expect(problemOf(await system.ask('POST', '/v1/sources', { body: { ...body, token: 'y' }, headers: again }))).toMatchObject({ status: 422, code: 'idempotency-key-reused' });
  });

  test('is missing: 400, whatever the command', async () => {
    const codebase = await system.follow((await project()).id);
    for (const [where, body] of [['/v1/codebases', { sourceId: await system.sourceId(), gitlabProject: 1 }], [`/v1/codebases/${codebase}/syncs`, {}], ['/v1/sources', { baseUrl: system.gitlab.url, token: 'x' }]] as const) {
      // `ask` would give it one.
      const response = await fetch(`${system.url}${where}`, { method: 'POST', headers: { authorization: `Bearer ${system.token}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });
      expect([where, response.status, (await response.json() as { code: string }).code]).toEqual([where, 400, 'idempotency-key-missing']);
    }
  });
});

describe('a sync by hand', () => {
  test('of one ref answers 202 with where to look, and there it is seen to its end', async () => {
    const one = await project();
    const codebase = await system.follow(one.id);
    await untilStored(system, codebase, MAIN, one.first);
    await untilHook(codebase, 'installed');
    await system.gitlab.admin('POST', '/faults', { kind: 'hook', action: 'drop' });
    const second = one.push('second');
    one.repository.git('push', '-q', 'origin', 'main:side');
    const answer = await system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body: { ref: MAIN } });
    expect(answer.status).toBe(202);
    const { cause, sync, url } = answer.json<{ cause: string; sync: string; url: string }>();
    expect([answer.headers.get('location'), url]).toEqual([`/v1/syncs/${sync}`, `/v1/syncs/${sync}`]);
    expect(await untilSync(url)).toMatchObject({ id: sync, cause, ref: MAIN, state: 'stored', commit: second });
    // One ref was asked for; the other is not there.
    expect((await system.ask('GET', `/v1/codebases/${codebase}/refs`)).json<{ refs: { ref: string }[] }>().refs.map(({ ref }) => ref)).toEqual([MAIN]);

    const again = (await system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body: { ref: MAIN } })).json<{ url: string }>();
    expect(await untilSync(again.url)).toMatchObject({ state: 'skipped', reason: 'up-to-date', coveredBy: sync, commit: second });
  });

  test('of all refs answers with the list of its syncs, one a ref', async () => {
    const one = await project();
    const codebase = await system.follow(one.id);
    await untilStored(system, codebase, MAIN, one.first);
    await untilHook(codebase, 'installed');
    await system.gitlab.admin('POST', '/faults', { kind: 'hook', action: 'drop' });
    const second = one.push('second');
    one.repository.git('push', '-q', 'origin', 'main:side');
    const answer = await system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body: {} });
    const { cause, sync, url } = answer.json<{ cause: string; sync: null; url: string }>();
    expect([answer.status, sync, url, answer.headers.get('location')]).toEqual([202, null, `/v1/syncs?cause=${cause}`, url]);
    await untilStored(system, codebase, 'refs/heads/side', second);
    await untilStored(system, codebase, MAIN, second);
    const { syncs } = (await system.ask('GET', url)).json<{ syncs: { ref: string; state: string }[] }>();
    expect(syncs.map(({ ref, state }) => [ref, state]).sort()).toEqual([[MAIN, 'stored'], ['refs/heads/side', 'stored']]);
  });

  test.each<[string, string | undefined, object, number, string]>([
    ['of a codebase that nobody registered', randomUUID(), {}, 404, 'codebase-unknown'],
    ['of what is no id', 'x', {}, 404, 'codebase-unknown'],
    ['of what is no ref', undefined, { ref: 'main' }, 422, 'body-invalid'],
    ['of a ref that no git has', undefined, { ref: 'refs/heads/a b' }, 422, 'body-invalid'],
  ])('%s is refused', async (_what, id, body, status, code) => {
    const codebase = id ?? await system.follow((await project()).id);
    expect(problemOf(await system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body }))).toMatchObject({ status, code });
  });

  test('of a ref that GitLab does not have ends, and says so', async () => {
    const codebase = await system.follow((await project()).id);
    const { url } = (await system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body: { ref: 'refs/heads/nowhere' } })).json<{ url: string }>();
    expect(await untilSync(url)).toMatchObject({ state: 'skipped', reason: 'nothing-there', commit: null });
  });
});

describe('the webhook', () => {
  test('is installed once, and a push of which it tells is signed, recorded and stored', async () => {
    const one = await project();
    const codebase = await system.follow(one.id);
    expect(await untilHook(codebase, 'installed')).toEqual({ state: 'installed', reason: null, isSigned: true });
    await untilStored(system, codebase, MAIN, one.first);
    const second = one.push('second');
    await untilStored(system, codebase, MAIN, second);
    const [push] = await eventsOf(system, `key=${codebase}&type=push.received`);
    expect(push?.data).toMatchObject({ gitlabProjectId: one.id, refs: [{ ref: MAIN, before: one.first, after: second }] });
    // Verified by its signature: the delivery's id is the one that was signed.
    const [hook] = await hooksOf(one.id);
    const [delivery] = await system.gitlab.admin<{ requestHeaders: Record<string, string>; responseStatus: string }[]>('GET', `/deliveries?hook=${hook?.id}`);
    const headers = new Headers(delivery?.requestHeaders);
    expect(headers.get('webhook-signature')).toMatch(/^v1,/);
    expect([push?.data.deliveryId, delivery?.responseStatus]).toEqual([headers.get('webhook-id'), '202']);
    // The stored version follows from the push, step by step.
    const stored = (await eventsOf(system, `key=${codebase}&type=codebase.stored`)).at(-1);
    expect(stored?.data).toMatchObject({ commit: second, hintReached: true });
  });

  test('that stands there already is adopted, not doubled: the codebase registered again, or the hook made by hand', async () => {
    const one = await project();
    const source = await system.sourceId();
    const url = `${system.url}/webhooks/gitlab/${source}`;
    await system.gitlab.rest('POST', `/projects/${one.id}/hooks`, { url, push_events: false });
    const codebase = await system.follow(one.id);
    await untilHook(codebase, 'installed');
    await Promise.all([register({ gitlabProject: one.id }), register({ gitlabProject: one.path })]);
    const [fact] = await eventsOf(system, `key=${codebase}&type=hook.installed`);
    expect(fact?.data.how).toBe('adopted');
    const hooks = await hooksOf(one.id);
    expect(hooks.map((hook) => hook.url)).toEqual([url]);
    const second = one.push('second');
    await untilStored(system, codebase, MAIN, second);
    expect(await eventsOf(system, `key=${codebase}&type=hook.installed`)).toHaveLength(1);
  });

  test('cannot be made with a token that may only read: refused with what to do, while syncs by hand work', async () => {
    const one = await project();
    const { secret } = await system.gitlab.admin<{ secret: string }>('POST', '/tokens', { user: 'root', scopes: ['read_api', 'read_repository'] });
    const source = (await system.ask('POST', '/v1/sources', { body: { name: 'reader', baseUrl: system.gitlab.url, token: secret } })).json<{ id: string }>().id;
    const codebase = (await register({ sourceId: source, gitlabProject: one.id })).json<{ id: string }>().id;
    expect((await untilHook(codebase, 'refused')).reason).toMatch(/api/);
    await untilStored(system, codebase, MAIN, one.first);
  });

  test('with secrets of one\'s own is known by them', async () => {
    const signingToken = `whsec_${randomBytes(32).toString('base64')}`;
    const answer = await system.ask('POST', '/v1/sources', { body: { name: 'own', baseUrl: system.gitlab.url, token: system.gitlab.token, webhookToken: 'a-token-of-my-own', signingToken } });
    const { id: source, webhookUrl } = answer.json<{ id: string; webhookUrl: string }>();
    expect(webhookUrl).toBe(`${system.url}/webhooks/gitlab/${source}`);
    const deliver = (token: string) => fetch(webhookUrl, { method: 'POST', headers: { 'x-gitlab-token': token, 'content-type': 'application/json' }, body: '{"object_kind":"note"}' });
    expect((await deliver('a-token-of-my-own')).status).toBe(202);
    expect((await deliver('a-token-of-my-owN')).status).toBe(401);
  });
});

describe('while GitLab is away', () => {
  test('a registration by id is 201 and waits; by path it is 503; when GitLab is back hook and first sync come by themselves', async () => {
    const one = await project();
    await system.sourceId();
    await system.gitlab.admin('POST', '/faults', { kind: 'http', path: '^/', status: 502 });
    const byPath = await register({ gitlabProject: one.path });
    expect([byPath.status, problemOf(byPath).code, Number(byPath.headers.get('retry-after')) > 0]).toEqual([503, 'gitlab-away', true]);
    const byId = await register({ gitlabProject: one.id });
    expect(byId.status).toBe(201);
    const codebase = byId.json<{ id: string }>().id;
    const { hook, path, refs } = await until('it is shown', async () => {
      const answer = await system.ask('GET', `/v1/codebases/${codebase}`);
      return answer.status === 200 && answer.json<{ hook: { state: string }; path: string | null; refs: number }>();
    });
    expect([hook.state, path, refs]).toEqual(['pending', null, 0]);
    // The workers have met the fault, too, and parked nothing.
    await until('GitLab was asked and refused', async () => (await system.gitlab.admin<{ hits: number }[] | { faults: { hits: number }[] }>('GET', '/faults').then((all) => (Array.isArray(all) ? all : all.faults)))[0]!.hits > 4);
    expect((await system.ask('GET', `/v1/parked?key=${codebase}`)).json()).toMatchObject({ parked: [] });
    await system.gitlab.admin('DELETE', '/faults');
    expect(await untilHook(codebase, 'installed')).toMatchObject({ isSigned: true });
    await untilStored(system, codebase, MAIN, one.first);
  });
});

describe('the past', () => {
  test('is answered by commit, by position and by time, and a position of another log is 410', async () => {
    const one = await project();
    const codebase = await system.follow(one.id);
    const first = await untilStored(system, codebase, MAIN, one.first);
    await untilHook(codebase, 'installed');
    const contentAt = async (at: string) => {
      const answer = await system.ask('GET', `/v1/codebases/${codebase}/files/a?at=${encodeURIComponent(at)}`);
      return answer.status === 200 ? answer.bytes.toString() : answer.status;
    };
    const second = one.push('second');
    const then = await untilStored(system, codebase, MAIN, second);
    const third = one.push('third');
    const now = await untilStored(system, codebase, MAIN, third);

    for (const [receipt, content] of [[first, 'first'], [then, 'second'], [now, 'third']] as const) {
      expect(await contentAt(receipt.commit)).toBe(content);
      expect(await contentAt(receipt.position)).toBe(content);
    }
    const { versions } = (await system.ask('GET', `/v1/codebases/${codebase}/versions`)).json<{ versions: { commit: string; storedAt: string }[] }>();
    expect(versions.map(({ commit }) => commit)).toEqual([third, second, one.first]);
    for (const [index, content] of ['third', 'second', 'first'].entries()) expect(await contentAt(versions[index]!.storedAt)).toBe(content);
    expect(await contentAt('2020-01-01T00:00:00Z')).toBe(404);
    expect(await contentAt(now.position.replace(/^.{8}/, '00000000'))).toBe(410);
    expect(await contentAt('f'.repeat(40))).toBe(404);
    expect(await contentAt('yesterday')).toBe(400);
  });
});
