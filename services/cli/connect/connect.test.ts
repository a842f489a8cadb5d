import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { CAUSE_ID, codebaseAnswer, problem, receiptAnswer, scriptedEngine, SOURCE_ID, syncAnswer, TIME, TOKEN, type ScriptedEngine } from '#shared/api-client/scripted-engine.fixture.ts';
import type { Input } from '../ask-secret.ts';
import { temporaryFolder, tekai, type RunOptions } from '../cli-run.fixture.ts';

const URL_OF_GITLAB = 'https://gitlab.example.com';
const CODEBASES = ['185fe316-16af-54a3-9621-4de504c6d4d6', '285fe316-16af-54a3-9621-4de504c6d4d6', '385fe316-16af-54a3-9621-4de504c6d4d6'];
const HOOK = { url: 'https://engine.example.com/webhooks/gitlab/x', secretToken: 'hook-secret', signingToken: 'whsec_abc', triggers: ['Push events', 'Tag push events'], where: 'Settings, Webhooks', group: { where: 'Group, Webhooks', triggers: ['Member events'] }, system: { where: 'Admin, System hooks', triggers: ['Repository update events'] } };
const GROUPS = [{ id: 7, path: 'shop', name: 'Shop', visibility: 'private' }, { id: 8, path: 'tools', name: 'Tools', visibility: 'internal' }];
const CHECK = {
  state: 'ok', detail: 'All is well.', gitlab: { version: '18.5.0' },
  token: { kind: 'personal', name: 'engine', scopes: ['read_api', 'read_repository'], expiresAt: '2026-12-01', user: { username: 'ann', isAdmin: false } },
  can: { readApi: 'yes', readRepository: 'yes', makeHooks: 'no' }, advice: [{ code: 'hooks-need-api', detail: 'A token with the scope api makes webhooks.' }],
};

let engine: ScriptedEngine;
let isRemoved = false;
const { folder, remove } = temporaryFolder();

const project = (id: number, name: string, change: object = {}) => ({
  id, path: `shop/${name}`, name, isArchived: false, isEmpty: false, lastActivityAt: `2026-11-${10 + id}T00:00:00Z`, repositoryBytes: null, accessLevel: 30, defaultBranch: 'main', visibility: 'private', hasRepository: true, codebaseId: null, ...change,
});

beforeEach(async () => {
  isRemoved = false;
  engine = await scriptedEngine();
  engine.answer('GET /v1/sources', { sources: [] });
  engine.answer('POST /v1/source-checks', CHECK);
  engine.answer('POST /v1/sources', { id: SOURCE_ID, webhookUrl: HOOK.url }, { status: 201 });
  engine.answer(`GET /v1/sources/${SOURCE_ID}/gitlab/groups?limit=100`, { groups: GROUPS, next: null });
  engine.answer(`GET /v1/sources/${SOURCE_ID}/gitlab/projects?group=shop&limit=100`, { projects: [project(1, 'web')], next: 'p2' });
  engine.answer(`GET /v1/sources/${SOURCE_ID}/gitlab/projects?group=shop&limit=100&after=p2`, { projects: [project(2, 'api'), project(3, 'old', { isArchived: true })], next: null });
  engine.answer(`GET /v1/sources/${SOURCE_ID}/gitlab/projects?limit=100`, { projects: [project(1, 'web', { repositoryBytes: 2_000_000 })], next: null });
  engine.answer(`GET /v1/sources/${SOURCE_ID}/manual-hook`, HOOK);
  engine.answerBy('POST /v1/codebases', (_, response) => {
    const body = JSON.parse(engine.asked.filter(({ url, method }) => method === 'POST' && url === '/v1/codebases').at(-1)?.body ?? '{}') as { gitlabProject: number };
    response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ id: CODEBASES[body.gitlabProject - 1], cause: CAUSE_ID, syncs: '/x', how: body.gitlabProject === 2 && isRemoved ? 'restored' : 'registered' }));
  });
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [1, 2].map((id) => codebaseAnswer({ id: CODEBASES[id - 1], path: `shop/${id}` })), next: null });
  for (const id of CODEBASES) engine.answer(`GET /v1/codebases/${id}`, { ...codebaseAnswer({ id }), refs: 1, head: receiptAnswer({ codebase: id }), parked: [], unfolded: 0 });
});
afterEach(() => engine.stop());
afterAll(remove);

