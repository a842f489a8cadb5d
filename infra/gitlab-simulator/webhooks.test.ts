import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';

import { must, openSimulator, type Clone, type OpenSimulator } from './testing/open-simulator.ts';
import { openReceiver, type Receiver } from './testing/open-receiver.ts';

const SIGNING_TOKEN = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

let simulator: OpenSimulator;
let receiver: Receiver;
let projects = 0;

beforeAll(async () => {
  simulator = await openSimulator({ settings: { applicationLimits: {}, hookTimeoutMs: 500 } });
});

beforeEach(async () => {
  receiver = await openReceiver();
});

afterEach(() => receiver.close());

afterAll(() => simulator.close());

async function newProject(): Promise<{ id: number; path: string; clone: Clone }> {
  const name = `demo-${(projects += 1)}`;
  const { body } = await simulator.api('POST', '/projects', { name });
  return { id: body.id, path: `root/${name}`, clone: await simulator.clone(`root/${name}`) };
}

async function push(clone: Clone, ...refspecs: string[]): Promise<void> {
  await must(clone.git('push', '-q', 'origin', ...refspecs));
  await simulator.idle();
}

async function addHook(projectId: number, more: Record<string, unknown> = {}): Promise<any> {
  return (await simulator.api('POST', `/projects/${projectId}/hooks`, { url: receiver.url, ...more })).body;
}

test('a push over HTTP fires the project hook with headers that the Standard Webhooks library accepts', async () => {
  const { id, clone } = await newProject();
  const hook = await addHook(id, { token: 'plain\nsecret', signing_token: SIGNING_TOKEN, custom_headers: [{ key: 'X-Mine', value: '1' }, { key: 'X-Gitlab-Event', value: 'forged' }] });
  expect(hook).toMatchObject({ token_present: true, signing_token_present: true, alert_status: 'executable', custom_headers: [{ key: 'X-Mine' }, { key: 'X-Gitlab-Event' }] });
  expect(JSON.stringify(hook)).not.toContain('secret');

  const sha = await clone.commit('Add <b> & more\n\nBody', { 'a.txt': 'a' });
  await push(clone, 'main');

  const [delivery] = receiver.received;
  expect(delivery?.headers).toMatchObject({
    'user-agent': 'GitLab/19.1.0-ee',
    'content-type': 'application/json',
    'x-gitlab-event': 'Push Hook',
    'x-gitlab-instance': simulator.url,
    'x-gitlab-token': 'plainsecret',
    'x-mine': '1',
  });
  expect(delivery?.headers['webhook-id']).toBe(delivery?.headers['idempotency-key']);
  expect(delivery?.raw).toContain('\\u003cb\\u003e \\u0026 more');
  const verified = new Webhook(SIGNING_TOKEN).verify(delivery!.raw, delivery!.headers as Record<string, string>);
  expect(verified).toMatchObject({ object_kind: 'push', after: sha });
  expect(() => new Webhook(SIGNING_TOKEN).verify(`${delivery!.raw} `, delivery!.headers as Record<string, string>)).toThrow();
});

test('the payload of an update shows before, after, commits oldest first and the paths of each', async () => {
  const { id, path, clone } = await newProject();
  const first = await clone.commit('first', { 'kept.txt': '1', 'old name.txt': 'same text' });
  await push(clone, 'main');
  await addHook(id);
  const second = await clone.commit('second', { 'kept.txt': '2', 'ü/new.txt': 'x' });
  await must(clone.git('mv', 'old name.txt', 'new name.txt'));
  const third = await clone.commit('third', {});
  await push(clone, 'main');

  const { body } = receiver.received[0]!;
  expect(body).toMatchObject({ before: first, after: third, checkout_sha: third, ref: 'refs/heads/main', project_id: id, total_commits_count: 2, user_username: 'root' });
  expect(body.project).toMatchObject({ id, path_with_namespace: path, default_branch: 'main', namespace: 'Administrator', visibility_level: 0 });
  expect(body.commits).toMatchObject([
    { id: second, title: 'second', added: ['ü/new.txt'], modified: ['kept.txt'], removed: [] },
    { id: third, added: ['new name.txt'], modified: [], removed: ['old name.txt'] },
  ]);
});

