import { randomUUID } from 'node:crypto';
import type { GitLabGroupPage, GitLabProjectPage, ManualHook, SourceAnswer, SourceCheck } from '#schemas/api/sources.ts';
import { makeRepository } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

let system: System;
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });
afterEach(async () => { await system.gitlab.admin('DELETE', '/faults'); });

const body = (change: object = {}) => ({ baseUrl: system.gitlab.url, token: system.gitlab.token, ...change });
const check = async (change: object = {}) => (await system.ask('POST', '/v1/source-checks', { body: body(change) })).json<SourceCheck>();
const register = (change: object = {}, headers = {}) => system.ask('POST', '/v1/sources', { body: body(change), headers });
const tokenOf = async (wanted: object) => (await system.gitlab.admin<{ secret: string }>('POST', '/tokens', { user: 'root', ...wanted })).secret;
const bot = async (username: string, scopes: string[]) => (await system.gitlab.admin<{ token: string }>('POST', '/users', { username, bot: true, scopes })).token;
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

describe('a credential is checked', () => {
  test('by what GitLab says of it: the table', async () => {
    const rows: [what: string, change: object, state: string, can: string, code: string | undefined, words: RegExp][] = [
      ['an administrator\'s with api', { token: system.gitlab.token }, 'ok', 'yes yes yes', 'token-expiry-unknown', /GitLab 19\.1\.0-ee takes the token/],
      ['a wrong one', { token: 'glpat-wrong-canary-000000' }, 'refused', 'no unknown no', 'token-refused', /401.*Unauthorized.*mistyped/],
      ['an expired one', { token: await tokenOf({ scopes: ['api'], expiresAt: '2020-01-01' }) }, 'refused', 'no unknown no', 'token-expired', /Token is expired.*Make a token/],
      ['one that ends soon', { token: await tokenOf({ scopes: ['api'], expiresAt: inDays(9) }) }, 'ok', 'yes yes yes', 'token-expires-soon', /takes/],
      ['one that ends in a year', { token: await tokenOf({ scopes: ['api'], expiresAt: inDays(360) }) }, 'ok', 'yes yes yes', undefined, /takes/],
      ['read_api only', { token: await tokenOf({ scopes: ['read_api'], expiresAt: inDays(360) }) }, 'ok', 'yes yes no', 'scope-missing', /takes/],
      ['read_repository only', { token: await tokenOf({ scopes: ['read_repository'] }) }, 'refused', 'no yes no', 'scope-missing', /lets it read nothing over REST: insufficient_scope.*read_api/],
      ['without read_repository', { token: await tokenOf({ scopes: ['read_user'] }) }, 'refused', 'no no no', 'scope-missing', /insufficient_scope/],
      ['a deploy token', { token: await deployToken() }, 'refused', 'no unknown no', 'deploy-token', /deploy token: those fetch by git only/],
      ['an OAuth token', { token: await tokenOf({ scopes: ['api'], kind: 'oauth' }) }, 'ok', 'yes unknown depends', 'scopes-unknown', /takes/],
      ['a project\'s bot', { token: await bot('project_1_bot_6f', ['api']) }, 'ok', 'yes yes depends', 'token-expiry-unknown', /takes/],
      ['a host that is not there', { baseUrl: 'http://no-such-host.invalid' }, 'unreachable', 'unknown unknown depends', 'name-not-found', /ENOTFOUND|EAI_AGAIN/],
      ['a port where nobody listens', { baseUrl: 'http://127.0.0.1:9' }, 'unreachable', 'unknown unknown depends', 'connection-failed', /ECONNREFUSED.*firewalls/],
      ['no GitLab', { baseUrl: system.url }, 'unreachable', 'unknown unknown depends', 'gitlab-away', /login page|GitLab/],
      ['TLS where there is none', { baseUrl: system.gitlab.url.replace('http:', 'https:') }, 'unreachable', 'unknown unknown depends', 'tls-failed', /TLS failed/],
    ];
    // All at once: who is not there is asked again for some seconds.
    await Promise.all(rows.map(async ([what, change, state, can, code, words]) => {
      const found = await check(change);
      expect([what, found.state, Object.values(found.can).join(' '), found.advice[0]?.code]).toEqual([what, state, can, code]);
      expect(found.detail).toMatch(words);
      expect(JSON.stringify(found)).not.toContain('canary');
    }));
  });

  test('kind, scopes, owner and expiry are told', async () => {
    expect(await check({ token: await tokenOf({ scopes: ['read_api'], expiresAt: inDays(9), name: 'for tekai' }) })).toMatchObject({
      gitlab: { version: '19.1.0-ee' }, token: { kind: 'personal', scopes: ['read_api'], expiresAt: inDays(9), user: { username: 'root', isAdmin: true } },
    });
    expect((await check({ token: await bot('group_7_bot_1', ['api']) })).token).toMatchObject({ kind: 'group', user: { isAdmin: false } });
    expect((await check({ token: await bot('project_7_bot_1', ['api']) })).token.kind).toBe('project');
    expect((await check({ token: await tokenOf({ scopes: ['api'], kind: 'oauth' }) })).token).toMatchObject({ kind: 'oauth', scopes: null, expiresAt: null });
  });

  test('of an older GitLab it is said what that lacks', async () => {
    for (const [version, code] of [['18.4.0-ee', 'signing-not-offered'], ['14.9.1', 'gitlab-old']] as const) {
      await system.gitlab.admin('PUT', '/settings', { version });
      expect((await check()).advice.map((one) => one.code)).toContain(code);
    }
    await system.gitlab.admin('PUT', '/settings', { version: '19.1.0-ee' });
  });

  test('and a GitLab that is away is no refusal (I8)', async () => {
    await system.gitlab.admin('POST', '/faults', { kind: 'http', path: '^/api', status: 502 });
    expect(await check()).toMatchObject({ state: 'unreachable', can: { readApi: 'unknown' }, advice: [{ code: 'gitlab-away' }] });
  });
});

