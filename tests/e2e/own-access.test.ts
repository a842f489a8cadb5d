import type { CodebaseAccess } from '#schemas/api/access.ts';
import { startOpenIdProvider, type OpenIdProvider } from '../harness/openid-provider.ts';
import { rowsOf } from '../harness/canaries.ts';
import { makeRepository } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

// Somebody signs in by a GitLab, lets the engine ask as them what they read there, and is given and loses a project of which no webhook tells.
// What GitLab says of the project itself, which the sweep asks first, is not to be had all the while.

const MAIN = 'refs/heads/main';
const SECRET = 'a-secret-of-the-application';
let system: System;
let gitlab: OpenIdProvider;
let source: string;

beforeAll(async () => {
  // As often as a second, and of a budget in which that fits.
  system = await startSystem({ settings: { TEKAI_POLL_PEOPLE_SECONDS: '1', TEKAI_GITLAB_REQUESTS_PER_MINUTE: '6000' } });
  gitlab = await startOpenIdProvider(system.gitlab);
  source = (await system.ask('POST', '/v1/sources', { body: { baseUrl: gitlab.url, token: system.gitlab.token, name: 'work' } })).json<{ id: string }>().id;
  await gitlab.addClient({ clientId: 'tekai', clientSecret: SECRET, redirectUri: `${system.url}/v1/auth/gitlab/${source}/callback` });
}, 180_000);
afterAll(async () => { await Promise.all([system.stop(), gitlab.stop()]); });

interface SignedIn { readonly accessToken: string; readonly refreshToken: string; readonly user: { readonly id: string } }

async function signIn(gitlabUser: number): Promise<SignedIn> {
  const at = `/v1/auth/gitlab/${source}`;
  const { url, handle } = (await system.ask('POST', at, { body: {} })).json<{ url: string; handle: string }>();
  const back = await gitlab.browse(url, gitlabUser);
  const { code } = (await system.ask('GET', `${back.pathname}${back.search}`)).json<{ code: string }>();
  return (await system.ask('POST', `${at}/session`, { body: { handle, code } })).json<SignedIn>();
}

const people = async () => (await system.ask('GET', `/v1/sources/${source}`)).json<{ polling: { people: { active: number; asked: number; boundSeconds: number } | null } | null }>().polling?.people ?? null;
const begin = async (path: string, script: object) => (await system.gitlab.admin<{ id: number }>('POST', '/faults', { kind: 'http', path, ...script })).id;
const hits = async (fault: number) => (await system.gitlab.admin<{ id: number; hits: number }[]>('GET', '/faults')).find(({ id }) => id === fault)?.hits ?? 0;

const OWN_LIST = '^/api/v4/projects\\?membership=true';
const ONE_MEMBER = '/members/all/\\d+$';
const ALL_MEMBERS = '/members/all(\\?|$)';

test('what no webhook and no sweep tells is learnt by the person\'s own token: they read what they are given, not any longer what they lost; 500, 401, cut lists and a source that is shown no member take nothing meanwhile (I7, I8)', async () => {
  const repository = await makeRepository();
  const commit = repository.commit('main', [{ path: 'a', content: 'for readers' }]);
  const reader = await system.gitlab.admin<{ id: number }>('POST', '/users', { username: 'reads' });
  const { id: project } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'theirs', import: repository.dir });
  const id = (await system.ask('POST', '/v1/codebases', { body: { sourceId: source, gitlabProject: project } })).json<{ id: string }>().id;
  await untilStored(system, id, MAIN, commit);
  await until('GitLab says who reads', async () => (await system.ask('GET', `/v1/codebases/${id}/access`)).json<CodebaseAccess>().askedAt !== null);
  await begin(`^/api/v4/projects/${project}$`, { status: 500 });

  await system.ask('PUT', `/v1/auth/providers/${source}`, { body: { clientId: 'tekai', clientSecret: SECRET, unknownUsers: 'create', ownAccess: true } });
  const session = await signIn(reader.id);
  const read = async () => (await system.ask('GET', `/v1/codebases/${id}/files/a`, { headers: { authorization: `Bearer ${session.accessToken}` } })).status;
  expect(await read()).toBe(404);
  await until('they are asked by their own token', async () => (await people())?.asked === 1);
  expect(await people()).toEqual({ active: 1, asked: 1, boundSeconds: 1 });

  await system.gitlab.admin('POST', '/members', { project: String(project), user: 'reads', accessLevel: 20 });
  await until('they read', async () => (await read()) === 200);

  // Each way of not answering, to the person's token and to the source's, is seen, and takes nothing.
  for (const script of [{ status: 500 }, { status: 401 }, { cutAfterBytes: 40 }]) {
    const broken = await begin(OWN_LIST, script);
    await until(`GitLab answers ${JSON.stringify(script)}`, async () => (await people())?.asked === 0 && (await hits(broken)) > 0);
    expect(await read()).toBe(200);
    await system.gitlab.admin('DELETE', `/faults/${broken}`);
    await until('GitLab answers again', async () => (await people())?.asked === 1);
  }
  const fault = await begin(ONE_MEMBER, { status: 403 });
  await system.gitlab.rest('DELETE', `/projects/${project}/members/${reader.id}`);
  // Twice: what came of the first is known then.
  await until('GitLab does not say to the source whether it is so', async () => (await hits(fault)) > 1);
  expect(await read()).toBe(200);
  // The source's token is shown no member: that this one is none says nothing then.
  const blind = await begin(ALL_MEMBERS, { status: 200, body: '[]' });
  await system.gitlab.admin('DELETE', `/faults/${fault}`);
  await until('GitLab shows the source nobody', async () => (await hits(blind)) > 1);
  expect(await read()).toBe(200);
  await system.gitlab.admin('DELETE', `/faults/${blind}`);

  await until('they are out', async () => (await read()) === 404);
  const facts = (await eventsOf(system, `key=${id}&type=codebase.readers-observed`)) as unknown as { data: { granted: number[]; revoked: number[] } }[];
  expect(facts.map(({ data }) => [data.granted.includes(reader.id), data.revoked.includes(reader.id)]).filter(([granted, revoked]) => granted === true || revoked === true)).toEqual([[true, false], [false, true]]);

  // With the last sign-in that stands it is over.
  await system.ask('POST', '/v1/auth/logout', { body: { refreshToken: session.refreshToken } });
  await until('nobody is asked by a token of theirs', async () => (await people()) === null);
  const rows = await rowsOf(system.databaseUrl);
  expect(rows.filter(({ table, bytes }) => table === 'identity_grants' || (table === 'secrets' && bytes.includes('grant/'))).map(({ table }) => table)).toEqual([]);
}, 240_000);