test('creation and deletion of a branch say zeros, a new branch shows what the default branch has not', async () => {
  const { id, clone } = await newProject();
  await clone.commit('first', { a: '1' });
  await push(clone, 'main');
  await addHook(id);
  await must(clone.git('checkout', '-q', '-b', 'feature/ä#1'));
  const sha = await clone.commit('on the branch', { b: '2' });
  await push(clone, 'feature/ä#1');
  await push(clone, '--delete', 'feature/ä#1');

  const [created, removed] = receiver.received.map(({ body }) => body);
  expect(created).toMatchObject({ ref: 'refs/heads/feature/ä#1', before: '0'.repeat(40), after: sha, total_commits_count: 1 });
  expect(removed).toMatchObject({ before: sha, after: '0'.repeat(40), checkout_sha: null, commits: [], total_commits_count: 0 });
});

test('25 commits are counted and the newest 20 shown', async () => {
  const { id, clone } = await newProject();
  await addHook(id);
  const shas: string[] = [];
  for (let at = 0; at < 25; at += 1) shas.push(await clone.commit(`commit ${at}`, {}));
  await push(clone, 'main');

  const { body } = receiver.received[0]!;
  expect(body.total_commits_count).toBe(25);
  expect(body.commits.map((commit: any) => commit.id)).toEqual(shas.slice(5));
});

test('an annotated tag names the tag object and checks out the commit', async () => {
  const { id, clone } = await newProject();
  const sha = await clone.commit('first', { a: '1' });
  await push(clone, 'main');
  await addHook(id, { tag_push_events: true, push_events: false });
  await must(clone.git('tag', '-a', 'v1', '-m', 'Release one'));
  const tagObject = (await must(clone.git('rev-parse', 'v1'))).stdout.trim();
  await push(clone, 'v1');
  await push(clone, '--delete', 'v1');

  const [made, gone] = receiver.received;
  expect(made?.headers['x-gitlab-event']).toBe('Tag Push Hook');
  expect(made?.body).toMatchObject({ object_kind: 'tag_push', ref: 'refs/tags/v1', after: tagObject, checkout_sha: sha, message: 'Release one' });
  expect(gone?.body).toMatchObject({ before: tagObject, after: '0'.repeat(40), checkout_sha: null });
});

test('more than three refs of one kind in a push send nothing, while fewer of another kind are told', async () => {
  const { id, clone } = await newProject();
  await clone.commit('first', { a: '1' });
  await push(clone, 'main');
  await addHook(id);
  await clone.commit('second', { a: '2' });
  await push(clone, 'main', 'HEAD:refs/heads/b1', 'HEAD:refs/heads/b2', 'HEAD:refs/heads/b3', 'HEAD:refs/heads/b4');

  expect(receiver.received.map(({ body }) => body.ref)).toEqual(['refs/heads/main']);
});

test('a system hook hears one repository_update for all refs of a push, however many', async () => {
  const { id, clone } = await newProject();
  const { body: hook } = await simulator.api('POST', '/hooks', { url: receiver.url, push_events: false, repository_update_events: true });
  await clone.commit('first', { a: '1' });
  await push(clone, 'HEAD:refs/heads/main', 'HEAD:refs/heads/b1', 'HEAD:refs/heads/b2', 'HEAD:refs/heads/b3', 'HEAD:refs/heads/b4', 'HEAD:refs/tags/t');
  await simulator.api('DELETE', `/hooks/${hook.id}`);

  expect(receiver.received).toHaveLength(1);
  const [{ headers, body }] = receiver.received as [any];
  expect(headers['x-gitlab-event']).toBe('System Hook');
  expect(body).toMatchObject({ event_name: 'repository_update', project_id: id });
  expect(body.changes).toHaveLength(6);
  expect(body.refs).toContain('refs/tags/t');
});