async function deployToken(): Promise<string> {
  const { id } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: `deployed-${randomUUID()}` });
  return (await system.gitlab.admin<{ secret: string }>('POST', '/tokens', { kind: 'deploy', username: 'gitlab+deploy-token-1', project: id, scopes: ['read_repository'], secret: `gldt-${randomUUID()}` })).secret;
}

describe('registering', () => {
  test('takes no token that GitLab refuses, and leaves nothing: neither fact nor secret', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const answer = await register({ name: 'never', token: 'glpat-wrong-canary-000000', acceptUnreachable: true }, key);
    expect([answer.status, answer.json()]).toMatchObject([422, { code: 'source-refused', detail: expect.stringContaining('401') as string, errors: [{ pointer: '/token' }] }]);
    expect((await sources()).some((one) => one.name === 'never')).toBe(false);
    // The same key, once it is mended.
    expect((await register({ name: 'mended' }, key)).status).toBe(201);
  });

  test('of a GitLab that cannot be reached is refused, or done when it was wished so; then its check is due again within the hour', async () => {
    const unreachable = { name: 'later', baseUrl: 'http://127.0.0.1:9' };
    expect((await register(unreachable)).json()).toMatchObject({ status: 422, code: 'source-unreachable', detail: expect.stringMatching(/ECONNREFUSED.*acceptUnreachable/) as string, errors: [{ pointer: '/baseUrl' }] });
    expect((await register({ ...unreachable, acceptUnreachable: true })).status).toBe(201);
    expect(await until('it is listed', async () => (await sources()).find((one) => one.name === 'later'))).toMatchObject({ check: { state: 'unreachable' }, token: { kind: 'unknown', expiresAt: null } });
  });

  test('repeated is answered the same, though GitLab is away by then', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const first = await register({ name: 'again' }, key);
    await system.gitlab.admin('POST', '/faults', { kind: 'http', path: '^/api', status: 502 });
    const again = await register({ name: 'again' }, key);
    expect([again.status, again.json()]).toEqual([201, first.json()]);
    expect((await register({ name: 'other' }, key)).json()).toMatchObject({ status: 422, code: 'idempotency-key-reused' });
  });

  test('what was found is shown: kind, scopes, expiry, four letters; no user', async () => {
    const token = await tokenOf({ scopes: ['read_api'], expiresAt: inDays(9) });
    const { id } = (await register({ name: 'shown', token })).json<{ id: string }>();
    const shown = await until('it is listed', async () => (await sources()).find((one) => one.id === id));
    expect(shown).toMatchObject({ token: { lastFour: token.slice(-4), kind: 'personal', scopes: ['read_api'], expiresAt: inDays(9) }, check: { state: 'ok' } });
    expect((await system.ask('GET', `/v1/sources/${id}`)).json()).toMatchObject(shown);
    // It ends: GitLab refuses it, and what it said before still tells why.
    await system.gitlab.admin('POST', '/clock', { advanceMs: 10 * 86_400_000 });
    const again = (await system.ask('GET', `/v1/sources/${id}/check`)).json<SourceCheck>();
    expect(again).toMatchObject({ state: 'refused', detail: expect.stringContaining('expired') as string });
    expect((await system.ask('GET', `/v1/sources/${id}`)).json()).toMatchObject({ token: { kind: 'personal', expiresAt: inDays(9) }, check: { state: 'refused' } });
    await system.gitlab.admin('POST', '/clock', { advanceMs: -10 * 86_400_000 });
  });
});

