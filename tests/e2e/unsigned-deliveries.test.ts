import { makeRepository } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

// GitLab signs from 19 on. Whoever has learned the secret token alone, which goes along with every delivery, speaks for no project whose webhook signs.

const MAIN = 'refs/heads/main';
const [TOKEN, SIGNING] = ['the-webhook-token', `whsec_${Buffer.alloc(32, 'k').toString('base64')}`];
/** A look every two and a half seconds or so; webhooks are looked after every five. */
const settings = { TEKAI_POLL_ACTIVE_SECONDS: '3', TEKAI_POLL_IDLE_SECONDS: '3', TEKAI_HOOK_CHECK_SECONDS: '5', TEKAI_HOOK_RETRY_SECONDS: '5', TEKAI_GITLAB_REQUESTS_PER_MINUTE: '3000' };
let system: System;
beforeAll(async () => { system = await startSystem({ settings, webhookToken: TOKEN, signingToken: SIGNING }); }, 180_000);
afterAll(async () => { await system.stop(); });

interface Delivery { hookId: number; requestHeaders: Record<string, string>; requestBody: string; responseStatus: string; responseBody: string }
interface Hook { id: number; signing_token_present?: boolean }

const webhookUrl = async () => `${system.url}/webhooks/gitlab/${await system.sourceId()}`;
const send = async ({ requestHeaders, requestBody }: Pick<Delivery, 'requestHeaders' | 'requestBody'>) => {
  // GitLab shows its log without it.
  const headers = new Headers(requestHeaders);
  headers.set('x-gitlab-token', TOKEN);
  const response = await fetch(await webhookUrl(), { method: 'POST', headers, body: requestBody });
  return [response.status, (await response.json() as { code?: string }).code];
};
const deliveriesOf = async (hook: number) => {
  await system.gitlab.admin('GET', '/idle');
  return system.gitlab.admin<Delivery[]>('GET', `/deliveries?hook=${hook}`);
};
const lastOf = async (hook: number) => (await deliveriesOf(hook)).at(-1) as Delivery;
const without = (delivery: Delivery, names: RegExp): Delivery => ({ ...delivery, requestHeaders: Object.fromEntries(Object.entries(delivery.requestHeaders).filter(([name]) => !names.test(name))) });
const signsOf = async (codebase: string) => (await eventsOf(system, `key=${codebase}&type=hook.installed`)).map(({ data }) => data.isSigned as boolean);
const gitlabIs = (version: string) => system.gitlab.admin('PUT', '/settings', { version });

async function follow(path: string) {
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: path }]);
  const { id: project } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path, import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/${path}`));
  const codebase = await system.follow(project);
  await untilStored(system, codebase, MAIN, first);
  await until('its webhook stands', async () => (await signsOf(codebase)).length === 1);
  const hooks = () => system.gitlab.rest<Hook[]>('GET', `/projects/${project}/hooks`);
  const push = async (content: string) => {
    const commit = repository.commit('main', [{ path: 'a', content }]);
    repository.git('push', '-q', 'origin', 'main');
    await untilStored(system, codebase, MAIN, commit);
  };
  const [hook] = await hooks();
  return { project, codebase, hook: hook?.id ?? 0, hooks, push };
}

test('a delivery whose signature was stripped is refused, by whatever token; a system hook with the token alone is still heard of members', async () => {
  const { project, codebase, hook, push } = await follow('signed');
  expect(await signsOf(codebase)).toEqual([true]);
  const { id: systemHook } = await system.gitlab.rest<Hook>('POST', '/hooks', { url: await webhookUrl(), token: TOKEN, push_events: true });
  await push('two');
  const sent = await lastOf(hook);
  expect([sent.responseStatus, await send(sent)]).toEqual(['202', [200, undefined]]);
  expect(await send(without(sent, /^webhook-signature$/i))).toEqual([401, 'not-signed']);
  expect(await send(without(sent, /^(webhook-.*|idempotency-key)$/i))).toEqual([401, 'not-signed']);
  expect(await send({ requestHeaders: {}, requestBody: JSON.stringify({ event_name: 'repository_update', project_id: project, changes: [] }) })).toEqual([401, 'not-signed']);
  // Of pushes its project's own webhook tells; of members nobody else.
  const ofSystem = await deliveriesOf(systemHook);
  expect([ofSystem.length > 0, ofSystem.every(({ responseStatus: status }) => status === '401')]).toEqual([true, true]);
  expect(ofSystem[0]?.responseBody).toContain('signing token');
  const { id: user } = await system.gitlab.admin<{ id: number }>('POST', '/users', { username: 'ann' });
  await system.gitlab.rest('POST', `/projects/${project}/members`, { user_id: user, access_level: 30 });
  expect(await lastOf(systemHook)).toMatchObject({ responseStatus: '202', requestBody: expect.stringContaining('user_add_to_team') });
  // Taken is taken: in the log it is a moment later where that is slow.
  const hinted = await until('its fact is in the log', async () => { const facts = await eventsOf(system, 'type=gitlab.hinted'); return facts.length > 0 && facts; });
  expect(hinted).toMatchObject([{ data: { about: 'members', gitlabProjectId: project } }]);
  await system.gitlab.rest('DELETE', `/hooks/${systemHook}`);
}, 240_000);

test('a GitLab that is downgraded is found by the hook check: what it sent meanwhile is found by looking, and from then on its deliveries are taken; upgraded, it signs again', async () => {
  const { codebase, hook, push } = await follow('downgraded');
  try {
    await gitlabIs('18.4.0-ee');
    await push('while nobody knows');
    await until('it is told', async () => (await signsOf(codebase)).at(-1) === false);
    await push('by its token');
    expect(await lastOf(hook)).toMatchObject({ responseStatus: '202' });
  } finally {
    await gitlabIs('19.1.0-ee');
  }
  await until('it signs again', async () => (await signsOf(codebase)).at(-1) === true);
  await push('signed again');
  const sent = await lastOf(hook);
  expect(sent.responseStatus).toBe('202');
  await until('the token alone is refused again', async () => (await send(without(sent, /^webhook-signature$/i)))[1] === 'not-signed');
}, 240_000);

test('a webhook that somebody made anew without a signing token gets one, and what it sent before is found by looking', async () => {
  const { project, codebase, hook, hooks, push } = await follow('made-anew');
  await system.gitlab.rest('POST', `/projects/${project}/hooks`, { url: await webhookUrl(), token: TOKEN, push_events: true });
  await system.gitlab.rest('DELETE', `/projects/${project}/hooks/${hook}`);
  await push('by its token');
  await until('it has one', async () => (await hooks()).every((one) => one.signing_token_present === true));
  await push('signed');
  const [made] = await hooks();
  expect(await lastOf(made?.id ?? 0)).toMatchObject({ responseStatus: '202' });
  expect(new Set(await signsOf(codebase))).toEqual(new Set([true]));
}, 240_000);
