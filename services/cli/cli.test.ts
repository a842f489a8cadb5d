import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { CODEBASE_ID, codebaseAnswer, COMMIT, problem, receiptAnswer, scriptedEngine, SOURCE_ID, syncAnswer, TIME, TOKEN, TREE, type ScriptedEngine } from '#shared/api-client/scripted-engine.fixture.ts';
import { sink, tekai, temporaryFolder } from './cli-run.fixture.ts';
import type { Input } from './ask-secret.ts';

let engine: ScriptedEngine;
const { folder, remove } = temporaryFolder();

beforeEach(async () => {
  engine = await scriptedEngine();
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [codebaseAnswer()], next: null });
  engine.answer('GET /v1/sources', { sources: [{ id: SOURCE_ID, name: 'work', baseUrl: 'https://gitlab.example.com', registeredAt: TIME, revision: 0 }] });
});
afterEach(() => engine.stop());
afterAll(remove);

const ask = (...words: string[]) => tekai(words, { url: engine.url });

describe('exit codes', () => {
  test('0 for what was asked for, help and version too', async () => {
    expect((await ask('source', 'ls')).code).toBe(0);
    expect(await ask('--version')).toMatchObject({ code: 0, stdout: '1.2.3\n' });
    expect(await ask('help')).toMatchObject({ code: 0, stdout: expect.stringContaining('Examples:') as string });
    expect(await ask('codebase', 'add', '--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('--branches <patterns>') as string });
  });

  test('64 for a slip, with the command that was probably meant', async () => {
    const ran = await ask('statuss');
    expect(ran).toMatchObject({ code: 64, stdout: '' });
    expect(ran.stderr).toContain('unknown command \'statuss\'');
    expect(ran.stderr).toContain('(Did you mean status?)');
    expect((await ask('ls')).code).toBe(64);
    expect((await ask('ls', 'app', '--colour')).code).toBe(64);
    expect((await ask()).code).toBe(64);
    expect((await ask('--url', 'gopher://x', 'status')).code).toBe(64);
  });

  test('69 where no engine answers, with how to start one', async () => {
    await engine.stop();
    const ran = await ask('status');
    engine = await scriptedEngine();
    expect(ran.code).toBe(69);
    expect(ran.stderr).toMatch(/^tekai: Nothing answers at http:\/\/127\.0\.0\.1:\d+ \(connection refused\)\. Is the engine up\? Start it with "tekai up"/);
  });

  test('77 where the engine does not know us, with where the token came from', async () => {
    engine.answer('GET /v1/sources', problem(401, 'not-authenticated', 'Send a token.'), { status: 401 });
    const ran = await ask('source', 'ls');
    expect(ran).toMatchObject({ code: 77, stderr: 'tekai: Send a token.\n  The access token was looked for in TEKAI_TOKEN.\n' });
  });

  test('78 where the environment cannot be right', async () => {
    expect(await tekai(['status'], { env: { TEKAI_PORT: 'abc' } })).toMatchObject({ code: 78, stderr: expect.stringContaining('TEKAI_PORT=abc') as string });
    expect(await tekai(['status'], { env: { TEKAI_URL: 'localhost:8080' } })).toMatchObject({ code: 78, stderr: expect.stringContaining('TEKAI_URL: "localhost:8080"') as string });
  });

  test('1 for what the engine refuses, in its words', async () => {
    engine.answer(`GET /v1/codebases/${CODEBASE_ID}/files/nope`, problem(404, 'no-such-path', 'There is no "nope" in this version.'), { status: 404 });
    expect(await ask('cat', 'app', 'nope')).toMatchObject({ code: 1, stdout: '', stderr: 'tekai: There is no "nope" in this version.\n' });
  });

  test('1 for what went wrong in the engine, with the id that its log has it under', async () => {
    engine.answer(`GET /v1/codebases/${CODEBASE_ID}/files/nope`, problem(500, 'internal', 'The log has the details under this request id.'), { status: 500 });
    expect(await ask('cat', 'app', 'nope')).toMatchObject({ code: 1, stderr: expect.stringMatching(/request id\.\n {2}The request id is [0-9a-f-]{36}\.\n$/) as string });
  });

  test('that of the engine for up and demo, which get their own words', async () => {
    const got: (readonly string[])[] = [];
    const took = (code: number) => (words: readonly string[]) => { got.push(words); return Promise.resolve(code); };
    expect((await tekai(['up', 'ingress', 'fetcher'], { up: took(3) })).code).toBe(3);
    expect((await tekai(['up'], { up: took(0) })).code).toBe(0);
    expect((await tekai(['demo', '--once', '--repo', 'a b'], { demo: took(4) })).code).toBe(4);
    expect(got).toEqual([['ingress', 'fetcher'], [], ['--once', '--repo', 'a b']]);
  });
});

describe('who we are', () => {
  test('the token of the engine on this machine is found in its state folder', async () => {
    writeFileSync(path.join(folder, 'access-token'), `${TOKEN}\n`);
    const ran = await tekai(['source', 'ls'], { env: { TEKAI_STATE_DIR: folder, TEKAI_PORT: new URL(engine.url).port } });
    expect(ran.code).toBe(0);
    expect(engine.asked[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`);
  });

  test('a token file that is named goes before TEKAI_TOKEN, before the command or behind it', async () => {
    const file = path.join(folder, 'other');
    writeFileSync(file, 'other-token\n');
    await ask('--token-file', file, 'source', 'ls');
    await ask('source', 'ls', '--token-file', file);
    expect(engine.asked.map((one) => one.headers.authorization)).toEqual(['Bearer other-token', 'Bearer other-token']);
    expect(await ask('source', 'ls', '--token-file', path.join(folder, 'none'))).toMatchObject({ code: 64, stderr: expect.stringContaining('ENOENT') as string });
  });
});

describe('source', () => {
  const added = { id: SOURCE_ID, webhookUrl: 'http://engine/webhooks/gitlab/x' };
  const bodies = () => engine.asked.filter((one) => one.method === 'POST').map((one) => JSON.parse(one.body) as Record<string, unknown>);
  beforeEach(() => engine.answer('POST /v1/sources', added, { status: 201 }));

  test('add takes GitLab\'s token from a file, and says what comes next', async () => {
    const [token, ca] = [path.join(folder, 'gitlab-token'), path.join(folder, 'ca.pem')];
    writeFileSync(token, 'glpat-canary\n');
    writeFileSync(ca, '-----BEGIN CERTIFICATE-----\n');
    const ran = await ask('source', 'add', 'https://gitlab.example.com', '--name', 'my work', '--token-file', token, '--ca', ca, '--proxy', 'http://proxy:3128');
    expect(bodies()).toEqual([{ baseUrl: 'https://gitlab.example.com', token: 'glpat-canary', name: 'my work', caPem: '-----BEGIN CERTIFICATE-----\n', proxyUrl: 'http://proxy:3128' }]);
    expect(engine.asked.at(-1)?.headers.authorization).toBe(`Bearer ${TOKEN}`);
    expect(ran.stdout).toContain(added.webhookUrl);
    expect(ran.stderr).toBe('Next: tekai codebase add \'my work\' <group/project>\n');
    expect(ran.stdout + ran.stderr).not.toContain('glpat-canary');
  });

  test('add takes GitLab\'s token from TEKAI_GITLAB_TOKEN, and the host for a name', async () => {
    const ran = await tekai(['source', 'add', 'gitlab.example.com', '--json'], { env: { TEKAI_URL: engine.url, TEKAI_TOKEN: TOKEN, TEKAI_GITLAB_TOKEN: 'glpat-env' } });
    expect(bodies()).toEqual([{ baseUrl: 'https://gitlab.example.com', token: 'glpat-env', name: 'gitlab.example.com' }]);
    expect(JSON.parse(ran.stdout)).toMatchObject({ id: SOURCE_ID, name: 'gitlab.example.com' });
  });

  test('add asks on a terminal, and shows nothing of what is typed', async () => {
    const raw: boolean[] = [];
    const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (isRaw: boolean) => { raw.push(isRaw); } }) as Input & PassThrough;
    stdin.write('glpat-typx\u007fed\r');
    const ran = await tekai(['source', 'add', 'https://gitlab.example.com'], { url: engine.url, stdin });
    expect(bodies()).toMatchObject([{ token: 'glpat-typed' }]);
    expect(ran.stderr).toContain('Access token of gitlab.example.com (not shown): \n');
    expect(ran.stdout + ran.stderr).not.toContain('glpat');
    expect(raw).toEqual([true, false]);
  });

  test('add can be given up at the prompt', async () => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined }) as Input & PassThrough;
    stdin.write('glpat\u0003');
    expect(await tekai(['source', 'add', 'https://gitlab.example.com'], { url: engine.url, stdin })).toMatchObject({ code: 1, stderr: expect.stringContaining('Nothing was done.') as string });
    expect(bodies()).toEqual([]);
  });

  test('add without any token says how to give one, and takes none as an argument', async () => {
    expect(await ask('source', 'add', 'https://gitlab.example.com')).toMatchObject({ code: 64, stderr: expect.stringContaining('TEKAI_GITLAB_TOKEN') as string });
    expect((await ask('source', 'add', 'https://gitlab.example.com', '--token', 'glpat-x')).code).toBe(64);
    expect((await ask('source', 'add', 'https://root:glpat-x@gitlab.example.com')).stderr).toContain('holds credentials');
  });

  test('check asks GitLab now, says what to do, and fails when the token is refused', async () => {
    const found = {
      state: 'refused', detail: 'GitLab refused the token (401).', gitlab: { version: null }, token: { kind: 'unknown', name: null, scopes: null, expiresAt: null, user: null },
      can: { readApi: 'no', readRepository: 'unknown', makeHooks: 'no' }, advice: [{ code: 'x', detail: 'Do\u001b[31m this.' }],
    };
    engine.answer(`GET /v1/sources/${SOURCE_ID}/check`, found);
    const ran = await ask('source', 'check', 'work');
    expect([ran.code, ran.stdout]).toEqual([1, expect.stringMatching(/^Refused: GitLab refused the token \(401\)\.\n(?:.*\n)* {2}! Do\\u001b\[31m this\.\n$/)]);
    expect(JSON.parse((await ask('source', 'check', 'work', '--json')).stdout)).toEqual(found);
  });

  test('show says what was last found of the token, and how soon it is learnt who reads what', async () => {
    const token = { lastFour: 'wxyz', kind: 'personal', scopes: ['read_api'], expiresAt: '2027-02-01', checkedAt: TIME };
    const source = { id: SOURCE_ID, name: 'work', baseUrl: 'https://gitlab.example.com', registeredAt: TIME, revision: 0, token, check: { state: 'ok' } };
    engine.answer('GET /v1/sources', { sources: [source] });
    engine.answer(`GET /v1/sources/${SOURCE_ID}`, { ...source, polling: null });
    expect((await ask('source', 'show', 'work')).stdout).toMatch(/check {5}ok, 5 min ago\n {2}token {5}personal, ends in wxyz\n {2}scopes {4}read_api\n {2}expires {3}2027-02-01\n$/);
    const polling = { activeBoundSeconds: 60, idleBoundSeconds: 900, requestsPerMinute: 300, wantedPerMinute: 1, readersBoundSeconds: 310, people: { active: 3, asked: 2, boundSeconds: 300 }, heldUntil: null, heldReason: null };
    engine.answer(`GET /v1/sources/${SOURCE_ID}`, { ...source, polling });
    expect((await ask('source', 'show', 'work')).stdout).toMatch(/\n {2}readers {3}learnt within 310 s, of 2 of 3 active people within 300 s, by their own tokens\n$/);
    engine.answer(`GET /v1/sources/${SOURCE_ID}`, { ...source, polling: { ...polling, people: undefined } });
    expect((await ask('source', 'show', 'work')).stdout).toMatch(/\n {2}readers {3}learnt within 310 s\n$/);
  });

  test('ls is a table for people and JSON for programs', async () => {
    expect((await ask('source', 'ls')).stdout).toBe(`NAME  URL                         REGISTERED  ID\nwork  https://gitlab.example.com  5 min ago   ${SOURCE_ID}\n`);
    expect(JSON.parse((await ask('source', 'ls', '--json')).stdout)).toMatchObject([{ name: 'work' }]);
    expect(JSON.parse((await ask('--json', 'source', 'ls')).stdout)).toMatchObject([{ name: 'work' }]);
  });
});

describe('what is in a codebase', () => {
  const entries = [
    { name: 'src', type: 'folder', mode: '040000', id: TREE, files: 1_234, bytes: 4_200_000 },
    { name: 'run.sh', type: 'executable', mode: '100755', id: COMMIT, bytes: 812, language: 'Shell', lines: 30, isBinary: false },
    { name: 'odd\n\u001b[31mname', type: 'file', mode: '100644', id: COMMIT, bytes: 0, language: null, lines: 0, isBinary: false },
  ];
  const page = { receipt: receiptAnswer({ isHintWaiting: true }), path: '', tree: TREE, total: 3, entries, next: null };

  test('ls shows sizes, languages and lines; a name cannot act on the terminal', async () => {
    engine.answer(`GET /v1/codebases/${CODEBASE_ID}/tree`, page);
    const ran = await ask('ls', 'app', './');
    expect(ran.stdout.split('\n').map((line) => line.replace(/ +/g, ' '))).toEqual([
      'NAME SIZE FILES LANGUAGE LINES ID',
      'src/ 4.2 MB 1,234 ec2c32bfc9',
      'run.sh* 812 B Shell 30 00990f0085',
      'odd\\n\\u001b[31mname 0 B 0 00990f0085',
      '',
    ]);
    expect(ran.stderr).toBe('main at 00990f0085; something newer is on its way\n');
  });

  test('ls goes through all pages, and hands programs all entries', async () => {
    engine.answer(`GET /v1/codebases/${CODEBASE_ID}/tree/src?ref=main&at=${COMMIT}`, { ...page, entries: entries.slice(0, 2), next: '/v1/more' });
    engine.answer('GET /v1/more', { ...page, entries: entries.slice(2) });
    const { stdout } = await ask('ls', 'app', 'src/', '--ref', 'main', '--at', COMMIT, '--json');
    expect(JSON.parse(stdout)).toMatchObject({ receipt: { commit: COMMIT }, entries });
  });

  test('cat gives the very bytes', async () => {
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7) % 256));
    engine.answer(`GET /v1/codebases/${CODEBASE_ID}/files/a%20b.bin`, bytes);
    expect((await ask('cat', 'app', 'a b.bin')).stdoutBytes.equals(bytes)).toBe(true);
    engine.answer(`GET /v1/codebases/${CODEBASE_ID}/files?pathHex=ff`, bytes);
    expect((await ask('cat', 'app', '--path-hex', 'ff')).stdoutBytes.equals(bytes)).toBe(true);
  });

  test('a path that was no UTF-8 in the shell asks for its bytes: they were lost on the way', async () => {
    expect(await ask('cat', 'app', 'src/\ufffdbad.txt')).toMatchObject({ code: 64, stderr: expect.stringContaining('--path-hex') as string });
  });

  test('cat fails when the file breaks off', async () => {
    engine.answerBy(`GET /v1/codebases/${CODEBASE_ID}/files/big`, (_, response) => {
      response.writeHead(200, { 'content-length': 1_000 });
      response.write(Buffer.alloc(10, 'x'), () => response.destroy());
    });
    const ran = await ask('cat', 'app', 'big');
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('broke off');
    expect(ran.stderr).toContain('of 1.0 kB');
  });

  test('cat ends quietly when nobody reads any more', async () => {
    let hasStopped = () => {};
    const stopped = new Promise<void>((resolve) => { hasStopped = resolve; });
    engine.answerBy(`GET /v1/codebases/${CODEBASE_ID}/files/endless`, (_, response) => {
      response.on('close', hasStopped);
      const more = () => { if (!response.destroyed && response.write(Buffer.alloc(65_536))) setImmediate(more); };
      response.on('drain', more);
      more();
    });
    let left = 3;
    const stdout = new Writable({ write(_piece, _encoding, done) { left -= 1; done(left > 0 ? null : Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })); } });
    const stderr = sink();
    const ran = await tekai(['cat', 'app', 'endless'], { url: engine.url, stdout, stderr });
    expect({ code: ran.code, stderr: stderr.written().toString() }).toEqual({ code: 0, stderr: '' });
    await stopped;
  });
});