describe('changing a source', () => {
  let at: string;
  let token: string;
  beforeAll(async () => {
    token = await tokenOf({ scopes: ['api'], expiresAt: inDays(90) });
    at = `/v1/sources/${(await register({ name: 'changing', token })).json<{ id: string }>().id}`;
  });
  const change = (given: object, headers = {}) => system.ask('PATCH', at, { body: given, headers: { 'if-match': '*', ...headers } });
  const source = () => until('it is listed', async () => { const answer = await system.ask('GET', at); return answer.status === 200 && answer.json<SourceAnswer & { revision: number }>(); });
  const facts = () => eventsOf(system, `key=${at.split('/').at(-1)}&type=source.changed`);

  test('takes no token that GitLab refuses, and no way on which it cannot be reached unless that was wished; what was in use stays', async () => {
    const before = await source();
    for (const [given, code] of [
      [{ token: 'glpat-wrong-canary-000000', acceptUnreachable: true }, 'source-refused'], [{ token: 'glpat-wrong-canary-000000', name: 'other' }, 'source-refused'],
      [{ proxyUrl: 'http://127.0.0.1:9' }, 'source-unreachable'], [{ caPem: 'nonsense' }, 'body-invalid'], [{ clientKeyPem: 'nonsense' }, 'body-invalid'],
    ] as const) {
      const answer = await change(given);
      expect([given, answer.status, answer.json<{ code: string }>().code]).toEqual([given, 422, code]);
      expect(answer.bytes.toString()).not.toContain('canary');
    }
    expect([await source(), await facts()]).toEqual([before, []]);
    expect((await system.ask('GET', `${at}/check`)).json()).toMatchObject({ state: 'ok' });
  });

  test('keeps what GitLab said of the new token; a name alone asks GitLab nothing; told again it is answered the same though GitLab is away', async () => {
    const next = await tokenOf({ scopes: ['read_api'], expiresAt: inDays(30) });
    const key = { 'idempotency-key': randomUUID() };
    const changed = await change({ token: next }, key);
    expect([changed.status, changed.json()]).toMatchObject([200, { changed: ['token'] }]);
    expect(await source()).toMatchObject({ token: { lastFour: next.slice(-4), scopes: ['read_api'], expiresAt: inDays(30) }, check: { state: 'ok' } });
    await system.gitlab.admin('POST', '/faults', { kind: 'http', path: '^/api', status: 502 });
    expect((await change({ name: 'renamed' })).json()).toMatchObject({ name: 'renamed', changed: ['name'] });
    const again = await change({ token: next }, key);
    expect([again.status, again.json()]).toEqual([200, changed.json()]);
    expect((await change({ token })).json()).toMatchObject({ status: 422, code: 'source-unreachable', detail: expect.stringContaining('acceptUnreachable') as string });
    expect((await change({ token, acceptUnreachable: true })).json()).toMatchObject({ changed: ['token'] });
    expect(await source()).toMatchObject({ token: { lastFour: token.slice(-4) }, check: { state: 'unreachable' } });
    expect(JSON.stringify(await facts())).not.toContain(next);
  });
});

