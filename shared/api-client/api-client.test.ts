import { createApiClient, type ApiClient } from './api-client.ts';
import { ApiProblem, EngineUnreachable, UnexpectedAnswer } from './api-errors.ts';
import { CODEBASE_ID, codebaseAnswer, COMMIT, problem, receiptAnswer, scriptedEngine, SOURCE_ID, TOKEN, TREE, type ScriptedEngine } from './scripted-engine.fixture.ts';

let engine: ScriptedEngine;
let client: ApiClient;

beforeEach(async () => {
  engine = await scriptedEngine();
  client = createApiClient({ url: engine.url, token: TOKEN });
});
afterEach(() => engine.stop());

async function bytesOf(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces);
}

test('every call carries the token', async () => {
  engine.answer('GET /v1/sources', { sources: [] });
  expect(await client.sources()).toEqual([]);
  expect(engine.asked[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`);
});

test('a command carries an Idempotency-Key, and each its own', async () => {
  engine.answer(`POST /v1/codebases/${CODEBASE_ID}/syncs`, { cause: CODEBASE_ID, sync: null, url: '/v1/syncs?cause=x' }, { status: 202 });
  await client.requestSync(CODEBASE_ID, { ref: 'refs/heads/main' });
  await client.requestSync(CODEBASE_ID);
  const [first, second] = engine.asked.map((one) => one.headers['idempotency-key']);
  expect(first).toMatch(/^[0-9a-f-]{36}$/);
  expect(second).not.toBe(first);
  expect(engine.asked.map((one) => one.body)).toEqual(['{"ref":"refs/heads/main"}', '{}']);
});

test('a problem comes with its status, code, detail, fields and the request\'s id', async () => {
  engine.answer('POST /v1/codebases', problem(422, 'project-absent', 'GitLab shows no such project.', { errors: [{ pointer: '/gitlabProject', detail: 'not found' }] }), { status: 422, headers: { 'content-type': 'application/problem+json', 'retry-after': '10' } });
  const error = await client.addCodebase({ sourceId: SOURCE_ID, gitlabProject: 'a/b' }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ApiProblem);
  expect(error).toMatchObject({ status: 422, code: 'project-absent', message: 'GitLab shows no such project.', errors: [{ pointer: '/gitlabProject', detail: 'not found' }], retryAfterS: 10, requestId: '49fe7e5c-5a79-4b4f-9d0a-000000000000' });
});

test('an error page of something else says that this may not be the engine', async () => {
  engine.answerBy('GET /v1/sources', (_, response) => { response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad gateway</h1>'); });
  await expect(client.sources()).rejects.toMatchObject({ status: 502, code: 'no-problem-told', message: expect.stringContaining('does not speak like the engine ("<h1>Bad gateway</h1>")') as string });
});

test('where nobody answers, it says whether the engine is up', async () => {
  await engine.stop();
  const error = await client.sources().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(EngineUnreachable);
  expect((error as Error).message).toBe(`Nothing answers at ${engine.url} (connection refused). Is the engine up? Start it with "tekai up", or say where it is with --url or TEKAI_URL.`);
  engine = await scriptedEngine();
});

test('an answer of another shape names what is wrong in it', async () => {
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [codebaseAnswer({ hook: { state: 'dancing', reason: null, isSigned: null } })], next: null });
  const reading = (async () => { for await (const _one of client.codebases()) { /* the first page is enough */ } })();
  await expect(reading).rejects.toThrow(UnexpectedAnswer);
  await expect(reading).rejects.toThrow(/codebases\.0\.hook\.state/);
});

test('fields that are newer than this program do no harm', async () => {
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [codebaseAnswer({ weather: 'fine' })], next: null, extra: 1 });
  for await (const one of client.codebases()) expect(one.path).toBe('team/app');
});

test('all pages of a listing are read', async () => {
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [codebaseAnswer({ path: 'a/1' })], next: '/v1/codebases?after=x&limit=1000' });
  engine.answer('GET /v1/codebases?after=x&limit=1000', { codebases: [codebaseAnswer({ path: 'a/2' })], next: null });
  const paths: (string | null)[] = [];
  for await (const one of client.codebases()) paths.push(one.path);
  expect(paths).toEqual(['a/1', 'a/2']);
});

test.each([
  ['src/a file#1?100%.ts', '/src/a%20file%231%3F100%25.ts'],
  ['/src//main.ts', '/src/main.ts'],
  ['src/../main.ts', `?pathHex=${Buffer.from('src/../main.ts').toString('hex')}`],
  [{ hex: 'c3a9ff' }, '?pathHex=c3a9ff'],
])('the path %j arrives as it is', async (path, arrives) => {
  engine.answer(`GET /v1/codebases/${CODEBASE_ID}/files${arrives}`, Buffer.from([0, 255, 10]), { headers: { 'x-tekai-commit': COMMIT, 'x-tekai-tree': TREE, 'x-tekai-ref': 'refs/heads/f%C3%A9', 'x-tekai-mode': '100644', 'x-tekai-entry': 'file' } });
  const file = await client.file(CODEBASE_ID, path);
  expect(await bytesOf(file.content)).toEqual(Buffer.from([0, 255, 10]));
  expect(file).toMatchObject({ commit: COMMIT, tree: TREE, ref: 'refs/heads/fé', type: 'file', mode: '100644', bytes: 3 });
});

test('a version is asked for by ref and moment', async () => {
  engine.answer(`GET /v1/codebases/${CODEBASE_ID}/tree/src?ref=feature%2Fx&at=${COMMIT}`, { receipt: receiptAnswer(), path: 'src', tree: TREE, total: 1, entries: [{ name: 'a', type: 'folder', mode: '040000', id: TREE, files: 2, bytes: 10 }], next: null });
  for await (const page of client.tree(CODEBASE_ID, 'src', { ref: 'feature/x', at: COMMIT })) expect(page.entries[0]?.files).toBe(2);
});

test('a file that breaks off is not taken for the whole', async () => {
  engine.answerBy(`GET /v1/codebases/${CODEBASE_ID}/files/big`, (_, response) => {
    response.writeHead(200, { 'content-length': 1_000 });
    response.write(Buffer.alloc(10), () => response.destroy());
  });
  const file = await client.file(CODEBASE_ID, 'big');
  await expect(bytesOf(file.content)).rejects.toThrow();
});

test('an engine behind a path of a proxy is asked below that path', async () => {
  engine.answer('GET /tekai/v1/sources', { sources: [] });
  expect(await createApiClient({ url: `${engine.url}/tekai/`, token: TOKEN }).sources()).toEqual([]);
});
