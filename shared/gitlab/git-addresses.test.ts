import type { LookupAddress } from 'node:dns';
import { join } from 'node:path';
import type { ObjectId } from '#schemas/brand.ts';
import { createAddressGuard } from '#shared/addresses/address-guard.ts';
import { startForwardProxy } from '#tests/harness/forward-proxy.ts';
import { createGitCliTransport } from './git-cli-transport.ts';
import { objectsOf, opening } from './git-transport.contract.ts';
import type { GitLabAccess } from './gitlab.ts';
import { startSimulatedGitLab, type SimulatedGitLab, type SimulatedProject } from './simulated-gitlab.contract.ts';
import { Unreachable } from './unreachable.ts';

const HERE = { address: '127.0.0.1', family: 4 };

let gitlab: SimulatedGitLab;
let project: SimulatedProject;
let commit: ObjectId;
let directories = 0;
beforeAll(async () => {
  gitlab = await startSimulatedGitLab();
  project = await gitlab.project('demo');
  await project.worktree.write('a', 'one\n');
  commit = await project.worktree.commit('one');
  await project.worktree.push();
});
afterAll(() => gitlab.stop());

async function fetched(more: Partial<GitLabAccess>, { allowed, leadsTo }: { allowed: readonly string[]; leadsTo: readonly LookupAddress[] }): Promise<{ asked: string[]; error: unknown }> {
  const asked: string[] = [];
  const addresses = createAddressGuard({ allowed, resolve: async (host) => { asked.push(host); return leadsTo; } });
  const transport = createGitCliTransport({ directory: join(gitlab.folder, `addresses-${(directories += 1)}`), owner: 'test', addresses });
  try {
    await objectsOf(await transport.open(opening(gitlab, project, commit, { access: { ...gitlab.access, ...more } }))).close();
    return { asked, error: undefined };
  } catch (error) {
    return { asked, error };
  }
}

test('git connects to the address that was judged: of a name that DNS does not know, it asks nobody', async () => {
  for (const host of ['gitlab.nowhere.invalid', 'gitlab.nowhere.invalid.']) {
    expect(await fetched({ baseUrl: `http://${host}:${new URL(gitlab.url).port}` }, { allowed: ['127.0.0.0/8'], leadsTo: [HERE] })).toEqual({ asked: [host], error: undefined });
  }
});

test.each([
  ['a name that leads to a private address', 'http://gitlab.nowhere.invalid', [{ address: '10.0.0.7', family: 4 }], '"allowAddresses": ["10.0.0.0/8"]'],
  ['a name that leads to two, of which one is not allowed', 'http://gitlab.nowhere.invalid', [HERE, { address: '169.254.169.254', family: 4 }], '169.254.169.254'],
  ['the metadata of a cloud', 'http://169.254.169.254', [], '169.254.169.254'],
  ['an address in decimal', 'http://167772167', [], '10.0.0.7'],
])('git is not started for %s', async (_what, baseUrl, leadsTo, said) => {
  const { error } = await fetched({ baseUrl }, { allowed: ['127.0.0.0/8'], leadsTo });
  expect(error).toBeInstanceOf(Unreachable);
  expect(error).toMatchObject({ obstacle: 'address', message: expect.stringContaining(said) as string });
});

test('through a proxy git connects to where the proxy was judged to be', async () => {
  const proxy = await startForwardProxy({ hosts: { 'gitlab.inside': { host: '127.0.0.1', port: Number(new URL(gitlab.url).port) } } });
  try {
    const access = { baseUrl: 'http://gitlab.inside', proxyUrl: `http://proxy.nowhere.invalid:${proxy.port}` };
    expect(await fetched(access, { allowed: [], leadsTo: [HERE] })).toMatchObject({ error: { obstacle: 'address' } });
    expect(await fetched({ ...access, baseUrl: 'http://169.254.169.254' }, { allowed: ['127.0.0.0/8'], leadsTo: [HERE] })).toMatchObject({ error: { obstacle: 'address' } });
    expect(proxy.passed).toEqual([]);
    expect(await fetched(access, { allowed: ['127.0.0.0/8'], leadsTo: [HERE] })).toEqual({ asked: ['proxy.nowhere.invalid'], error: undefined });
    expect(proxy.passed.length).toBeGreaterThan(0);
  } finally {
    await proxy.stop();
  }
});