const sources = async () => (await system.ask('GET', '/v1/sources')).json<{ sources: SourceAnswer[] }>().sources;

describe('discovery', () => {
  let source: string;
  beforeAll(async () => {
    source = await system.sourceId();
    const { gitlab } = system;
    await gitlab.admin('POST', '/groups', { name: 'Team', path: 'team' });
    await gitlab.admin('POST', '/groups', { name: 'Inner', path: 'inner', parent: 'team' });
    for (let at = 0; at < 7; at += 1) await gitlab.admin('POST', '/projects', { path: `p${at}`, namespace: at < 4 ? 'team' : 'team/inner' });
  });
  const get = async <T>(where: string) => (await system.ask('GET', `/v1/sources/${source}/gitlab/${where}`)).json<T>();

  test('lists groups with their full path, page by page, and finds them by name', async () => {
    const paths: string[] = [];
    for (let after = ''; ;) {
      const page = await get<GitLabGroupPage>(`groups?limit=1${after === '' ? '' : `&after=${after}`}`);
      paths.push(...page.groups.map((one) => one.path));
      if (page.next === null) break;
      after = page.next;
    }
    expect(paths).toEqual(['team', 'team/inner']);
    expect((await get<GitLabGroupPage>('groups?search=inn')).groups).toMatchObject([{ path: 'team/inner', name: 'Inner', visibility: 'private' }]);
  });

  test('lists projects of a group and those below it, newest active first, with the codebase if there is one', async () => {
    const all: GitLabProjectPage['projects'] = [];
    for (let after = ''; ;) {
      const page = await get<GitLabProjectPage>(`projects?group=team&limit=3${after === '' ? '' : `&after=${after}`}`);
      all.push(...page.projects);
      if (page.next === null) break;
      after = page.next;
    }
    expect(all.map((one) => one.path).toSorted()).toEqual(['team/inner/p4', 'team/inner/p5', 'team/inner/p6', 'team/p0', 'team/p1', 'team/p2', 'team/p3']);
    expect(all.map((one) => one.lastActivityAt)).toEqual(all.map((one) => one.lastActivityAt).toSorted().toReversed());
    const codebase = await system.follow(all[0]!.id);
    const [first, second] = (await get<GitLabProjectPage>('projects?group=team&limit=2')).projects;
    expect([first, second]).toMatchObject([{ codebaseId: codebase, isEmpty: true, isArchived: false, accessLevel: 50, visibility: 'private', hasRepository: true }, { codebaseId: null }]);
    // Removed, it can be followed again: it is no codebase to whoever looks for what to follow.
    const standing = async () => (await get<GitLabProjectPage>('projects?group=team&limit=1')).projects[0]?.codebaseId;
    for (const [method, where, expected] of [['DELETE', '', null], ['POST', '/restore', codebase], ['POST', '/archive', codebase]] as const) {
      expect((await system.ask(method, `/v1/codebases/${codebase}${where}`, { headers: { 'if-match': '*' } })).status).toBe(200);
      expect([where, await standing()]).toEqual([where, expected]);
    }
    const inner = (await get<GitLabGroupPage>('groups?search=inner')).groups[0]!;
    expect((await get<GitLabProjectPage>(`projects?group=${inner.id}`)).projects).toHaveLength(3);
    expect((await get<GitLabProjectPage>('projects?group=team%2Finner')).projects).toHaveLength(3);
  });

  test('while GitLab is away, or for a page that fails, it is 503 and never an end (I8); what is asked wrongly is told', async () => {
    await system.gitlab.admin('POST', '/faults', { kind: 'http', path: '[?&]page=2', status: 502 });
    const { next } = await get<GitLabProjectPage>('projects?group=team&limit=3');
    const away = await system.ask('GET', `/v1/sources/${source}/gitlab/projects?group=team&limit=3&after=${next}`);
    expect([away.status, away.json<{ code: string }>().code, Number(away.headers.get('retry-after')) > 0]).toEqual([503, 'gitlab-away', true]);
    for (const [where, status, code] of [['projects?group=nobody', 404, 'group-unknown'], ['groups?after=x', 400, 'after-malformed'], ['groups?limit=101', 400, 'limit-malformed']] as const) {
      const answer = await system.ask('GET', `/v1/sources/${source}/gitlab/${where}`);
      expect([where, answer.status, answer.json<{ code: string }>().code]).toEqual([where, status, code]);
    }
    expect((await system.ask('GET', `/v1/sources/${randomUUID()}/gitlab/groups`)).status).toBe(404);
  });
});

