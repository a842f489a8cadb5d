import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { AccessThen, CodebaseAccess } from '#schemas/api/access.ts';
import { makeRepository } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type Answer, type System } from '../harness/system.ts';

// Ann signs in here, and is somebody in GitLab too. What she reads is what GitLab or an admin of her project lets her read.

const MAIN = 'refs/heads/main';
const [WEBHOOK_TOKEN, PASSWORD] = ['a-token-of-the-webhook', 'twelve-and-more'];
let system: System;
let ann: { id: string; token: string; gitlabId: number };
beforeAll(async () => {
  system = await startSystem({ webhookToken: WEBHOOK_TOKEN });
  const made = (await system.ask('POST', '/v1/users', { body: { name: 'ann' } })).json<{ id: string; oneTimePassword: string }>();
  const signedIn = await system.ask('POST', '/v1/auth/login', { body: { name: 'ann', password: made.oneTimePassword, newPassword: PASSWORD } });
  const gitlabUser = await system.gitlab.admin<{ id: number }>('POST', '/users', { username: 'ann-there' });
  ann = { id: made.id, token: signedIn.json<{ accessToken: string }>().accessToken, gitlabId: gitlabUser.id };
  const bound = await system.ask('PUT', `/v1/users/${ann.id}/gitlab-users/${await system.sourceId()}`, { body: { gitlabUserId: ann.gitlabId } });
  expect(bound.json()).toEqual({ gitlabUsers: [{ sourceId: await system.sourceId(), gitlabUserId: ann.gitlabId }] });
}, 180_000);
afterAll(async () => { await system.stop(); });

const asAnn = (method: string, where: string, options: Parameters<System['ask']>[2] = {}) => system.ask(method, where, { ...options, headers: { ...options?.headers, authorization: `Bearer ${ann.token}` } });
const access = async (codebase: string) => (await system.ask('GET', `/v1/codebases/${codebase}/access`)).json<CodebaseAccess>();
const whatIsTold = (answer: Answer, id: string) => [answer.status, answer.json<{ detail: string }>().detail.replaceAll(id, 'ID')];
/** As a group or system hook of GitLab's tells it. */
const hint = async (project: number) => fetch(`${system.url}/webhooks/gitlab/${await system.sourceId()}`, {
  method: 'POST', headers: { 'x-gitlab-token': WEBHOOK_TOKEN, 'x-gitlab-event': 'System Hook' }, body: JSON.stringify({ event_name: 'user_remove_from_team', project_id: project }),
});

async function followed(name: string, level: number | undefined) {
  const repository = await makeRepository();
  const commit = repository.commit('main', [{ path: 'a', content: name }]);
  const { id: project } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: name, import: repository.dir });
  if (level !== undefined) await system.gitlab.admin('POST', '/members', { project: String(project), user: 'ann-there', accessLevel: level });
  const id = await system.follow(project);
  await untilStored(system, id, MAIN, commit);
  await until(`GitLab says who reads ${name}`, async () => (await access(id)).askedAt !== null);
  return { id, project, at: `/v1/codebases/${id}/files/a` };
}

/** What she hears of a channel as it happens, and when: over a WebSocket, and over a stream. */
async function listen(ch: string) {
  const frames: { op: string; code?: string; detail?: string; at: number }[] = [];
  const socket = new WebSocket(`${system.url.replace('http', 'ws')}/v1/live`, { headers: { authorization: `Bearer ${ann.token}` } });
  socket.on('message', (message: Buffer) => frames.push({ ...JSON.parse(message.toString()) as { op: string }, at: Date.now() }));
  await once(socket, 'open');
  socket.send(JSON.stringify({ op: 'subscribe', ch }));
  await until('her socket listens', () => frames.some(({ op }) => op === 'subscribed'));
  const stream = await fetch(`${system.url}/v1/live?ch=${ch}`, { headers: { authorization: `Bearer ${ann.token}` } });
  expect(stream.status).toBe(200);
  const streamed = stream.text().then((text) => ({ text, at: Date.now() }));
  return { frames, streamed, end: () => socket.terminate(), again: () => socket.send(JSON.stringify({ op: 'subscribe', ch })), subscribe: (other: string) => socket.send(JSON.stringify({ op: 'subscribe', ch: other })) };
}