/** Time passes at once. */
const quick = { sleep: () => new Promise<void>((resolve) => { setImmediate(resolve); }) };
const connect = (words: readonly string[], options: RunOptions = {}) =>
  tekai(['connect', URL_OF_GITLAB, ...words], { env: { TEKAI_URL: engine.url, TEKAI_TOKEN: TOKEN, TEKAI_GITLAB_TOKEN: 'glpat-canary' }, ...quick, ...options });
const bodiesOf = (address: string) => engine.asked.filter(({ method, url }) => method === 'POST' && url === address).map(({ body }) => JSON.parse(body) as Record<string, unknown>);
/** A terminal on which somebody answers so. */
const answering = (...lines: string[]) => {
  const stdin = Object.assign(new PassThrough(), { isTTY: true }) as Input & PassThrough;
  stdin.end(`${lines.join('\n')}\n`);
  return { stdin };
};

test('from an address to codebases that can be read, and what to try first', async () => {
  const ca = path.join(folder, 'ca.pem');
  writeFileSync(ca, '-----BEGIN CERTIFICATE-----\n');
  const ran = await connect(['--group', 'shop', '--yes', '--ca', ca, '--proxy', 'http://proxy:3128']);
  expect(ran.stdout).toBe(`gitlab.example.com is GitLab 18.5.0.
The token is a personal access token of ann ("engine").
  scopes                     read_api, read_repository
  expires                    2026-12-01, in 8 days
  list groups and projects   yes
  read code by git           yes
  make webhooks              no: new pushes are found by asking GitLab again and again, unless you make the webhook by hand
  - A token with the scope api makes webhooks.
2 projects to follow, 2.0 MB in GitLab with all history, without 1 whose size it does not tell.
  1 archived project left out (--include-archived takes them).
2 of 2 projects can be read now.
The webhook could not be made in 2 projects: the token may not.
Until then the engine asks GitLab for new pushes by itself: nothing is missed, it is only later than with a webhook.
To make the webhook by hand:
  where           Settings, Webhooks
  URL             https://engine.example.com/webhooks/gitlab/x
  secret token    hook-secret
  signing token   whsec_abc   (GitLab 19.0 and newer; then the secret token may be left out)
  triggers        Push events, Tag push events
One for many projects, which tells of members too; URL and secrets as above:
  of a group      Group, Webhooks
  triggers        Member events
  of all          Admin, System hooks
  triggers        Repository update events
`);
  expect(ran).toMatchObject({ code: 0, stderr: '  1 of 2 registered\n  2 of 2 registered\n  2 of 2 synced\nNext: tekai ls api\n' });
  expect(bodiesOf('/v1/sources')).toEqual([{ baseUrl: URL_OF_GITLAB, token: 'glpat-canary', name: 'gitlab.example.com', caPem: '-----BEGIN CERTIFICATE-----\n', proxyUrl: 'http://proxy:3128' }]);
  expect(bodiesOf('/v1/codebases')).toEqual([{ sourceId: SOURCE_ID, gitlabProject: 2 }, { sourceId: SOURCE_ID, gitlabProject: 1 }]);
  expect(ran.stdout + ran.stderr).not.toContain('canary');
});

test('on a terminal it asks which groups, again if need be, and whether to follow them', async () => {
  const ran = await connect([], answering('9', '1', ''));
  expect(ran.code).toBe(0);
  expect(ran.stdout).toContain('2 groups:\n  1  shop\n  2  tools  (internal)\n"9" is none of the numbers 1 to 2.\n');
  expect(ran.stderr).toContain('Follow these 2? [Y/n] ');
  expect(bodiesOf('/v1/codebases')).toHaveLength(2);
});

test('a no, or the end of the input, follows nothing', async () => {
  expect(await connect(['--group', 'shop'], answering('n'))).toMatchObject({ code: 1, stderr: expect.stringContaining('Nothing is followed.') as string });
  expect(await connect([], answering())).toMatchObject({ code: 1 });
  expect(bodiesOf('/v1/codebases')).toEqual([]);
});