test('hooks of every group above hear a push, and all requests of one push share the event UUID', async () => {
  const { body: top } = await simulator.api('POST', '/groups', { name: 'Top', path: 'top' });
  const { body: sub } = await simulator.api('POST', '/groups', { name: 'Sub', path: 'sub', parent_id: top.id });
  await simulator.api('POST', '/projects', { name: 'deep', namespace_id: sub.id });
  for (const group of [top, sub]) await simulator.api('POST', `/groups/${group.id}/hooks`, { url: receiver.url });
  const clone = await simulator.clone('top/sub/deep');
  await clone.commit('first', { a: '1' });
  await push(clone, 'main');

  expect(receiver.received).toHaveLength(2);
  expect(new Set(receiver.received.map(({ headers }) => headers['x-gitlab-event-uuid'])).size).toBe(1);
  expect(new Set(receiver.received.map(({ headers }) => headers['idempotency-key'])).size).toBe(2);
  expect(receiver.received[0]?.body.project.namespace).toBe('Sub');
});

test('branches made and removed over REST fire like pushed ones', async () => {
  const { id, clone } = await newProject();
  const sha = await clone.commit('first', { a: '1' });
  await push(clone, 'main');
  await addHook(id);
  expect((await simulator.api('POST', `/projects/${id}/repository/branches`, { branch: 'by/rest', ref: 'main' })).status).toBe(201);
  await simulator.idle();
  expect((await simulator.api('DELETE', `/projects/${id}/repository/branches/by%2Frest`)).status).toBe(204);
  await simulator.idle();

  expect(receiver.received.map(({ body }) => [body.before, body.after])).toEqual([
    ['0'.repeat(40), sha],
    [sha, '0'.repeat(40)],
  ]);
});

test.each([
  ['wildcard', 'release/*', ['release/1/2']],
  ['regex', '^ma.n$', ['main']],
  ['all_branches', 'release/*', ['main', 'other', 'release/1/2']],
  ['wildcard', '', ['main', 'other', 'release/1/2']],
])('the branch filter %s "%s" lets %j pass', async (strategy, filter, expected) => {
  const { id, clone } = await newProject();
  await addHook(id, { branch_filter_strategy: strategy, push_events_branch_filter: filter });
  await clone.commit('first', { a: '1' });
  await push(clone, 'HEAD:refs/heads/main', 'HEAD:refs/heads/other', 'HEAD:refs/heads/release/1/2');

  expect(receiver.received.map(({ body }) => body.ref.slice('refs/heads/'.length)).sort()).toEqual(expected);
});

test('a resend carries the same data under the same Idempotency-Key, and is refused once the address changed', async () => {
  const { id, clone } = await newProject();
  const hook = await addHook(id, { signing_token: SIGNING_TOKEN, token: 't' });
  receiver.answerWith(500);
  await clone.commit('first', { a: '1' });
  await push(clone, 'main');
  const { body: failed } = await simulator.api('GET', `/projects/${id}/hooks/${hook.id}/events?status=server_failure`);
  expect(failed).toMatchObject([{ trigger: 'push_hooks', response_status: '500', request_headers: { 'X-Gitlab-Token': '[REDACTED]' }, request_data: { object_kind: 'push' }, response_body: 'seen' }]);
  receiver.answerWith(200);
  const resent = await simulator.api('POST', `/projects/${id}/hooks/${hook.id}/events/${failed[0].id}/resend`);
  expect([resent.status, resent.body]).toEqual([201, { response_status: 200 }]);

  const [first, second] = receiver.received;
  expect(second?.raw).toBe(first?.raw);
  expect(second?.headers['idempotency-key']).toBe(first?.headers['idempotency-key']);
  expect(second?.headers['x-gitlab-webhook-uuid']).not.toBe(first?.headers['x-gitlab-webhook-uuid']);
  expect((await simulator.api('GET', `/projects/${id}/hooks/${hook.id}/events?status=successful`)).body).toHaveLength(1);
  await simulator.api('PUT', `/projects/${id}/hooks/${hook.id}`, { url: `${receiver.url}/moved` });
  expect((await simulator.api('POST', `/projects/${id}/hooks/${hook.id}/events/${failed[0].id}/resend`)).status).toBe(422);
});