/** Her socket and her stream are ended, each with a word. What happens behind it is not told, nor is there a way back. @returns when they were */
async function untilLost(live: Awaited<ReturnType<typeof listen>>, { id, nowhere }: { id: string; nowhere: string }): Promise<number[]> {
  await until('her live channel is ended', () => live.frames.at(-1)?.op === 'error');
  const streamed = await live.streamed;
  expect([live.frames.at(-1)?.code, streamed.text.match(/event: error\ndata: .*"code":"access-lost"/g)?.length]).toEqual(['access-lost', 1]);
  const heard = live.frames.length;
  await system.ask('POST', `/v1/codebases/${id}/syncs`, { body: {} });
  live.again();
  live.subscribe(`codebase:${nowhere}`);
  await until('she is told that there is none', () => live.frames.length === heard + 2);
  const [here, none] = live.frames.slice(heard).map(({ code, detail }) => ({ code, detail: detail?.replaceAll(id, 'ID').replaceAll(nowhere, 'ID') }));
  expect([here, here?.code]).toEqual([none, 'codebase-unknown']);
  live.end();
  return [live.frames[heard - 1]?.at ?? Infinity, streamed.at];
}

test('who is Reporter in GitLab reads that codebase and nothing else, until GitLab says otherwise: on every address, for followers, and behind a tag; what GitLab does not answer changes nothing (I7, I8)', async () => {
  const [theirs, guests, secret] = [await followed('theirs', 20), await followed('guests', 10), await followed('secret', undefined)];
  await until('Ann reads', async () => (await asAnn('GET', theirs.at)).status === 200);
  const tag = (await asAnn('GET', theirs.at)).headers.get('etag') ?? '';
  expect((await asAnn('GET', theirs.at, { headers: { 'if-none-match': tag } })).status).toBe(304);
  expect((await asAnn('GET', '/v1/codebases')).json<{ codebases: { id: string }[] }>().codebases.map(({ id }) => id)).toEqual([theirs.id]);
  const nowhere = randomUUID();
  const toldOfNone = whatIsTold(await asAnn('GET', `/v1/codebases/${nowhere}/files/a`), nowhere);
  for (const { id, at } of [guests, secret]) expect(whatIsTold(await asAnn('GET', at), id)).toEqual(toldOfNone);
  expect(await access(theirs.id)).toMatchObject({ readers: [{ userId: ann.id, name: 'ann', because: 'gitlab', gitlabUserId: ann.gitlabId }], trouble: null });

  // A follower of all there is has what she reads, over the WebSocket that stays open.
  expect((await asAnn('POST', '/v1/followers', { body: { name: 'mine', all: true } })).status).toBe(201);
  const told: { op: string; codebase?: string; at?: number }[] = [];
  const socket = new WebSocket(`${system.url.replace('http', 'ws')}/v1/followers/live`, { headers: { authorization: `Bearer ${ann.token}` } });
  socket.on('message', (message: Buffer) => {
    const frame = JSON.parse(message.toString()) as { op: string; entries?: typeof told };
    told.push(...(frame.entries ?? []).map((entry) => ({ ...entry, at: Date.now() })));
  });
  await once(socket, 'open');
  socket.send(JSON.stringify({ op: 'follow', name: 'mine' }));
  await until('the follower has it', () => told.some(({ op }) => op === 'end'));
  expect([...new Set(told.flatMap(({ codebase }) => codebase ?? []))]).toEqual([theirs.id]);

  await system.gitlab.admin('POST', '/faults', { kind: 'http', path: '/members/all', status: 403 });
  await hint(theirs.project);
  await until('GitLab refused to say', async () => (await access(theirs.id)).trouble !== null);
  expect((await asAnn('GET', theirs.at)).status).toBe(200);
  expect(await access(theirs.id)).toMatchObject({ readers: [{ userId: ann.id }] });
  await system.gitlab.admin('DELETE', '/faults');

  const live = await listen(`codebase:${theirs.id}`);
  await system.ask('POST', `/v1/codebases/${theirs.id}/syncs`, { body: {} });
  await until('she hears of a sync', () => live.frames.some(({ op }) => op === 'pub'));
  await system.gitlab.rest('DELETE', `/projects/${theirs.project}/members/${ann.gitlabId}`);
  await hint(theirs.project);
  await until('Ann is out', async () => (await asAnn('GET', theirs.at)).status === 404);
  const outAt = Date.now();
  expect(whatIsTold(await asAnn('GET', theirs.at, { headers: { 'if-none-match': tag } }), theirs.id)).toEqual(toldOfNone);
  expect((await asAnn('GET', '/v1/codebases')).json()).toMatchObject({ codebases: [] });
  await until('her follower is told to drop it', () => told.some(({ op, codebase }) => op === 'access-lost' && codebase === theirs.id));
  const endedAt = await untilLost(live, { id: theirs.id, nowhere });
  socket.terminate();
  const facts = (await system.ask('GET', `/v1/events?key=${theirs.id}&type=codebase.readers-observed`)).json<{ events: { id: string; position: string; time: string; data: { granted: number[]; revoked: number[] } }[] }>().events;
  expect(facts.at(-1)?.data).toMatchObject({ granted: [], revoked: [ann.gitlabId] });
  // Since it was learnt: on an address, over a socket, a stream, and for the follower.
  const learntAt = Date.parse(facts.at(-1)?.time ?? '');
  const lost = [outAt, ...endedAt, told.find(({ op, codebase }) => op === 'access-lost' && codebase === theirs.id)?.at].map((at) => (at ?? Infinity) - learntAt);
  for (const ms of lost) expect(ms).toBeLessThan(5_000);

  // The record says who could read it, at any moment, and since when.
  const [granted, revoked] = [facts.find(({ data }) => data.granted.includes(ann.gitlabId))!, facts.at(-1)!];
  const could = async (query: string) => (await system.ask('GET', `/v1/access?${query}`)).json<AccessThen>();
  const hers = { codebase: theirs.id, userId: ann.id, name: 'ann', because: 'gitlab', gitlabUserId: ann.gitlabId, project: null, since: { id: granted.id, type: 'codebase.readers-observed', position: granted.position } };
  for (const asked of [`codebase=${theirs.id}`, `user=${ann.id}`]) {
    expect(await could(`${asked}&at=${granted.position}`)).toMatchObject({ position: granted.position, readings: [hers], next: null });
    expect((await could(`${asked}&at=${revoked.position}`)).readings).toEqual([]);
  }
  const [registered] = await eventsOf(system, `key=${theirs.id}&type=codebase.registered`);
  expect(await could(`codebase=${theirs.id}&at=${registered?.position}`)).toMatchObject({ readings: [], unknown: [{ what: 'gitlab-readers', codebase: theirs.id }] });
  expect(await could(`codebase=${theirs.id}`)).toMatchObject({ readings: [], unknown: [] });
  const status = async (query: string) => (await system.ask('GET', `/v1/access${query}`)).status;
  expect([await status(''), await status(`?codebase=${theirs.id}&user=${ann.id}`), await status(`?codebase=${nowhere}`), await status(`?user=${nowhere}`), await status(`?user=${ann.id}&at=soon`), (await asAnn('GET', `/v1/access?user=${ann.id}`)).status]).toEqual([400, 400, 404, 404, 400, 403]);
}, 240_000);