describe('a webhook made by hand', () => {
  test('with the values shown is adopted by a token that may only read, and its deliveries are taken', async () => {
    const repository = await makeRepository();
    repository.commit('main', [{ path: 'a', content: '1' }]);
    const { id } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'by-hand', import: repository.dir });
    repository.git('remote', 'add', 'origin', system.gitlab.remote('root/by-hand'));
    const source = (await register({ name: 'hand', token: await tokenOf({ scopes: ['read_api'] }) })).json<{ id: string }>().id;
    const answer = await system.ask('GET', `/v1/sources/${source}/manual-hook`);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const { url, secretToken, signingToken, triggers, where, group, system: ofAll } = answer.json<ManualHook>();
    expect([group, ofAll]).toMatchObject([{ triggers: expect.arrayContaining(['Member events']) }, { triggers: expect.arrayContaining(['Repository update events']) }]);
    expect([url, triggers, where]).toEqual([`${system.url}/webhooks/gitlab/${source}`, ['Push events', 'Tag push events'], 'Settings → Webhooks']);
    await system.gitlab.rest('POST', `/projects/${id}/hooks`, { url, token: secretToken, signing_token: signingToken, push_events: true, tag_push_events: true });

    const codebase = (await system.ask('POST', '/v1/codebases', { body: { sourceId: source, gitlabProject: id } })).json<{ id: string }>().id;
    const installed = await until('it is adopted', async () => (await eventsOf(system, `key=${codebase}&type=hook.installed`))[0]);
    expect(installed.data).toMatchObject({ how: 'adopted', isSigned: true });
    const commit = repository.commit('main', [{ path: 'a', content: '2' }]);
    repository.git('push', '-q', 'origin', 'main');
    await until('the push arrived by the hook', async () => (await eventsOf(system, `key=${codebase}&type=push.received`))[0]);
    await untilStored(system, codebase, 'refs/heads/main', commit);
    expect(await system.gitlab.rest<unknown[]>('GET', `/projects/${id}/hooks`)).toHaveLength(1);
  });

  test('is told to nobody without the access token, however the address is written', async () => {
    const source = await system.sourceId();
    for (const where of [`/v1/sources/${source}/manual-hook`, `/V1/Sources/${source}/Manual-Hook`, `/v1/sources/${source}/manual-hook/`, `/v1/sources/${source}/check`, `/V1/sources/${source}/gitlab/groups`]) {
      const answer = await system.ask('GET', where, { headers: { authorization: 'Bearer nobody' } });
      expect([where, answer.status]).toEqual([where, 401]);
    }
    expect((await system.ask('POST', '/V1/source-checks', { body: body(), headers: { authorization: 'Bearer nobody' } })).status).toBe(401);
  });
});

test('no credential and no name of a person is in a fact or a log line (I9)', async () => {
  const told = system.log() + JSON.stringify(await eventsOf(system, ''));
  expect(told).not.toMatch(/canary|glpat-|gldt-|whsec_|"root"/);
});