test('a second run asks for no token and adds no source, and takes up what is missing', async () => {
  engine.answer('GET /v1/sources', { sources: [{ id: SOURCE_ID, name: 'work', baseUrl: 'https://GitLab.example.com/', registeredAt: TIME, revision: 0 }] });
  engine.answer(`GET /v1/sources/${SOURCE_ID}/gitlab/projects?group=shop&limit=100`, { projects: [project(1, 'web', { codebaseId: CODEBASES[0] }), project(2, 'api')], next: null });
  const ran = await connect(['--group', 'shop', '--yes'], { env: { TEKAI_URL: engine.url, TEKAI_TOKEN: TOKEN } });
  expect(ran.stdout).toContain('work (https://GitLab.example.com/) is known already; its token and settings stay as they are.\n1 project to follow');
  expect(ran.stdout).toContain('2 of 2 projects can be read now.');
  expect(bodiesOf('/v1/sources')).toEqual([]);
  expect(bodiesOf('/v1/source-checks')).toEqual([]);
  expect(bodiesOf('/v1/codebases')).toEqual([{ sourceId: SOURCE_ID, gitlabProject: 2 }]);
});

test('a known source is changed by what is said on the command line, and by nothing else; what had been removed is restored, and that is said', async () => {
  isRemoved = true;
  engine.answer('GET /v1/sources', { sources: [{ id: SOURCE_ID, name: 'work', baseUrl: 'https://GitLab.example.com/', registeredAt: TIME, revision: 0 }] });
  engine.answer(`PATCH /v1/sources/${SOURCE_ID}`, { id: SOURCE_ID, name: 'work', state: 'active', revision: 1, changed: ['token', 'ca'] });
  const [token, ca] = [path.join(folder, 'next-token'), path.join(folder, 'next-ca.pem')];
  writeFileSync(token, 'glpat-next-canary\n', { mode: 0o600 });
  writeFileSync(ca, '-----BEGIN CERTIFICATE-----\n');
  const ran = await connect(['--group', 'shop', '--yes', '--token-file', token, '--ca', ca]);
  expect(ran.stdout).toContain('is known already; GitLab took what was given, and it was changed: token, ca.\n');
  expect(ran.stdout).toContain('1 project had been removed or archived, and is restored with what was known of it: shop/api.\n');
  expect(engine.asked.filter(({ method }) => method === 'PATCH').map(({ body }) => JSON.parse(body) as unknown)).toEqual([{ token: 'glpat-next-canary', caPem: '-----BEGIN CERTIFICATE-----\n' }]);
  engine.answer(`PATCH /v1/sources/${SOURCE_ID}`, { status: 422, code: 'source-refused', detail: 'GitLab refused the token (401).' }, { status: 422 });
  expect(await connect(['--group', 'shop', '--yes', '--token-file', token])).toMatchObject({ code: 1, stderr: expect.stringContaining('GitLab refused the token (401)') as string });
  expect(ran.stdout + ran.stderr).not.toContain('canary');
});

test.each([
  ['refused', 'GitLab refused the token (401). Make a new one under Preferences, Access tokens.'],
  ['unreachable', 'The certificate of gitlab.example.com is signed by an authority that is not known. Give it with --ca.'],
])('a GitLab that is %s is said with what to do, and nothing is kept', async (state, detail) => {
  engine.answer('POST /v1/source-checks', { ...CHECK, state, detail, advice: [] });
  expect(await connect(['--all', '--yes'])).toMatchObject({ code: 1, stdout: '', stderr: `tekai: ${detail}\nNothing was kept. Mend it, and run the same command again.\n` });
  expect(bodiesOf('/v1/sources')).toEqual([]);
});

test('a token that cannot list projects is refused, with the scopes that it takes', async () => {
  engine.answer('POST /v1/source-checks', { ...CHECK, can: { ...CHECK.can, readApi: 'no' }, token: { ...CHECK.token, scopes: ['read_repository'] } });
  const ran = await connect(['--all', '--yes']);
  expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining('Make one with the scopes read_api and read_repository') as string });
  expect(bodiesOf('/v1/sources')).toEqual([]);
});

