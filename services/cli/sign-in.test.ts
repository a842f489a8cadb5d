import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { scriptedEngine, TIME, type ScriptedEngine } from '#shared/api-client/scripted-engine.fixture.ts';
import type { Input } from './ask-secret.ts';
import { tekai, temporaryFolder } from './cli-run.fixture.ts';

const USER = { id: '00000000-0000-4000-8000-000000000001', name: 'ann', isSystemAdmin: false };
const MADE = { id: 'the-token-id', name: 'cli', scope: 'admin', createdAt: TIME, expiresAt: '2026-12-29T12:00:00.000Z', lastUsedAt: null };
const problem = (status: number, code: string) => ({ type: 'x', title: 'x', status, code, detail: `It is ${code}.` });

let engine: ScriptedEngine;
let home: ReturnType<typeof temporaryFolder>;
beforeEach(async () => {
  engine = await scriptedEngine();
  home = temporaryFolder();
  engine.answer('POST /v1/auth/login', { accessToken: 'a.b.c', expiresInSeconds: 600, refreshToken: 'tekai_rt_x', user: USER });
  engine.answer('POST /v1/tokens', { ...MADE, token: 'tekai_pat_kept' });
  engine.answer('POST /v1/auth/logout', {});
  engine.answer('DELETE /v1/tokens/the-token-id', {});
  engine.answer('GET /v1/whoami', { kind: 'personal-token', user: { id: USER.id, name: 'ann' }, isSystemAdmin: false, scope: 'admin' });
});
afterEach(async () => { await engine.stop(); home.remove(); });

const run = (words: string[], typed = '') => {
  const stdin = new PassThrough();
  stdin.end(typed);
  return tekai(words, { env: { TEKAI_URL: engine.url, HOME: home.folder }, stdin: stdin as Input });
};
const file = () => path.join(home.folder, '.config', 'tekai', 'sign-ins.json');

test('who signs in stays so by a personal token that only they can read; what was typed is kept nowhere', async () => {
  const ran = await run(['login', 'ann'], 'correct horse\n');
  expect(ran).toMatchObject({ code: 0, stdout: `You are ann at ${engine.url}, until 2026-12-29.\n` });
  expect(engine.asked.map(({ method, url }) => `${method} ${url}`)).toEqual(['POST /v1/auth/login', 'POST /v1/tokens', 'POST /v1/auth/logout']);
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({ [engine.url]: { name: 'ann', tokenId: 'the-token-id', token: 'tekai_pat_kept', expiresAt: MADE.expiresAt } });
  expect(`${ran.stdout}${ran.stderr}${readFileSync(file(), 'utf8')}`).not.toMatch(/correct horse|a\.b\.c|tekai_rt/);
  expect((await run(['whoami'])).stdout).toContain('ann (by personal token, for admin; what "tekai login ann" has kept');
  expect(engine.asked.at(-1)?.headers.authorization).toBe('Bearer tekai_pat_kept');
});

test('a one-time password has them choose another', async () => {
  let tries = 0;
  engine.answerBy('POST /v1/auth/login', (_request, response) => {
    tries += 1;
    const isFirst = tries === 1;
    response.writeHead(isFirst ? 403 : 200, { 'content-type': isFirst ? 'application/problem+json' : 'application/json' });
    response.end(JSON.stringify(isFirst ? problem(403, 'password-to-be-chosen') : { accessToken: 'a.b.c', expiresInSeconds: 600, refreshToken: 'tekai_rt_x', user: USER }));
  });
  expect(await run(['login', 'ann'], 'once\nlong enough for me\n')).toMatchObject({ code: 0 });
  expect(engine.asked.filter(({ url }) => url === '/v1/auth/login').map(({ body }) => JSON.parse(body))).toEqual([{ name: 'ann', password: 'once' }, { name: 'ann', password: 'once', newPassword: 'long enough for me' }]);
});

test('who signs in by a GitLab is given an address, and types the code that the page shows; a slip is asked again, and nothing else is kept', async () => {
  const url = 'https://gitlab.example.com/oauth/authorize?state=x';
  engine.answer('GET /v1/auth/providers', { providers: [{ id: USER.id, name: 'work', kind: 'gitlab' }] });
  engine.answer(`POST /v1/auth/gitlab/${USER.id}`, { url, handle: 'tekai_sih_x', expiresInSeconds: 600 });
  let tries = 0;
  engine.answerBy(`POST /v1/auth/gitlab/${USER.id}/session`, (_request, response) => {
    tries += 1;
    const isSlip = tries === 1;
    response.writeHead(isSlip ? 401 : 200, { 'content-type': isSlip ? 'application/problem+json' : 'application/json' });
    response.end(JSON.stringify(isSlip ? problem(401, 'code-wrong') : { accessToken: 'a.b.c', expiresInSeconds: 600, refreshToken: 'tekai_rt_x', user: USER }));
  });
  const ran = await run(['login', '--gitlab', 'Work'], 'slip\nabcdef-ghjkmn\n');
  expect(ran).toMatchObject({ code: 0, stdout: `You are ann at ${engine.url}, until 2026-12-29.\n`, stderr: expect.stringContaining(`\n  ${url}\n`) });
  expect(engine.asked.filter(({ url: at }) => at.endsWith('/session')).map(({ body }) => JSON.parse(body))).toEqual([{ handle: 'tekai_sih_x', code: 'slip' }, { handle: 'tekai_sih_x', code: 'abcdef-ghjkmn' }]);
  expect(engine.asked.at(-1)?.url).toBe('/v1/auth/logout');
  expect(`${ran.stdout}${ran.stderr}${readFileSync(file(), 'utf8')}`).not.toMatch(/tekai_sih|a\.b\.c|tekai_rt/);
  expect(await run(['login', '--gitlab', 'wrok'])).toMatchObject({ code: 1, stderr: expect.stringContaining('Did you mean "work"?') });
  for (const words of [['login'], ['login', 'ann', '--gitlab', 'work']]) expect(await run(words)).toMatchObject({ code: 64, stderr: expect.stringContaining('Who are you?') });
});

test('who signs out is forgotten here and there; who was not signed in is told so', async () => {
  await run(['login', 'ann'], 'correct horse\n');
  expect(await run(['logout'])).toMatchObject({ code: 0, stderr: expect.stringContaining('signed out') });
  expect(engine.asked.at(-1)).toMatchObject({ method: 'DELETE', url: '/v1/tokens/the-token-id' });
  expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({});
  expect(await run(['logout'])).toMatchObject({ code: 0, stderr: expect.stringContaining('Nobody was signed in') });
});