test('four failures disable a hook for a minute, a failure after that for two, and a test with 2xx revives it', async () => {
  const { id, clone } = await newProject();
  const hook = await addHook(id);
  const pushOne = async (): Promise<void> => {
    await clone.commit('one more', {});
    await push(clone, 'main');
  };
  const state = async (): Promise<any> => (await simulator.api('GET', `/projects/${id}/hooks/${hook.id}`)).body;
  receiver.answerWith(500);
  for (let at = 0; at < 4; at += 1) await pushOne();
  expect((await state()).alert_status).toBe('temporarily_disabled');

  await pushOne();
  expect(receiver.received).toHaveLength(4);
  await simulator.admin('POST', '/clock', { advanceMs: 61_000 });
  await pushOne();
  expect(receiver.received).toHaveLength(5);
  const { disabled_until: until, alert_status: status } = await state();
  expect(status).toBe('temporarily_disabled');
  const { body: clock } = await simulator.admin('POST', '/clock', { advanceMs: 0 });
  expect(Date.parse(until) - Date.parse(clock.now)).toBeGreaterThan(110_000);

  receiver.answerWith(200);
  expect((await simulator.api('POST', `/projects/${id}/hooks/${hook.id}/test/push_events`)).status).toBe(201);
  expect(await state()).toMatchObject({ alert_status: 'executable', disabled_until: null });
  await pushOne();
  expect(receiver.received).toHaveLength(7);
});

test('forty failures in a row disable a hook for good', async () => {
  const { id, clone } = await newProject();
  await clone.commit('first', {});
  await push(clone, 'main');
  const hook = await addHook(id);
  receiver.answerWith(500);
  for (let at = 0; at < 40; at += 1) expect((await simulator.api('POST', `/projects/${id}/hooks/${hook.id}/test/push_events`)).status).toBe(422);
  expect((await simulator.api('GET', `/projects/${id}/hooks/${hook.id}`)).body).toMatchObject({ alert_status: 'disabled' });
});

test('a receiver that never answers is given up after the time-out, and a redirect counts as success', async () => {
  const { id, clone } = await newProject();
  const hook = await addHook(id);
  receiver.answerWith('never');
  await clone.commit('first', {});
  await push(clone, 'main');
  receiver.answerWith(302);
  await clone.commit('second', {});
  await push(clone, 'main');

  const { body } = await simulator.api('GET', `/projects/${id}/hooks/${hook.id}/events`);
  expect(body.map((event: any) => event.response_status)).toEqual(['302', 'internal error']);
});

test('a template replaces the body, and the signature is over what was sent', async () => {
  const { id, clone } = await newProject();
  await addHook(id, { signing_token: SIGNING_TOKEN, custom_webhook_template: '{"kind":"{{object_kind}}","where":"{{project.path_with_namespace}}"}' });
  await clone.commit('first', {});
  await push(clone, 'main');

  const [delivery] = receiver.received;
  expect(delivery?.body).toMatchObject({ kind: 'push' });
  expect(new Webhook(SIGNING_TOKEN).verify(delivery!.raw, delivery!.headers as Record<string, string>)).toBeTruthy();
});

test('a payload over the limit is not sent, and counts as a failure', async () => {
  const { id, clone } = await newProject();
  const hook = await addHook(id);
  await simulator.admin('PUT', '/settings', { hookBodyBytesMax: 2_000 });
  await clone.commit('x'.repeat(3_000), {});
  await push(clone, 'main');
  await simulator.admin('PUT', '/settings', { hookBodyBytesMax: 25 * 1024 * 1024 });

  expect(receiver.received).toHaveLength(0);
  expect((await simulator.api('GET', `/projects/${id}/hooks/${hook.id}/events`)).body).toMatchObject([{ response_status: 'internal error' }]);
});

test('an older GitLab ignores the signing token and sends no webhook headers', async () => {
  const { id, clone } = await newProject();
  await simulator.admin('PUT', '/settings', { version: '18.3.0' });
  const hook = await addHook(id, { signing_token: SIGNING_TOKEN, token: 't' });
  await clone.commit('first', {});
  await push(clone, 'main');
  await simulator.admin('PUT', '/settings', { version: '19.1.0-ee' });

  expect(hook.signing_token_present).toBeUndefined();
  expect((await simulator.api('GET', `/projects/${id}/hooks/${hook.id}`)).body.signing_token_present).toBe(false);
  const { headers } = receiver.received[0]!;
  expect(headers).not.toHaveProperty('webhook-id');
  expect(headers).not.toHaveProperty('webhook-signature');
  expect(headers).toMatchObject({ 'x-gitlab-token': 't', 'idempotency-key': expect.any(String) });
});

