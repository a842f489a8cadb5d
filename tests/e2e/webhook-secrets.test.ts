import { makeRepository } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

// A source's webhook secrets are changed while pushes come: GitLab gets the new ones, and no delivery is refused on the way.

const MAIN = 'refs/heads/main';
const [TOKEN, SIGNING] = ['the-first-webhook-token', `whsec_${Buffer.alloc(32, 'k').toString('base64')}`];
let system: System;
beforeAll(async () => { system = await startSystem({ webhookToken: TOKEN, signingToken: SIGNING }); }, 180_000);
afterAll(async () => { await system.stop(); });

interface Manual { secretToken: string; signingToken: string }

test('new secrets reach GitLab by themselves; the ones before are good until its webhook has the new ones, and refused after; nothing that GitLab sends is refused meanwhile', async () => {
  const source = await system.sourceId();
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: 'one' }]);
  const { id: project } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'app', import: repository.dir });
  const codebase = await system.follow(project);
  await untilStored(system, codebase, MAIN, first);
  const { path_with_namespace: path } = await system.gitlab.rest<{ path_with_namespace: string }>('GET', `/projects/${project}`);
  repository.git('remote', 'add', 'origin', system.gitlab.remote(path));
  await until('its webhook stands', async () => (await eventsOf(system, `key=${codebase}&type=hook.installed`)).length === 1);
  const manual = async () => (await system.ask('GET', `/v1/sources/${source}/manual-hook`)).json<Manual>();
  const statusWith = async (token: string) => (await fetch(`${system.url}/webhooks/gitlab/${source}`, {
    method: 'POST', headers: { 'x-gitlab-token': token, 'x-gitlab-event': 'Push Hook' }, body: JSON.stringify({ object_kind: 'push', project_id: 999_999, ref: MAIN }),
  })).status;
  expect([await manual(), await statusWith(TOKEN), await statusWith('another')]).toMatchObject([{ secretToken: TOKEN, signingToken: SIGNING }, 202, 401]);

  const command = { headers: { 'if-match': '*', 'idempotency-key': 'once' } };
  const changed = await system.ask('POST', `/v1/sources/${source}/rotate-secret`, command);
  expect(changed.json()).toMatchObject({ id: source, changed: ['webhook-secret'] });
  const now = await manual();
  // Looked up anew for what nothing fits, once a second.
  await until('the new ones are taken', async () => (await statusWith(now.secretToken)) === 202);
  expect([now.secretToken === TOKEN, now.signingToken === SIGNING]).toEqual([false, false]);
  // Told again, it is the same change.
  expect((await system.ask('POST', `/v1/sources/${source}/rotate-secret`, command)).json()).toEqual(changed.json());
  expect(await manual()).toEqual(now);

  const pushed = repository.commit('main', [{ path: 'a', content: 'two' }]);
  repository.git('push', '-q', 'origin', 'main');
  await untilStored(system, codebase, MAIN, pushed);
  await until('the webhook has the new ones', async () => (await eventsOf(system, `key=${codebase}&type=hook.installed`)).at(-1)?.data.how === 'repaired');
  await until('the ones before are refused', async () => (await statusWith(TOKEN)) === 401);
  expect(await statusWith(now.secretToken)).toBe(202);
  const again = repository.commit('main', [{ path: 'a', content: 'three' }]);
  repository.git('push', '-q', 'origin', 'main');
  await untilStored(system, codebase, MAIN, again);

  const [hook, ...others] = await system.gitlab.rest<{ id: number; alert_status: string; signing_token_present: boolean }[]>('GET', `/projects/${project}/hooks`);
  expect([others, hook]).toMatchObject([[], { alert_status: 'executable', signing_token_present: true }]);
  const sent = await system.gitlab.rest<{ response_status: string }[]>('GET', `/projects/${project}/hooks/${hook?.id}/events`);
  expect([sent.length > 1, sent.filter(({ response_status: status }) => !/^20[02]$/.test(String(status)))]).toEqual([true, []]);
  expect(await eventsOf(system, `key=${codebase}&type=gap.detected`)).toEqual([]);
  // Facts and answers have neither the old ones nor the new.
  const facts = JSON.stringify(await eventsOf(system, `key=${source}`));
  for (const secret of [TOKEN, SIGNING, now.secretToken, now.signingToken]) expect(facts).not.toContain(secret);
}, 240_000);
