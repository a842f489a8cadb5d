import type { FollowerEntry } from '#schemas/api/followers.ts';
import { makeRepository, type Repository } from '#tests/harness/repository.ts';
import { startSystem, until, untilStored, type System } from '#tests/harness/system.ts';

const MAIN = 'refs/heads/main';
const NAME = 'of-a-project';
let system: System;
let cursor = '';
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });

interface Followed { readonly id: string; readonly repository: Repository; push(content: string): string }

async function codebase(name: string): Promise<Followed> {
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: name }, { path: 'b', content: name }]);
  const project = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: name, import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/${name}`));
  const id = await system.follow(project.id);
  await untilStored(system, id, MAIN, first);
  const push = (content: string) => {
    const commit = repository.commit('main', [{ path: 'a', content }]);
    repository.git('push', '-q', 'origin', 'main');
    return commit;
  };
  return { id, repository, push };
}

const decide = async (method: string, where: string) => {
  const answer = await system.ask(method, where, { headers: { 'if-match': '*' } });
  expect([where, Math.floor(answer.status / 100)]).toEqual([where, 2]);
};

/** Reads on, acknowledging, until the end says something new: what was told on the way, in few words. */
async function told(): Promise<string[]> {
  const entries: FollowerEntry[] = [];
  await until('the follower is told something', async () => {
    const after = cursor === '' ? '' : `after=${encodeURIComponent(cursor)}&ack=true&`;
    const page = (await system.ask('GET', `/v1/followers/${NAME}/changes?${after}wait=1s`)).bytes.toString().trim().split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as FollowerEntry);
    cursor = page.at(-1)?.cursor ?? cursor;
    entries.push(...page.filter(({ op }) => op !== 'end'));
    return entries.length > 0 && page.at(-1)?.op === 'end';
  });
  return entries.map((entry) => `${entry.op} ${'codebase' in entry ? entry.codebase : ''}${'path' in entry ? ` ${entry.path}` : ''}`);
}

test('who follows a project is given what joins it whole, and told of what leaves it, is removed, restored and archived', async () => {
  const [one, other] = [await codebase('one'), await codebase('other')];
  const project = (await system.ask('POST', '/v1/projects', { body: { name: 'Search' } })).json<{ id: string }>().id;
  const at = `/v1/projects/${project}/codebases`;
  await decide('PUT', `${at}/${one.id}`);
  await until('the project is folded', async () => (await system.ask('GET', `/v1/projects/${project}`)).json<{ codebaseCount: number }>().codebaseCount === 1);
  expect((await system.ask('POST', '/v1/followers', { body: { name: NAME, project } })).status).toBe(201);
  const whole = ({ id }: Followed) => [`upsert ${id} a`, `upsert ${id} b`, `ref-moved ${id}`];
  expect(await told()).toEqual(whole(one));

  // It was there before, and is this follower's only from now on.
  await decide('PUT', `${at}/${other.id}`);
  expect(await told()).toEqual([`access-granted ${other.id}`, ...whole(other)]);
  other.push('pushed');
  expect(await told()).toEqual([`upsert ${other.id} a`, `ref-moved ${other.id}`]);

  await decide('DELETE', `${at}/${other.id}`);
  expect(await told()).toEqual([`codebase-removed ${other.id}`]);
  await untilStored(system, other.id, MAIN, other.push('unheard'));
  await untilStored(system, one.id, MAIN, one.push('heard'));
  expect(await told()).toEqual([`upsert ${one.id} a`, `ref-moved ${one.id}`]);

  // Archived: readable, and so still held.
  await decide('POST', `/v1/codebases/${one.id}/archive`);
  await decide('PUT', `${at}/${other.id}`);
  expect(await told()).toEqual([`access-granted ${other.id}`, ...whole(other)]);
  await decide('DELETE', `/v1/codebases/${one.id}`);
  expect(await told()).toEqual([`codebase-removed ${one.id}`]);
  await decide('POST', `/v1/codebases/${one.id}/restore`);
  expect(await told()).toEqual([`access-granted ${one.id}`, ...whole(one)]);
}, 240_000);
