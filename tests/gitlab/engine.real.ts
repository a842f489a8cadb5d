import { appendFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { PRIVATE_RANGES } from '#shared/addresses/address-classes.ts';
import { gitEnvironment, remoteOf } from './real-world.ts';
import { createWorktree, type Worktree } from '#shared/gitlab/simulated-gitlab.contract.ts';
import { startSystem, until, untilStored, type System } from '../harness/system.ts';
import { must, restOf, targetFromEnvironment } from './target.ts';

// An engine beside a GitLab that is not ours: registered, pushed to, heard of. Run by tests/gitlab/run.ts.
const target = targetFromEnvironment(process.env);
const scratch = JSON.parse(process.env['TEST_GITLAB_SCRATCH'] ?? '') as { path: string; id: number };
const rest = restOf(target);
/** Where GitLab reaches the engine; without one, webhooks cannot be tried. */
const publicUrl = process.env['PUBLIC_URL'] || undefined;
/** A webhook comes within seconds; a GitLab that is busy takes its time. */
const HOOK_MS_MAX = 60_000;

let system: System;
let worktree: Worktree;
let codebase: string;
let projectId: number;

const remark = (text: string) => { appendFileSync(process.env['TEST_GITLAB_REMARKS'] ?? '', `${text}\n`); };

beforeAll(async () => {
  system = await startSystem(publicUrl === undefined ? {} : { port: Number(process.env['ENGINE_PORT'] ?? '8080'), settings: { TEKAI_PUBLIC_URL: publicUrl } });
  const made = await must(rest('POST', '/projects', { name: 'engine', path: 'engine', namespace_id: scratch.id, visibility: 'private' }), 'make a project') as { id: number; path_with_namespace: string };
  projectId = made.id;
  worktree = await createWorktree(`${system.stateDir}-work`, { remote: remoteOf(target, made.path_with_namespace), objectFormat: 'sha1', environment: gitEnvironment(target) });
});
afterAll(() => system.stop());

const push = async (text: string) => {
  await worktree.write('a/b.txt', text);
  const commit = await worktree.commit(text);
  await worktree.push('HEAD:refs/heads/main');
  return commit;
};
const read = async () => (await system.ask('GET', `/v1/codebases/${codebase}/files/a/b.txt`)).bytes.toString();

describe('an engine beside it', () => {
  test('a project is registered, and its default branch can be read', async () => {
    const commit = await push('one');
    const source = await system.ask('POST', '/v1/sources', { body: { baseUrl: target.url, token: target.token, allowAddresses: PRIVATE_RANGES, ...(target.caFile === undefined ? {} : { caPem: await readFile(target.caFile, 'utf8') }), ...(target.proxyUrl === undefined ? {} : { proxyUrl: target.proxyUrl }) } });
    expect({ status: source.status, body: source.bytes.toString() }).toMatchObject({ status: 201 });
    const registered = await system.ask('POST', '/v1/codebases', { body: { sourceId: source.json().id, gitlabProject: `${scratch.path}/engine` } });
    expect({ status: registered.status, body: registered.bytes.toString() }).toMatchObject({ status: 201 });
    codebase = registered.json().id;
    await untilStored(system, codebase, 'refs/heads/main', commit);
    expect(await read()).toBe('one');
  });

  test('a push is heard of: by webhook where GitLab reaches the engine, else by a look at GitLab', async () => {
    const { hook } = await until('the webhook is decided', async () => {
      const found = (await system.ask('GET', `/v1/codebases/${codebase}`)).json<{ hook: { state: string; reason: string | null; isSigned: boolean | null } }>();
      return found.hook.state !== 'pending' && found;
    });
    remark(hook.state === 'installed' ? `The webhook was made; its deliveries are ${hook.isSigned ? '' : 'not '}signed.` : `The webhook was refused: ${hook.reason ?? ''}`);
    const began = performance.now();
    const commit = await push('two');
    const isHeard = hook.state === 'installed' && publicUrl !== undefined && await untilStored(system, codebase, 'refs/heads/main', commit).then(() => true, () => false);
    if (isHeard) remark(`From the end of the push to readable: ${Math.round(performance.now() - began)} ms, by webhook.`);
    else {
      remark(publicUrl === undefined ? 'PUBLIC_URL was not given, so no webhook could arrive; GitLab was asked instead.' : `No webhook arrived within ${HOOK_MS_MAX / 1_000} s; GitLab was asked instead.`);
      await system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body: {} });
      await untilStored(system, codebase, 'refs/heads/main', commit);
    }
    expect(await read()).toBe('two');
  });

  test('a branch that is deleted, and a force push, are followed', async () => {
    await worktree.push('HEAD:refs/heads/gone');
    await system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body: {} });
    await until('the branch is here', async () => (await system.ask('GET', `/v1/codebases/${codebase}/refs`)).json<{ refs: { ref: string }[] }>().refs.some(({ ref }) => ref === 'refs/heads/gone'));
    await worktree.push(':refs/heads/gone');
    await worktree.git('checkout', '-q', '--orphan', 'other');
    await worktree.write('a/b.txt', 'three');
    const commit = await worktree.commit('unrelated');
    // A protected default branch refuses this: then another branch takes it.
    const forced = await worktree.push('+HEAD:refs/heads/main').then(() => 'refs/heads/main', async () => { await worktree.push('+HEAD:refs/heads/forced'); return 'refs/heads/forced'; });
    remark(forced === 'refs/heads/main' ? 'The default branch could be force-pushed.' : 'The default branch is protected against force pushes.');
    await system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body: {} });
    await untilStored(system, codebase, forced, commit);
    await until('the branch is gone', async () => !(await system.ask('GET', `/v1/codebases/${codebase}/refs`)).json<{ refs: { ref: string }[] }>().refs.some(({ ref }) => ref === 'refs/heads/gone'));
    expect((await rest('GET', `/projects/${projectId}/hooks`)).status).toBeLessThan(500);
  });
});