test('a signing token of another length is refused', async () => {
  const { id } = await newProject();
  const refused = await simulator.api('POST', `/projects/${id}/hooks`, { url: receiver.url, signing_token: 'whsec_c2hvcnQ=' });
  expect(refused.status).toBe(400);
});

test('projects and members that come, change and go are told to system hooks, and to group hooks where GitLab does', async () => {
  const { body: group } = await simulator.api('POST', '/groups', { name: 'Told', path: 'told' });
  const { body: person } = await simulator.admin('POST', '/users', { username: 'grace' });
  const { body: system } = await simulator.api('POST', '/hooks', { url: receiver.url });
  await simulator.api('POST', `/groups/${group.id}/hooks`, { url: receiver.url, push_events: false, member_events: true, project_events: true, subgroup_events: true });
  const { body: project } = await simulator.api('POST', '/projects', { name: 'thing', namespace_id: group.id });
  await simulator.api('PUT', `/projects/${project.id}`, { path: 'renamed' });
  await simulator.api('POST', `/projects/${project.id}/members`, { user_id: person.id, access_level: 30 });
  await simulator.api('POST', `/groups/${group.id}/members`, { user_id: person.id, access_level: 30 });
  await simulator.api('PUT', `/groups/${group.id}/members/${person.id}`, { access_level: 40 });
  await simulator.api('DELETE', `/groups/${group.id}/members/${person.id}`);
  await simulator.idle();
  await simulator.api('DELETE', `/hooks/${system.id}`);

  const told = (event: string): string[] => receiver.received.filter(({ headers }) => headers['x-gitlab-event'] === event).map(({ body }) => body.event_name).sort();
  expect(told('System Hook')).toEqual(['project_create', 'project_rename', 'user_add_to_group', 'user_add_to_team', 'user_remove_from_group', 'user_update_for_group']);
  expect(told('Project Hook')).toEqual(['project_create']);
  expect(told('Member Hook')).toEqual(['user_add_to_group', 'user_remove_from_group', 'user_update_for_group']);
  const renamed = receiver.received.find(({ body }) => body.event_name === 'project_rename')?.body;
  expect(renamed).toMatchObject({ path_with_namespace: 'told/renamed', old_path_with_namespace: 'told/thing', project_id: project.id });
  expect(receiver.received.find(({ body }) => body.event_name === 'user_update_for_group')?.body).toMatchObject({ group_access: 'Maintainer', user_username: 'grace' });
});

test('hook faults drop, double, delay and turn round', async () => {
  const { id, clone } = await newProject();
  await addHook(id);
  await clone.commit('first', {});
  await simulator.admin('POST', '/faults', { kind: 'hook', action: 'drop', times: 1, project: id });
  await push(clone, 'main');
  expect(receiver.received).toHaveLength(0);

  await simulator.admin('POST', '/faults', { kind: 'hook', action: 'duplicate', times: 1 });
  await push(clone, 'HEAD:refs/heads/b1');
  expect(receiver.received).toHaveLength(2);
  expect(receiver.received[0]?.headers['idempotency-key']).toBe(receiver.received[1]?.headers['idempotency-key']);

  await simulator.admin('POST', '/faults', { kind: 'hook', action: 'reorder', window: 2, times: 2 });
  await must(clone.git('push', '-q', 'origin', 'HEAD:refs/heads/b2'));
  await push(clone, 'HEAD:refs/heads/b3');
  expect(receiver.received.slice(2).map(({ body }) => body.ref)).toEqual(['refs/heads/b3', 'refs/heads/b2']);

  await simulator.admin('POST', '/faults', { kind: 'hook', action: 'delay', delayMs: 200, times: 1 });
  await push(clone, 'HEAD:refs/heads/b4');
  expect(receiver.received).toHaveLength(5);
  await simulator.admin('DELETE', '/faults');
});