test('an admin of a project lets its members read a codebase of it, and takes that back; being in the project is not enough', async () => {
  const one = await followed('shared', undefined);
  const project = (await asAnn('POST', '/v1/projects', { body: { name: 'Ours' } })).json<{ id: string }>().id;
  const at = `/v1/projects/${project}/codebases/${one.id}`;
  const anyway = { headers: { 'if-match': '*' } };
  await until('Ann is its admin', async () => (await asAnn('GET', `/v1/projects/${project}`)).status === 200);
  // What she puts into her project she could learn of by that.
  expect((await asAnn('PUT', at, anyway)).status).toBe(403);
  expect((await asAnn('PUT', `${at}/readers`, anyway)).status).toBe(409);
  expect((await system.ask('PUT', at, anyway)).status).toBe(200);
  await until('it is in the project', async () => (await system.ask('GET', `/v1/projects/${project}`)).json<{ codebaseCount: number }>().codebaseCount === 1);
  expect([(await asAnn('GET', one.at)).status, (await asAnn('GET', `/v1/projects/${project}`)).json<{ codebaseCount: number }>().codebaseCount]).toEqual([404, 0]);

  expect((await asAnn('PUT', `${at}/readers`, anyway)).status).toBe(200);
  await until('Ann reads', async () => (await asAnn('GET', one.at)).status === 200);
  expect(await access(one.id)).toMatchObject({ readers: [{ userId: ann.id, because: 'project', project: { id: project, name: 'Ours' } }] });
  expect((await asAnn('DELETE', `${at}/readers`, anyway)).status).toBe(200);
  await until('Ann is out', async () => (await asAnn('GET', one.at)).status === 404);
}, 180_000);
