import { existsSync } from 'node:fs';
import path from 'node:path';
import { CODEBASE_ID, codebaseAnswer, COMMIT, receiptAnswer, scriptedEngine, TIME, TREE, type ScriptedEngine } from '#shared/api-client/scripted-engine.fixture.ts';
import { tekai, temporaryFolder } from './cli-run.fixture.ts';

let engine: ScriptedEngine;
const { folder, remove } = temporaryFolder();
beforeEach(async () => {
  engine = await scriptedEngine();
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [codebaseAnswer()], next: null });
});
afterEach(() => engine.stop());
afterAll(remove);

const ask = (...words: string[]) => tekai(words, { url: engine.url });
const leaf = { type: 'file', mode: '100644', id: TREE };
const page = (changes: object[], more: object = {}) => ({ from: receiptAnswer(), to: receiptAnswer(), areRenamesFound: true, counts: null, changes, next: null, ...more });
const under = `GET /v1/codebases/${CODEBASE_ID}`;

test('diff prints all pages, and a name cannot act on the terminal', async () => {
  engine.answer(`${under}/changes?from=v1&to=main&renames=true&limit=1000`, page([{ status: 'added', path: 'a\nb', from: null, to: leaf }], { next: '/next' }));
  engine.answer('GET /next', page([{ status: 'renamed', path: 'new', renamedFrom: 'old', from: leaf, to: leaf }]));
  expect(await ask('diff', 'app', 'v1', 'main')).toMatchObject({ code: 0, stdout: 'A  a\\nb\nR  old -> new\n' });
});

test('diff says when renames were not looked for', async () => {
  engine.answer(`${under}/changes?from=v1&renames=true&limit=1000`, page([], { areRenamesFound: false }));
  expect((await ask('diff', 'app', 'v1')).stderr).toContain('Too much changed to look for renames');
});

test('stats shows what was not counted as such', async () => {
  engine.answer(`${under}/stats?path=src`, { receipt: receiptAnswer(), path: 'src', tree: TREE, files: 3, bytes: 2_000, languages: [{ name: 'Go', files: null, bytes: 2_000, lines: null }] });
  expect((await ask('stats', 'app', 'src')).stdout).toMatch(/Go +\? +2\.0 kB +\?\neverything +3 +2\.0 kB\n/);
});

test('an archive that is cut leaves no file, and says so', async () => {
  engine.answerBy(`${under}/archive?format=tar`, (_, response) => {
    response.writeHead(200, { 'x-tekai-commit': COMMIT, 'x-tekai-ref': 'refs/heads/main' }).write(Buffer.alloc(10_000));
    setImmediate(() => response.destroy());
  });
  const file = path.join(folder, 'app.tar');
  const ran = await ask('archive', 'app', '-o', file);
  expect([ran.code, existsSync(file), existsSync(`${file}.part`)]).toEqual([1, false, false]);
  expect(ran.stderr).toMatch(/The archive broke off after .*Nothing was written/);
});

test('where says what is still there, and when the truth is not whole', async () => {
  const moment = { commit: COMMIT, storedAt: TIME, position: 'e-1' };
  engine.answer(`GET /v1/objects/${TREE}/occurrences`, {
    object: TREE, occurrences: [{ codebase: CODEBASE_ID, ref: 'refs/heads/main', path: 'a', from: moment, to: null }],
    unfinished: [{ codebase: CODEBASE_ID, ref: 'refs/heads/old', position: 'e-1', reason: 'trees' }], treesRead: 1, isComplete: false, next: null,
  });
  const ran = await ask('where', TREE);
  expect(ran.stdout).toMatch(/team\/app +main +a +00990f0085, \S+ +still there\n/);
  expect(ran.stderr).toContain('Not the whole truth: the history of 1 refs');
  expect((await ask('where', 'app')).code).toBe(64);
});
