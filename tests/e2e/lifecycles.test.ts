import { randomUUID } from 'node:crypto';
import { makeRepository } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type Answer, type System } from '../harness/system.ts';

let system: System;
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });

const MAIN = 'refs/heads/main';
let made = 0;

async function followed() {
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: 'first' }]);
  const name = `life-${(made += 1)}`;
  const { id } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: name, import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/${name}`));
  const codebase = await system.follow(id);
  await untilStored(system, codebase, MAIN, first);
  await untilHook(codebase, 'installed');
  const push = (content: string) => {
    const commit = repository.commit('main', [{ path: 'a', content }]);
    repository.git('push', '-q', 'origin', 'main');
    return commit;
  };
  return { codebase, id, first, push, repository, at: `/v1/codebases/${codebase}` };
}

const hooksOf = (id: number) => system.gitlab.rest<{ url: string }[]>('GET', `/projects/${id}/hooks`);
const problemOf = (answer: Answer) => [answer.status, answer.json<{ code: string }>().code];
const untilHook = (codebase: string, state: string) => until(`the hook of ${codebase} is ${state}`, async () => (await system.ask('GET', `/v1/codebases/${codebase}`)).json<{ hook: { state: string } }>().hook.state === state);
const tagOf = async (where: string) => (await system.ask('GET', where)).headers.get('etag') ?? '';
const change = (method: string, where: string, { tag, body, key = randomUUID() }: { tag: string; body?: object; key?: string }) =>
  system.ask(method, where, { ...(body === undefined ? {} : { body }), headers: { 'if-match': tag, 'idempotency-key': key } });

test('a codebase that is removed is hidden, its hook gone from GitLab, its pushes ignored; undone, all is as before, and a push syncs again', async () => {
  const one = await followed();
  const key = randomUUID();
  const tag = await tagOf(one.at);
  const removed = await change('DELETE', one.at, { tag, key });
  expect([removed.status, removed.json()]).toEqual([200, expect.objectContaining({ state: 'removed', undoUntil: expect.any(String) })]);
  expect(Date.parse(removed.json().undoUntil) - Date.now()).toBeGreaterThan(6.9 * 86_400_000);
  await until('its content is hidden', async () => (await system.ask('GET', `${one.at}/files/a`)).status === 404);
  const hidden = await system.ask('GET', `${one.at}/files/a`);
  expect(problemOf(hidden)).toEqual([404, 'codebase-removed']);
  expect(hidden.json().detail).toContain(removed.json().undoUntil);
  for (const what of ['refs', 'versions', 'tree']) expect(problemOf(await system.ask('GET', `${one.at}/${what}`))).toEqual([404, 'codebase-removed']);
  await until('our hook is gone from GitLab', async () => (await hooksOf(one.id)).length === 0);
  await untilHook(one.codebase, 'removed');
  expect((await system.ask('GET', '/v1/codebases?limit=1000')).bytes.toString()).not.toContain(one.codebase);
  expect((await system.ask('GET', '/v1/codebases?state=removed')).bytes.toString()).toContain(one.codebase);
  expect(problemOf(await system.ask('POST', `${one.at}/syncs`, { body: {} }))).toEqual([404, 'codebase-removed']);

  const unseen = one.push('while it was removed');

  // The same command again is answered as the first time; what the engine noted since (the hook) is no conflict for an undo.
  expect((await change('DELETE', one.at, { tag, key })).json()).toEqual(removed.json());
  const restored = await change('POST', `${one.at}/restore`, { tag: removed.headers.get('etag') ?? '' });
  expect([restored.status, restored.json()]).toMatchObject([200, { state: 'active', undoUntil: null }]);
  await untilStored(system, one.codebase, MAIN, unseen);
  await untilHook(one.codebase, 'installed');
  expect(await hooksOf(one.id)).toHaveLength(1);
  await untilStored(system, one.codebase, MAIN, one.push('after the undo'));
  expect((await eventsOf(system, `key=${one.codebase}`)).map(({ type }) => type).filter((type) => /^(codebase\.(registered|removed|restored|archived)|hook)/.test(type)))
    .toEqual(['codebase.registered', 'hook.installed', 'codebase.removed', 'hook.removed', 'codebase.restored', 'hook.installed']);
});

test('registering what was removed restores it; with other refs it is 409', async () => {
  const one = await followed();
  await change('DELETE', one.at, { tag: '*' });
  const body = { sourceId: await system.sourceId(), gitlabProject: one.id };
  expect(problemOf(await system.ask('POST', '/v1/codebases', { body: { ...body, followed: { branches: ['x'], tags: [] } } }))).toEqual([409, 'codebase-registered']);
  const again = await system.ask('POST', '/v1/codebases', { body });
  expect([again.status, again.json().id]).toEqual([200, one.codebase]);
  await untilHook(one.codebase, 'installed');
  await until('it is read again', async () => (await system.ask('GET', `${one.at}/files/a`)).bytes.toString() === 'first');
});

test('an archived codebase is read, and not synced; restored, what was missed comes', async () => {
  const one = await followed();
  expect(problemOf(await system.ask('POST', `${one.at}/archive`))).toEqual([428, 'if-match-missing']);
  expect((await change('POST', `${one.at}/archive`, { tag: await tagOf(one.at) })).status).toBe(200);
  const missed = one.push('missed');
  const skipped = await until('the push is skipped', async () => (await eventsOf(system, `key=${one.codebase}&type=sync.skipped`)).find(({ data }) => data.reason === 'codebase-archived'));
  expect(skipped.data).toMatchObject({ ref: MAIN });
  expect((await system.ask('GET', `${one.at}/files/a`)).bytes.toString()).toBe('first');
  expect(problemOf(await system.ask('POST', `${one.at}/syncs`, { body: {} }))).toEqual([409, 'codebase-archived']);
  await change('POST', `${one.at}/restore`, { tag: '*' });
  await untilStored(system, one.codebase, MAIN, missed);
});

test('other refs are followed: those that are new come, those left out are no longer current and stay history', async () => {
  const one = await followed();
  one.repository.git('push', '-q', 'origin', 'main:side', 'main:release/1');
  await untilStored(system, one.codebase, 'refs/heads/side', one.first);
  const tag = await tagOf(one.at);
  const body = { followed: { branches: ['main', 'release/*'], tags: [] } };
  const changed = await change('PATCH', one.at, { tag, body });
  expect(changed.json()).toMatchObject({ followed: body.followed, cause: expect.any(String) });
  // Nobody decides from what was before.
  expect(problemOf(await change('PATCH', one.at, { tag, body: { followed: { branches: ['x'], tags: [] } } }))).toEqual([412, 'changed-meanwhile']);
  await until('side is no longer current', async () => (await system.ask('GET', `${one.at}/refs`)).json<{ refs: { ref: string }[] }>().refs.map(({ ref }) => ref).join() === `${MAIN},refs/heads/release/1`);
  const gone = await system.ask('GET', `${one.at}/files/a?ref=side`);
  expect(gone.status).toBe(404);
  expect((await system.ask('GET', `${one.at}/versions?ref=refs/heads/side`)).json().versions.map((version: { state: string }) => version.state)).toEqual(['unfollowed', 'stored']);
  expect((await system.ask('GET', `${one.at}/files/a?ref=side&at=${one.first}`)).bytes.toString()).toBe('first');
  await change('PATCH', one.at, { tag: '*', body: { followed: { branches: ['*'], tags: [] } } });
  await untilStored(system, one.codebase, 'refs/heads/side', one.first);
});

test('projects group codebases: made, renamed, filled, listed by, archived, removed and brought back', async () => {
  const one = await followed();
  const key = randomUUID();
  const create = () => system.ask('POST', '/v1/projects', { body: { name: 'Billing' }, headers: { 'idempotency-key': key } });
  const answers = await Promise.all([create(), create(), create()]);
  expect(new Set(answers.map((answer) => `${answer.status} ${answer.headers.get('etag')} ${answer.bytes.toString()}`)).size).toBe(1);
  expect(problemOf(await system.ask('POST', '/v1/projects', { body: { name: 'Other' }, headers: { 'idempotency-key': key } }))).toEqual([422, 'idempotency-key-reused']);
  const { id } = answers[0]!.json<{ id: string }>();
  const at = `/v1/projects/${id}`;
  expect([answers[0]!.status, answers[0]!.headers.get('location')]).toEqual([201, at]);
  const added = await change('PUT', `${at}/codebases/${one.codebase}`, { tag: answers[0]!.headers.get('etag') ?? '' });
  expect([added.status, added.headers.get('etag')]).toEqual([200, '"1"']);
  expect(problemOf(await change('PUT', `${at}/codebases/${randomUUID()}`, { tag: '*' }))).toEqual([404, 'codebase-unknown']);
  expect((await change('PATCH', at, { tag: '"1"', body: { name: 'Billing 2' } })).status).toBe(200);
  const detail = await until('the project is folded', async () => { const answer = await system.ask('GET', at); return answer.status === 200 && answer.json().name === 'Billing 2' && answer; });
  expect(detail.json()).toMatchObject({ state: 'active', revision: 2, codebaseCount: 1, codebases: [{ id: one.codebase }], next: null });
  expect((await system.ask('GET', `/v1/codebases?project=${id}`)).json().codebases.map((codebase: { id: string }) => codebase.id)).toEqual([one.codebase]);
  expect((await system.ask('GET', '/v1/projects')).json().projects).toMatchObject([{ id, codebaseCount: 1 }]);

  await change('DELETE', one.at, { tag: '*' });
  await until('a removed codebase is not shown in it', async () => (await system.ask('GET', at)).json().codebaseCount === 0);
  expect(problemOf(await change('DELETE', at, { tag: '"1"' }))).toEqual([412, 'changed-meanwhile']);
  expect((await change('DELETE', at, { tag: detail.headers.get('etag') ?? '' })).json()).toMatchObject({ state: 'removed' });
  await until('it is not listed', async () => (await system.ask('GET', '/v1/projects')).json().projects.length === 0);
  expect(problemOf(await change('PATCH', at, { tag: '*', body: { name: 'x' } }))).toEqual([404, 'project-removed']);
  expect((await change('POST', `${at}/restore`, { tag: '*' })).json()).toMatchObject({ state: 'active' });
});

test('a source gets another token, and is removed only when nothing of it is left; then its deliveries are strangers\'', async () => {
  const { secret: other } = await system.gitlab.admin<{ secret: string }>('POST', '/tokens', { user: 'root', scopes: ['api'] });
  const { id: source, webhookUrl } = (await system.ask('POST', '/v1/sources', { body: { name: 'short', baseUrl: system.gitlab.url, token: other, webhookToken: 'a-token-of-my-own' } })).json<{ id: string; webhookUrl: string }>();
  const at = `/v1/sources/${source}`;
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: 'first' }]);
  const { id: project } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'of-short', import: repository.dir });
  const body = { sourceId: source, gitlabProject: project };
  await until('the source is folded', async () => (await system.ask('GET', at)).status === 200);
  const changed = await change('PATCH', at, { tag: await tagOf(at), body: { token: system.gitlab.token, name: 'longer' } });
  expect([changed.status, changed.json()]).toEqual([200, { id: source, name: 'longer', state: 'active', revision: 1, changed: ['name', 'token'] }]);
  expect(JSON.stringify(await eventsOf(system, `key=${source}`))).not.toContain(system.gitlab.token);

  const codebase = (await system.ask('POST', '/v1/codebases', { body })).json<{ id: string }>().id;
  await untilStored(system, codebase, MAIN, first);
  await untilHook(codebase, 'installed');
  const refused = await change('DELETE', at, { tag: '*' });
  expect(problemOf(refused)).toEqual([409, 'source-in-use']);
  expect(refused.json().detail).toContain('root/of-short (active)');
  await change('DELETE', `/v1/codebases/${codebase}`, { tag: '*' });
  const removed = await until('its hook is gone, so that the source may go', async () => { const answer = await change('DELETE', at, { tag: '*' }); return answer.status === 200 && answer; });
  expect(removed.json()).toMatchObject({ state: 'removed' });
  expect(await hooksOf(project)).toEqual([]);
  expect(problemOf(await change('POST', `/v1/codebases/${codebase}/restore`, { tag: '*' }))).toEqual([409, 'source-removed']);
  await until('it is not listed', async () => (await system.ask('GET', at)).status === 404);
  await until('its secret is nobody\'s', async () => (await fetch(webhookUrl, { method: 'POST', headers: { 'x-gitlab-token': 'a-token-of-my-own', 'content-type': 'application/json' }, body: '{}' })).status === 401);
});
