import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { CAUSE_ID, CODEBASE_ID, codebaseAnswer, problem, scriptedEngine, SOURCE_ID, TIME, TOKEN, type ScriptedEngine } from '#shared/api-client/scripted-engine.fixture.ts';
import { tekai, temporaryFolder } from './cli-run.fixture.ts';

let engine: ScriptedEngine;
const { folder, remove } = temporaryFolder();
const PROJECT_ID = '5f0c2f0e-8a54-4d0e-9a3f-0d9c6f3b7c11';
const project = (change: object = {}) => ({ id: PROJECT_ID, name: 'Billing', state: 'active', revision: 3, createdAt: TIME, removedAt: null, codebaseCount: 1, ...change });
const changedProject = (change: object = {}) => ({ id: PROJECT_ID, name: 'Billing', state: 'active', revision: 4, ...change });
const changedCodebase = (change: object = {}) => ({ id: CODEBASE_ID, state: 'active', followed: { branches: ['*'], tags: [] }, revision: 2, undoUntil: null, cause: null, syncs: null, ...change });

beforeEach(async () => {
  engine = await scriptedEngine();
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [codebaseAnswer({ revision: 7 })], next: null });
  engine.answer('GET /v1/codebases?limit=1000&state=removed', { codebases: [], next: null });
  engine.answer('GET /v1/projects?limit=1000', { projects: [project()], next: null });
  engine.answer('GET /v1/projects?limit=1000&state=removed', { projects: [], next: null });
  engine.answer('GET /v1/sources', { sources: [{ id: SOURCE_ID, name: 'work', baseUrl: 'https://gitlab.example.com', registeredAt: TIME, revision: 5 }] });
});
afterEach(() => engine.stop());
afterAll(remove);

const ask = (...words: string[]) => tekai(words, { url: engine.url });
/** What changed something: method and address, which state it was meant for, and the body. */
const changes = () => engine.asked.filter(({ method }) => method !== 'GET').map(({ method, url, headers, body }) => [`${method} ${url}`, headers['if-match'], JSON.parse(body) as unknown]);