describe('status, tail, parked', () => {
  const detail = codebaseAnswer({ refs: 1, head: receiptAnswer(), parked: [], unfolded: 0 });

  test('status shows how fresh each codebase is, and which are set aside', async () => {
    engine.answer(`GET /v1/codebases/${CODEBASE_ID}`, { ...detail, parked: [{ group: 'fetcher', reason: 'no such thing', since: TIME, type: 'push.received', facts: 2 }] });
    const ran = await ask('status');
    expect(ran.stdout).toMatch(/team\/app +main 00990f0085 +1 +5 min ago +5 min ago +installed +hook +parked\n$/);
    expect(ran.stderr).toContain('tekai redrive');
  });

  test('status of one tells its refs and last syncs', async () => {
    engine.answer(`GET /v1/codebases/${CODEBASE_ID}`, detail);
    engine.answer(`GET /v1/codebases/${CODEBASE_ID}/refs`, { defaultRef: 'refs/heads/main', refs: [{ ...receiptAnswer(), commitTime: TIME, sync: syncAnswer().id }] });
    engine.answer(`GET /v1/syncs?codebase=${CODEBASE_ID}&limit=5`, { syncs: [syncAnswer({ state: 'failed', reason: 'object-missing', detail: 'blob x' })] });
    const { stdout, code } = await ask('status', 'APP');
    expect(code).toBe(0);
    expect(stdout).toContain('state         in sync\n');
    expect(stdout).toMatch(/main +failed +5 min ago +object-missing: blob x\n$/);
    engine.answer(`GET /v1/codebases/${CODEBASE_ID}`, { ...detail, state: 'archived' });
    expect((await ask('status', 'APP')).stdout).toMatch(/state {9}archived\n[^]*watched by {4}nobody/);
  });

  test('tail prints facts as they come, a line each', async () => {
    engine.live((line) => {
      line.send({ op: 'subscribed', ch: line.ch, position: 'e-0', recovered: true });
      line.send({ op: 'pub', ch: line.ch, position: 'e-1', previous: 'e-0', type: 'sync.requested', id: CODEBASE_ID, time: TIME, key: CODEBASE_ID, data: { codebaseId: CODEBASE_ID, ref: 'refs/heads/main', command: { id: 'k', digest: 'a'.repeat(64) } } });
      line.close(4_501, 'enough');
    });
    const ran = await ask('tail', 'team/app', '--since', 'e-0');
    expect(ran.stdout).toBe(`${TIME}  sync.requested        team/app  main\n`);
    expect(engine.subscribed).toEqual(['e-0']);
    expect(ran.code).toBe(77);
  });

  test('source webhook shows what to enter in GitLab, for a project, a group and all of it', async () => {
    const hook = { url: 'https://tekai.example.com/webhooks/gitlab/1', secretToken: 'a-secret', signingToken: 'whsec_x', where: 'Settings', triggers: ['Push events'], group: { where: 'Group settings', triggers: ['Member events'] }, system: { where: 'Admin', triggers: ['Repository update events'] } };
    engine.answer(`GET /v1/sources/${SOURCE_ID}/manual-hook`, hook);
    const ran = await ask('source', 'webhook', 'work');
    for (const shown of [hook.url, 'a-secret', 'whsec_x', 'Settings', 'Group settings', 'Member events', 'Admin', 'Repository update events']) expect(ran.stdout).toContain(shown);
    expect(JSON.parse((await ask('source', 'webhook', 'work', '--json')).stdout)).toEqual(hook);
  });

  test('source rotate-secret asks for new webhook secrets, and says how long the ones before are good', async () => {
    engine.answer(`POST /v1/sources/${SOURCE_ID}/rotate-secret`, { id: SOURCE_ID, name: 'work', state: 'active', revision: 1, changed: ['webhook-secret'] });
    expect(await ask('source', 'rotate-secret', 'work')).toMatchObject({ code: 0, stdout: expect.stringContaining('refused once all have them') });
  });

  test('tail of who is no system admin names what they may read, and says whom "everything" is for', async () => {
    engine.answer('GET /v1/sources', problem(403, 'not-allowed', 'This is for a system admin.'), { status: 403 });
    engine.live((line) => {
      line.send({ op: 'subscribed', ch: line.ch, position: 'e-0', recovered: true });
      line.send({ op: 'pub', ch: line.ch, position: 'e-1', previous: 'e-0', type: 'project.member-added', id: CODEBASE_ID, time: TIME, key: SOURCE_ID, data: {} });
      line.send({ op: 'error', code: 'access-lost', ch: line.ch, detail: 'You may no longer listen to this.' });
    });
    const ran = await ask('tail', '--project', SOURCE_ID);
    expect([ran.code, ran.stdout, ran.stderr]).toEqual([77, expect.stringContaining('project.member-added'), expect.stringContaining('You may no longer listen to this.')]);
    engine.live((line) => { line.send({ op: 'error', code: 'not-allowed', ch: line.ch, detail: 'The channel "all" is for a system admin.' }); });
    expect(await ask('tail')).toMatchObject({ code: 77, stderr: expect.stringContaining('for a system admin') });
  });

  test('tail of a project listens to its channel; what is no id, or a codebase besides, is told at once', async () => {
    const channels: string[] = [];
    engine.live((line) => { channels.push(line.ch); line.close(4_501, 'enough'); });
    expect((await ask('tail', '--project', SOURCE_ID)).code).toBe(77);
    expect(channels).toEqual([`project:${SOURCE_ID}`]);
    expect((await ask('tail', '--project', 'mine')).code).toBe(64);
    expect((await ask('tail', 'team/app', '--project', SOURCE_ID)).code).toBe(64);
  });

  test('what is parked of another kind than a codebase is redriven by its id', async () => {
    engine.answer(`POST /v1/parked/projector/${SOURCE_ID}/redrive`, { group: 'projector', key: SOURCE_ID, facts: 1 }, { status: 202 });
    expect(await ask('redrive', 'projector', SOURCE_ID, '--json')).toMatchObject({ code: 0, stdout: expect.stringContaining('"facts": 1') as string });
  });

  test('parked work is listed, and redriven by a codebase\'s name', async () => {
    engine.answer('GET /v1/parked', { parked: [{ group: 'fetcher', key: CODEBASE_ID, reason: 'the sync failed 5 times', since: TIME, position: 'e-1', type: 'sync.failed', facts: 3 }] });
    expect((await ask('parked')).stdout).toContain('fetcher  185fe316-16af-54a3-9621-4de504c6d4d6  5 min ago  sync.failed  3 facts  the sync failed 5 times\n');
    engine.answer(`POST /v1/parked/fetcher/${CODEBASE_ID}/redrive`, { group: 'fetcher', key: CODEBASE_ID, facts: 3 }, { status: 202 });
    expect(await ask('redrive', 'fetcher', 'app')).toMatchObject({ code: 0, stdout: `3 facts of ${CODEBASE_ID} are worked on again by fetcher.\n` });
  });
});