test('a project that the engine refuses, and one whose sync fails, are listed with what to do, and stop no other', async () => {
  engine.answerBy('POST /v1/codebases', (_, response) => {
    const body = JSON.parse(engine.asked.at(-1)?.body ?? '{}') as { gitlabProject: number };
    if (body.gitlabProject === 2) response.writeHead(422, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem(422, 'no-repository', 'The project has no repository.')));
    else response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ id: CODEBASES[body.gitlabProject - 1], cause: CAUSE_ID, syncs: '/x', how: body.gitlabProject === 2 && isRemoved ? 'restored' : 'registered' }));
  });
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [codebaseAnswer({ id: CODEBASES[0] }), codebaseAnswer({ id: CODEBASES[2], lastObservedAt: null })], next: null });
  engine.answer(`GET /v1/codebases/${CODEBASES[2]}`, { ...codebaseAnswer({ id: CODEBASES[2], lastObservedAt: null }), refs: 0, head: null, parked: [], unfolded: 0 });
  engine.answer(`GET /v1/syncs?codebase=${CODEBASES[2]}&limit=5`, { syncs: [syncAnswer({ state: 'failed', reason: 'repository-unreadable', detail: 'GitLab cannot read the repository.' })] });
  const ran = await connect(['--group', 'shop', '--include-archived', '--yes']);
  expect(ran.code).toBe(1);
  expect(ran.stdout).toContain(`1 of 3 projects can be read now.
2 projects not:
  shop/api: The project has no repository.
    Mend that in GitLab, then run the same command again: it takes up what is missing.
  shop/old: GitLab cannot read the repository.
    Mend that in GitLab; the engine tries five times by itself, later "tekai sync shop/old" does. "tekai status shop/old" shows how it stands.
`);
});

test('one that GitLab keeps waiting is not waited for without end', async () => {
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [codebaseAnswer({ id: CODEBASES[0], lastObservedAt: null })], next: null });
  engine.answer(`GET /v1/codebases/${CODEBASES[0]}`, { ...codebaseAnswer({ id: CODEBASES[0], lastObservedAt: null }), refs: 0, head: null, parked: [], unfolded: 0 });
  engine.answer(`GET /v1/syncs?codebase=${CODEBASES[0]}&limit=5`, { syncs: [] });
  const ran = await connect(['--project', '1', '--yes']);
  expect(ran).toMatchObject({ code: 1, stdout: expect.stringContaining('1: GitLab does not give it now, or is slow. The engine goes on trying by itself.') as string });
});

test('a moment\'s fault of the engine is tried again; a token that it does not know ends all', async () => {
  let asked = 0;
  engine.answerBy('POST /v1/codebases', (_, response) => {
    asked += 1;
    const isBusy = asked === 1;
    response.writeHead(isBusy ? 429 : 201, { 'content-type': isBusy ? 'application/problem+json' : 'application/json', 'retry-after': '1' }).end(JSON.stringify(isBusy ? problem(429, 'busy', 'Later.') : { id: CODEBASES[0], cause: CAUSE_ID, syncs: '/x', how: 'registered' }));
  });
  expect((await connect(['--project', 'shop/web', '--yes', '--no-wait'])).code).toBe(0);
  expect(asked).toBe(2);
  engine.answer('POST /v1/codebases', problem(401, 'not-authenticated', 'Send a token.'), { status: 401 });
  expect((await connect(['--project', 'shop/web', '--yes', '--no-wait'])).code).toBe(77);
});

describe('for programs', () => {
  test('one document, without a question or a secret of ours', async () => {
    const ran = await connect(['--group', 'shop', '--yes', '--json'], answering());
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(ran.stdout)).toMatchObject({
      source: { id: SOURCE_ID, name: 'gitlab.example.com' }, check: { state: 'ok' }, leftOut: { archived: ['shop/old'] }, toFollow: { projects: 2, repositoryBytes: 2_000_000, withoutSize: 1 },
      projects: [{ path: 'shop/api', codebaseId: CODEBASES[1], state: 'synced' }, { path: 'shop/web', state: 'synced' }], manualHook: HOOK,
    });
    expect(ran.stdout).not.toContain('canary');
  });

  test('what to follow must be said, and that it shall be', async () => {
    expect(await connect(['--json', '--yes'])).toMatchObject({ code: 64, stdout: '', stderr: expect.stringContaining('--group <path> or --project <path>') as string });
    expect(engine.asked).toEqual([]);
    const ran = await connect(['--group', 'shop', '--json']);
    expect(ran).toMatchObject({ code: 64, stderr: 'tekai: Nothing is followed yet. Say --yes to follow these.\n' });
    expect(JSON.parse(ran.stdout)).toMatchObject({ toFollow: { projects: 2 }, projects: [] });
  });

  test('a group that GitLab does not show is said, and a certificate goes with its key', async () => {
    expect(await connect(['--group', 'shopp', '--yes'])).toMatchObject({ code: 1, stderr: expect.stringContaining('no group "shopp". Did you mean "shop"?') as string });
    expect(await connect(['--all', '--yes', '--client-cert', 'x.pem'])).toMatchObject({ code: 64, stderr: expect.stringContaining('--client-cert and --client-key go together') as string });
  });
});