describe('project', () => {
  const at = `/v1/projects/${PROJECT_ID}`;

  test('add begins one, and says what comes next', async () => {
    engine.answer('POST /v1/projects', changedProject({ revision: 0 }), { status: 201 });
    expect(await ask('project', 'add', 'Billing')).toMatchObject({ code: 0, stdout: `Project Billing begins.\n  id  ${PROJECT_ID}\n`, stderr: `Next: tekai project add-codebase ${PROJECT_ID} <codebase>\n` });
    expect(changes()).toEqual([['POST /v1/projects', undefined, { name: 'Billing' }]]);
    expect(engine.asked[0]?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('ls goes through all pages', async () => {
    engine.answer('GET /v1/projects?limit=1000', { projects: [project()], next: '/v1/projects?after=x' });
    engine.answer('GET /v1/projects?after=x', { projects: [project({ name: 'Odd\u001b[31m', state: 'archived', codebaseCount: 0 })], next: null });
    expect((await ask('project', 'ls')).stdout.split('\n').map((line) => line.replace(/ {2,}/g, '  '))).toEqual([
      'NAME  CODEBASES  STATE  BEGUN  ID', `Billing  1  active  5 min ago  ${PROJECT_ID}`, `Odd\\u001b[31m  0  archived  5 min ago  ${PROJECT_ID}`, '',
    ]);
    expect(JSON.parse((await ask('project', 'ls', '--json')).stdout)).toMatchObject([{ name: 'Billing' }, { state: 'archived' }]);
  });

  test('show tells its codebases, and where there are more', async () => {
    engine.answer(`GET ${at}`, { ...project(), codebases: [codebaseAnswer()], next: '/v1/codebases?project=x' });
    const ran = await ask('project', 'show', 'billing');
    expect(ran.stdout).toContain(`Billing (active, 1 codebase)\n  id  ${PROJECT_ID}\n\nCODEBASE`);
    expect(ran.stderr).toBe('and more: GET /v1/codebases?project=x\n');
  });

  test.each([
    ['archive', `POST ${at}/archive`, 'is archived'],
    ['restore', `POST ${at}/restore`, 'is back'],
    ['rm', `DELETE ${at}`, 'is removed; "tekai project restore" undoes it'],
  ])('%s is meant for the state that was seen', async (verb, call, said) => {
    engine.answer(call, changedProject());
    expect(await ask('project', verb, 'billing')).toMatchObject({ code: 0, stdout: `Project Billing ${said}.\n` });
    expect(changes()).toEqual([[call, '"3"', {}]]);
    expect(JSON.parse((await ask('project', verb, PROJECT_ID.toUpperCase(), '--json')).stdout)).toEqual(changedProject());
  });

  test('restore finds what is removed; the others do not', async () => {
    engine.answer('GET /v1/projects?limit=1000', { projects: [], next: null });
    engine.answer('GET /v1/projects?limit=1000&state=removed', { projects: [project({ state: 'removed' })], next: null });
    engine.answer(`POST ${at}/restore`, changedProject());
    expect((await ask('project', 'restore', 'billing')).code).toBe(0);
    expect(await ask('project', 'rm', 'billing')).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no project "billing".') as string });
  });

  test('two of one name are told apart by their ids', async () => {
    engine.answer('GET /v1/projects?limit=1000', { projects: [project(), project({ id: SOURCE_ID })], next: null });
    const ran = await ask('project', 'show', 'Billing');
    expect([ran.code, ran.stderr]).toEqual([1, expect.stringContaining(`Say which by its id:\n  ${PROJECT_ID}  active\n  ${SOURCE_ID}  active\n`)]);
  });

  test('rename, and codebases that come and go; whoever adds another meanwhile is no conflict', async () => {
    engine.answer(`PATCH ${at}`, changedProject({ name: 'Till' }));
    engine.answer(`PUT ${at}/codebases/${CODEBASE_ID}`, changedProject());
    engine.answer(`DELETE ${at}/codebases/${CODEBASE_ID}`, changedProject());
    expect((await ask('project', 'rename', 'billing', 'Till')).stdout).toBe('Project Billing is Till now.\n');
    expect((await ask('project', 'add-codebase', 'billing', 'app')).stdout).toBe('Project Billing has team/app now.\n');
    expect((await ask('project', 'remove-codebase', 'billing', 'app')).stdout).toBe('Project Billing has team/app no longer.\n');
    expect(changes()).toEqual([[`PATCH ${at}`, '"3"', { name: 'Till' }], [`PUT ${at}/codebases/${CODEBASE_ID}`, '*', {}], [`DELETE ${at}/codebases/${CODEBASE_ID}`, '*', {}]]);
  });

  test('what somebody changed meanwhile is told in the engine\'s words', async () => {
    engine.answer(`PATCH ${at}`, problem(412, 'changed-meanwhile', 'It is at revision 4. Get it again.'), { status: 412 });
    expect(await ask('project', 'rename', 'billing', 'Till')).toMatchObject({ code: 1, stdout: '', stderr: 'tekai: It is at revision 4. Get it again.\n' });
  });
});

describe('codebase', () => {
  const at = `/v1/codebases/${CODEBASE_ID}`;

  test.each([
    ['archive', `POST ${at}/archive`, {}, 'is archived: read as before, and synced no longer'],
    ['restore', `POST ${at}/restore`, {}, 'is back; GitLab is being asked for every followed ref'],
    ['rm', `DELETE ${at}`, { state: 'removed', undoUntil: '2026-11-29T18:34:36.636Z' }, 'is removed. Until 2026-11-29T18:34:36.636Z "tekai codebase restore" undoes it'],
  ])('%s is meant for the state that was seen', async (verb, call, change, said) => {
    engine.answer(call, changedCodebase(change));
    expect(await ask('codebase', verb, 'app')).toMatchObject({ code: 0, stdout: `Codebase team/app ${said}.\n` });
    expect(changes()).toEqual([[call, '"7"', {}]]);
    expect(JSON.parse((await ask('codebase', verb, 'app', '--json')).stdout)).toEqual(changedCodebase(change));
  });

  test('restore finds what is removed', async () => {
    engine.answer('GET /v1/codebases?limit=1000', { codebases: [], next: null });
    engine.answer('GET /v1/codebases?limit=1000&state=removed', { codebases: [codebaseAnswer({ state: 'removed', revision: 9 })], next: null });
    engine.answer(`POST ${at}/restore`, changedCodebase({ cause: CAUSE_ID, syncs: `/v1/syncs?cause=${CAUSE_ID}` }));
    expect((await ask('codebase', 'restore', 'app')).code).toBe(0);
    expect(changes()).toEqual([[`POST ${at}/restore`, '"9"', {}]]);
  });

  test('follow changes what is named, and keeps the rest', async () => {
    engine.answer(`PATCH ${at}`, changedCodebase({ followed: { branches: ['*'], tags: ['v*'] } }));
    expect((await ask('codebase', 'follow', 'app', '--tags', 'v*, ')).stdout).toBe('Codebase team/app follows *, tag v*.\n');
    await ask('codebase', 'follow', 'app', '--branches', 'main,release/*', '--tags', '');
    expect(changes()).toEqual([[`PATCH ${at}`, '"7"', { followed: { branches: ['*'], tags: ['v*'] } }], [`PATCH ${at}`, '"7"', { followed: { branches: ['main', 'release/*'], tags: [] } }]]);
    expect(await ask('codebase', 'follow', 'app')).toMatchObject({ code: 64, stderr: expect.stringContaining('--branches, --tags, or both') as string });
  });
});

describe('source', () => {
  const at = `/v1/sources/${SOURCE_ID}`;
  const changed = { id: SOURCE_ID, name: 'work', state: 'active', revision: 6, changed: ['token'] };

  test('change sends what was named and nothing else; a token comes from a file or the environment, and is not shown', async () => {
    engine.answer(`PATCH ${at}`, changed);
    const [token, ca] = [path.join(folder, 'token'), path.join(folder, 'ca.pem')];
    writeFileSync(token, 'glpat-canary\n');
    writeFileSync(ca, 'PEM');
    const ran = await ask('source', 'change', 'work', '--token-file', token);
    expect(ran).toMatchObject({ code: 0, stdout: 'Source work: token changed.\n', stderr: '' });
    await tekai(['source', 'change', 'work', '--token'], { env: { TEKAI_URL: engine.url, TEKAI_TOKEN: TOKEN, TEKAI_GITLAB_TOKEN: 'glpat-env' } });
    await ask('source', 'change', 'work', '--name', 'home', '--ca', ca, '--proxy', 'http://proxy:3128');
    await ask('source', 'change', 'work', '--no-ca', '--no-proxy');
    expect(changes()).toEqual([{ token: 'glpat-canary' }, { token: 'glpat-env' }, { name: 'home', caPem: 'PEM', proxyUrl: 'http://proxy:3128' }, { caPem: null, proxyUrl: null }].map((body) => [`PATCH ${at}`, '"5"', body]));
    // That of the engine is another one than GitLab's.
    expect(new Set(engine.asked.map(({ headers }) => headers.authorization))).toEqual(new Set([`Bearer ${TOKEN}`]));
  });

  test('change of nothing is a slip; --token without one in the environment too', async () => {
    expect((await ask('source', 'change', 'work')).code).toBe(64);
    expect(await ask('source', 'change', 'work', '--token')).toMatchObject({ code: 64, stderr: expect.stringContaining('TEKAI_GITLAB_TOKEN') as string });
    expect(engine.asked).toEqual([]);
  });

  test('rm forgets one, or says in the engine\'s words what is left of it', async () => {
    engine.answer(`DELETE ${at}`, { ...changed, state: 'removed', changed: [] });
    expect((await ask('source', 'rm', 'work')).stdout).toBe('Source work is removed, and its credentials are forgotten.\n');
    expect(changes()).toEqual([[`DELETE ${at}`, '"5"', {}]]);
    engine.answer(`DELETE ${at}`, problem(409, 'source-in-use', 'It still has team/app (active).'), { status: 409 });
    expect(await ask('source', 'rm', 'work')).toMatchObject({ code: 1, stdout: '', stderr: 'tekai: It still has team/app (active).\n' });
  });
});
