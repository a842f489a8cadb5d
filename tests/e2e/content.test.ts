import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { BatchLine } from '#schemas/api/batch.ts';
import { changesAnswer, type ChangesAnswer } from '#schemas/api/changes.ts';
import { occurrencesPage, type OccurrencesPage } from '#schemas/api/occurrences.ts';
import { statsAnswer } from '#schemas/api/stats.ts';
import { createApiClient, type ApiClient } from '#shared/api-client/api-client.ts';
import { programOf } from '../harness/program.ts';
import { makeRepository, type Entry, type Repository } from '../harness/repository.ts';
import { escape } from '../harness/same-as-git.ts';
import { startSystem, until, untilStored, type System } from '../harness/system.ts';

const MAIN = 'refs/heads/main';
const LFS = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 12345\n`;
const SUBMODULE = '1234567890123456789012345678901234567890';
const LATIN1 = Buffer.from([0x64, 0x2f, 0xe9, 0xff]);
const LONG = `${'n'.repeat(200)}/${'m'.repeat(200)}`;
const ODD: Entry[] = [
  { path: 'sub/module', mode: '160000', id: SUBMODULE }, { path: 'link', mode: '120000', content: 'src/a.ts' }, { path: 'run.sh', mode: '100755', content: '#!/bin/sh\n' },
  { path: 'big.psd', content: LFS }, { path: 'bin', content: Buffer.from([0, 1, 2, 255]) }, { path: 'empty', content: '' }, { path: LATIN1, content: 'latin1' }, { path: LONG, content: 'long' },
  { path: 'percent%2Fname', content: 'percent' }, { path: 'src/a.ts', content: 'one\ntwo\nthree\n' }, { path: 'src/b.py', content: 'x = 1\n' }, { path: 'src/deep/c.ts', content: 'c' },
];

let system: System;
let client: ApiClient;
let repository: Repository;
let codebase: string;
let fork: string;
const commits: string[] = [];
let forked: string;

beforeAll(async () => {
  system = await startSystem();
  client = createApiClient({ url: system.url, token: system.token });
  repository = await makeRepository();
  const { id } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'content' });
  repository.git('remote', 'add', 'origin', system.gitlab.remote('root/content'));
  codebase = '';
  for (const entries of [
    ODD,
    [{ path: 'src/a.ts' }, { path: 'moved/a.ts', content: 'one\ntwo\nthree\n' }, { path: 'run.sh', mode: '100644', content: '#!/bin/sh\n' }],
    [{ path: 'src/b.py', content: 'x = 2\n' }, { path: 'again', content: 'one\ntwo\nthree\n' }, { path: 'sub/module', mode: '160000', id: SUBMODULE.replace('1', '9') }],
    [{ path: 'moved/a.ts' }, { path: 'link', content: 'no link any more' }],
  ] satisfies Entry[][]) {
    const commit = repository.commit('main', entries);
    repository.git('push', '-q', 'origin', 'main');
    if (codebase === '') codebase = await system.follow(id);
    await untilStored(system, codebase, MAIN, commit);
    commits.push(commit);
  }
  const copy = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'fork', forkOf: id });
  fork = await system.follow(copy.id);
  repository.git('remote', 'add', 'fork', system.gitlab.remote('root/fork'));
  forked = repository.commit('feature', [{ path: 'only/in/fork', content: 'fork' }, { path: 'x', content: 'one\ntwo\nthree\n' }], { parent: commits[0]! });
  repository.git('push', '-q', 'fork', 'feature');
  await untilStored(system, fork, 'refs/heads/feature', forked);
}, 300_000);
afterAll(async () => { await system.stop(); });

const under = (what: string, of = codebase) => `/v1/codebases/${of}/${what}`;
const get = (what: string, headers: Record<string, string> = {}) => system.ask('GET', under(what), { headers });
const first = () => commits[0]!;
const codeOf = (answer: { json<T>(): T }) => answer.json<{ code: string }>().code;

describe('a file', () => {
  const file = (name: Buffer | string, headers: Record<string, string> = {}) => get(`files/${escape(Buffer.from(name))}?at=${first()}`, headers);
  const idOf = (name: string) => repository.git('rev-parse', `${first()}:${name}`);

  test('has its blob id as ETag, its type by what was found in it, and its name', async () => {
    const answer = await file('src/a.ts');
    expect([answer.status, answer.bytes.toString()]).toEqual([200, 'one\ntwo\nthree\n']);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      etag: `"${idOf('src/a.ts')}"`, 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff', 'content-disposition': 'inline; filename="a.ts"',
      'accept-ranges': 'bytes', 'content-length': '14', 'x-tekai-entry': 'file', 'x-tekai-commit': first(),
    });
    expect((await file('bin')).headers.get('content-type')).toBe('application/octet-stream');
    expect((await file('run.sh')).headers.get('x-tekai-entry')).toBe('executable');
    expect((await file('src/a.ts', { 'if-none-match': `"${idOf('src/a.ts')}"` })).status).toBe(304);
    expect((await file('src/a.ts', { 'if-none-match': '"other"' })).status).toBe(200);
    const head = await system.ask('HEAD', under(`files/src/a.ts?at=${first()}`));
    expect([head.status, head.headers.get('content-length'), head.headers.get('etag')]).toEqual([200, '14', `"${idOf('src/a.ts')}"`]);
  });

  test.each<[string, number, string, string | null]>([
    ['bytes=0-2', 206, 'one', 'bytes 0-2/14'], ['bytes=4-', 206, 'two\nthree\n', 'bytes 4-13/14'], ['bytes=-3', 206, 'ee\n', 'bytes 11-13/14'], ['bytes=8-99', 206, 'three\n', 'bytes 8-13/14'],
    ['bytes=0-0,5-6', 200, 'one\ntwo\nthree\n', null], ['bytes=5-2', 200, 'one\ntwo\nthree\n', null], ['lines=1-2', 200, 'one\ntwo\nthree\n', null],
  ])('answers Range: %s with %i', async (range, status, body, contentRange) => {
    const answer = await file('src/a.ts', { range });
    expect([answer.status, answer.bytes.toString(), answer.headers.get('content-range')]).toEqual([status, body, contentRange]);
  });

  test('has no bytes behind its end: 416; and If-Range keeps to one content', async () => {
    const outside = await file('src/a.ts', { range: 'bytes=14-' });
    expect([outside.status, codeOf(outside), outside.headers.get('content-range')]).toEqual([416, 'range-outside', 'bytes */14']);
    // The tag is that of the content, not of a problem.
    expect(outside.headers.get('etag')).not.toContain(idOf('src/a.ts'));
    expect((await file('empty', { range: 'bytes=0-' })).status).toBe(416);
    expect((await file('src/a.ts', { range: 'bytes=0-2', 'if-range': `"${idOf('src/a.ts')}"` })).status).toBe(206);
    expect((await file('src/a.ts', { range: 'bytes=0-2', 'if-range': `W/"${idOf('src/a.ts')}"` })).status).toBe(200);
    expect((await file('src/a.ts', { range: 'bytes=0-2', 'if-range': '"other"' })).status).toBe(200);
  });

  test('says that it is a link, a pointer or a submodule', async () => {
    const link = await file('link');
    expect([link.bytes.toString(), link.headers.get('x-tekai-entry')]).toEqual(['src/a.ts', 'symlink']);
    const pointer = await file('big.psd');
    expect([pointer.bytes.toString(), pointer.headers.get('x-tekai-lfs-pointer')]).toEqual([LFS, 'true']);
    expect((await file('src/a.ts')).headers.get('x-tekai-lfs-pointer')).toBeNull();
    const submodule = await file('sub/module');
    expect([submodule.status, codeOf(submodule), submodule.headers.get('x-tekai-submodule-commit')]).toEqual([422, 'is-a-submodule', SUBMODULE]);
    expect(submodule.json<{ detail: string }>().detail).toContain(SUBMODULE);
  });

  test('is found under any name, or clearly not', async () => {
    expect((await file(LATIN1)).bytes.toString()).toBe('latin1');
    expect((await file(LATIN1)).headers.get('content-disposition')).toMatch(/^inline; filename="__"; filename\*=UTF-8''%EF%BF%BD/);
    expect((await file(LONG)).bytes.toString()).toBe('long');
    expect((await get(`files?pathHex=${LATIN1.toString('hex')}&at=${first()}`)).bytes.toString()).toBe('latin1');
    for (const [where, status, code] of [
      ['files/src', 404, 'is-a-folder'], ['files', 404, 'is-a-folder'], ['files/src%2Fdeep', 404, 'is-a-folder'], ['tree/src/a.ts', 404, 'not-a-folder'], ['tree/src/a.ts/b', 404, 'no-such-path'], ['files/src/a.ts/b', 404, 'no-such-path'],
      ['files/src/..%2Fempty', 404, 'no-such-path'], ['files/percent%2Fname', 404, 'no-such-path'], [`files/${'x'.repeat(8_192)}`, 404, 'no-such-path'], [`files/${'x'.repeat(8_193)}`, 400, 'path-too-long'],
      ['files/%zz', 400, 'bad-escape'], ['files?pathHex=6', 400, 'path-malformed'], ['tree/sub/module', 404, 'not-a-folder'],
    ] as const) {
      const answer = await get(`${where}${where.includes('?') ? '&' : '?'}at=${first()}`);
      expect([where, answer.status, codeOf(answer)]).toEqual([where, status, code]);
    }
    expect((await get(`files/percent%252Fname?at=${first()}`)).bytes.toString()).toBe('percent');
    expect((await get(`files//src//a.ts?at=${first()}`)).status).toBe(200);
  });

  test('whose name has a zero byte is in no tree', async () => {
    const answer = await get(`files/%00?at=${first()}`);
    expect([answer.status, codeOf(answer)]).toEqual([404, 'no-such-path']);
  });
});

describe('changes', () => {
  /** A line a change, as of git, for the answers of any number of pages. */
  async function changes(query: string, of = codebase): Promise<{ lines: string[]; pages: ChangesAnswer[] }> {
    const pages: ChangesAnswer[] = [];
    for (let next: string | null = under(`changes?${query}`, of); next !== null; next = pages.at(-1)!.next) pages.push(changesAnswer.parse((await system.ask('GET', next)).json()));
    const lines = pages.flatMap((page) => page.changes).map(({ path: text, pathHex, from, to }) =>
      `${from?.mode ?? '000000'} ${to?.mode ?? '000000'} ${from?.id ?? '0'.repeat(40)} ${to?.id ?? '0'.repeat(40)} ${pathHex ?? Buffer.from(text).toString('hex')}`);
    return { lines, pages };
  }
  function byGit(from: string, to: string): string[] {
    const fields = repository.gitBytes(['diff-tree', '-r', '--no-renames', '-z', from, to]).toString('latin1').split('\0');
    return Array.from({ length: (fields.length - 1) / 2 }, (_, n) => `${fields[n * 2]!.slice(1).replace(/ [A-Z]$/, '')} ${Buffer.from(fields[n * 2 + 1]!, 'latin1').toString('hex')}`);
  }

  test('between any two versions are those of git diff-tree, whatever the page', async () => {
    for (const from of commits) for (const to of commits) for (const limit of [1, 3, 1_000]) {
      const { lines, pages } = await changes(`from=${from}&to=${to}&renames=false&limit=${limit}`);
      expect(lines).toEqual(byGit(from, to));
      expect(pages.every((page) => page.from.commit === from && page.to.commit === to && page.changes.length <= limit)).toBe(true);
    }
  });

  test('of a fork, by its own id, and by positions, times and refs', async () => {
    const other = await changes(`fromCodebase=${fork}&from=feature&to=${commits[3]}&renames=false&limit=2`);
    expect(other.lines).toEqual(byGit(forked, commits[3]!));
    expect(other.pages[0]).toMatchObject({ from: { codebase: fork, ref: 'refs/heads/feature', commit: forked }, to: { codebase, ref: MAIN } });
    const { versions } = (await get('versions')).json<{ versions: { commit: string; position: string; storedAt: string }[] }>();
    const second = versions.find((version) => version.commit === commits[1])!;
    for (const moment of [second.position, second.storedAt]) expect((await changes(`from=${encodeURIComponent(moment)}&renames=false`)).lines).toEqual(byGit(commits[1]!, commits[3]!));
    expect((await changes('from=main&to=main')).lines).toEqual([]);
  });

  test('name what was renamed, what got another mode, and how many there are', async () => {
    const { pages: [page] } = await changes(`from=${first()}&to=${commits[1]}`);
    expect(page).toMatchObject({ areRenamesFound: true, counts: { renamed: 1, modeChanged: 1, added: 0, removed: 0, modified: 0 } });
    expect(page?.changes.map(({ status, path: to, renamedFrom }) => [status, to, renamedFrom])).toEqual([['renamed', 'moved/a.ts', 'src/a.ts'], ['modeChanged', 'run.sh', undefined]]);
    const paged = await changes(`from=${first()}&to=${commits[1]}&limit=1`);
    expect(paged.pages.map(({ counts, changes: some }) => [counts?.renamed, some[0]?.status])).toEqual([[1, 'renamed'], [1, 'modeChanged']]);
    const summary = (await get(`changes?from=${first()}&to=${commits[3]}&renames=false&summary=true`)).json<ChangesAnswer>();
    expect(Object.values(summary.counts!).reduce((sum, count) => sum + count, 0)).toBe(byGit(first(), commits[3]!).length);
    expect(summary.changes).toEqual([]);
  });

  test.each([['', 400, 'from-missing'], ['from=nowhere', 404, 'no-such-version'], [`from=${'0'.repeat(40)}`, 404, 'no-such-version'], ['from=main&renames=no', 400, 'switch-malformed'], ['from=main&after=zz', 400, 'path-malformed'], ['from=main&limit=0', 400, 'page-malformed'], ['from=main&fromCodebase=x', 404, 'codebase-unknown'], ['from=00000000-1', 410, 'position-of-another-log']])('asked with "%s" are %i %s', async (query, status, code) => {
    const answer = await get(`changes?${query}`);
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
  });
});

test('stats are the sums of what the scanner saw, of everything and of a folder', async () => {
  const all = statsAnswer.parse((await get(`stats?at=${first()}`)).json());
  expect(all).toMatchObject({ path: '', files: ODD.length - 1, languages: expect.arrayContaining([{ name: 'TypeScript', files: 2, bytes: 15, lines: 4 }, { name: 'Python', files: 1, bytes: 6, lines: 1 }]) as object });
  expect(await client.stats(codebase, 'src/deep', { at: first() })).toMatchObject({ path: 'src/deep', files: 1, bytes: 1, languages: [{ name: 'TypeScript', files: 1, bytes: 1, lines: 1 }], receipt: { commit: first() } });
  expect(codeOf(await get(`stats?path=src/a.ts&at=${first()}`))).toBe('not-a-folder');
  expect(codeOf(await get('stats?path=nowhere'))).toBe('no-such-path');
  expect(codeOf(await get('stats?path=a&pathHex=61'))).toBe('given-twice');
});

test('an archive is git archive of the commit, each time, whole or a folder, packed or not', async () => {
  const byGit = (...of: string[]) => repository.gitBytes(['-c', 'tar.umask=0002', 'archive', '--format=tar', ...of]);
  for (const commit of commits) {
    const answer = await get(`archive?at=${commit}`);
    expect([answer.headers.get('content-type'), answer.headers.get('x-tekai-commit')]).toEqual(['application/x-tar', commit]);
    expect(answer.bytes.equals(byGit(commit))).toBe(true);
    expect((await get(`archive?at=${commit}`, { 'if-none-match': answer.headers.get('etag')! })).status).toBe(304);
  }
  expect((await get(`archive?at=${first()}&path=src%2Fdeep`)).bytes.equals(byGit(first(), 'src/deep'))).toBe(true);
  expect((await get(`archive?at=${first()}&path=${escape(LATIN1)}`)).status).toBe(200);
  const packed = await get(`archive?at=${first()}&format=tar.gz`);
  expect(execFileSync('gzip', ['-dc'], { input: packed.bytes }).equals(byGit(first()))).toBe(true);
  expect(packed.headers.get('etag')).toMatch(/^W\//);
  expect(codeOf(await get('archive?format=zip'))).toBe('format-unknown');
  expect(codeOf(await get('archive?path=nowhere'))).toBe('no-such-path');
});

describe('a batch of files', () => {
  const batch = async (body: object, headers: Record<string, string> = {}) => system.ask('POST', under('files:batch'), { body, headers });

  test('gives each its content or its problem, in the order asked', async () => {
    const paths = ['src/a.ts', 'nowhere', 'src', { hex: LATIN1.toString('hex') }, 'sub/module', 'link', 'empty', 'src/a.ts'];
    const lines: BatchLine[] = [];
    for await (const line of client.filesBatch(codebase, paths, { at: first() })) lines.push(line);
    const brief = lines.map((line) => (line.kind === 'file' ? [line.path, line.type, Buffer.from(line.contentBase64, 'base64').toString()] : line.kind === 'problem' ? [line.path, line.problem.code] : [line.kind]));
    expect(brief).toEqual([['receipt'], ['src/a.ts', 'file', 'one\ntwo\nthree\n'], ['nowhere', 'no-such-path'], ['src', 'is-a-folder'], ['d/\ufffd\ufffd', 'file', 'latin1'], ['sub/module', 'is-a-submodule'], ['link', 'symlink', 'src/a.ts'], ['empty', 'file', ''], ['src/a.ts', 'file', 'one\ntwo\nthree\n'], ['end']]);
    expect(lines[0]).toMatchObject({ receipt: { commit: first() } });
    expect(lines.at(-1)).toEqual({ kind: 'end', told: paths.length, omitted: [] });
  });

  test('is refused when it is none, and for who is not known', async () => {
    for (const body of [{}, { paths: [] }, { paths: Array.from({ length: 1_001 }, () => 'a') }, { paths: ['a'], blobs: [] }]) expect(codeOf(await batch(body))).toBe('body-invalid');
    expect((await batch({ paths: ['a'] }, { authorization: 'Bearer wrong' })).status).toBe(401);
    expect(codeOf(await batch({ paths: ['a'], ref: 'nowhere' }))).toBe('no-such-version');
  });
});

describe('occurrences', () => {
  const pages = async (url: string) => {
    const all: OccurrencesPage[] = [];
    for (let next: string | null = url; next !== null; next = all.at(-1)!.next) all.push(occurrencesPage.parse((await system.ask('GET', next)).json()));
    return all;
  };

  test('tell every place of the bytes, in all codebases and refs, from when to when', async () => {
    const blob = repository.git('rev-parse', `${first()}:src/a.ts`);
    const found = (await pages(`/v1/objects/${blob}/occurrences`)).flatMap((page) => page.occurrences);
    const brief = found.map(({ codebase: of, ref, path: at, from, to }) => [of === codebase ? 'own' : 'fork', ref, at, from.commit, to?.commit ?? null].join(' '));
    const [one, two, three, four] = commits;
    expect(brief.filter((line) => line.startsWith('own')).sort()).toEqual([`own ${MAIN} again ${three} `, `own ${MAIN} moved/a.ts ${two} ${four}`, `own ${MAIN} src/a.ts ${one} ${two}`]);
    expect(brief).toEqual(expect.arrayContaining([`fork refs/heads/feature src/a.ts ${forked} `, `fork refs/heads/feature x ${forked} `]));
    const [only] = await pages(`/v1/objects/${blob}/occurrences?codebase=${codebase}`);
    expect(only).toMatchObject({ isComplete: true, unfinished: [], next: null });
    expect(only?.occurrences).toHaveLength(3);
  });

  test('of what is not here are none; of what is no id, a problem', async () => {
    expect(await pages(`/v1/objects/${'0'.repeat(40)}/occurrences`)).toMatchObject([{ occurrences: [], isComplete: true, treesRead: 0 }]);
    expect(codeOf(await system.ask('GET', '/v1/objects/abc/occurrences'))).toBe('object-malformed');
    expect(codeOf(await system.ask('GET', `/v1/objects/${'0'.repeat(40)}/occurrences?after=x`))).toBe('cursor-malformed');
    expect((await system.ask('GET', `/v1/objects/${'0'.repeat(40)}/occurrences`, { headers: { authorization: '' } })).status).toBe(401);
  });
});

test('the terminal shows the same', async () => {
  const tekai = (...words: string[]) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [...programOf('services/main.ts'), ...words], { env: { PATH: process.env['PATH'], TEKAI_URL: system.url, TEKAI_TOKEN: system.token }, maxBuffer: 1 << 26 });
    return { status, stdout, text: stdout.toString(), stderr: stderr.toString() };
  };
  expect(tekai('diff', 'content', first(), commits[1]!)).toMatchObject({ status: 0, text: 'R  src/a.ts -> moved/a.ts\nT  run.sh\n' });
  expect(tekai('diff', 'content', first(), commits[1]!, '--summary').text).toContain('R 1');
  expect(JSON.parse(tekai('diff', 'content', first(), '--json').text)).toMatchObject({ to: { commit: commits[3] } });
  expect(tekai('stats', 'content', 'src', '--at', first()).text).toMatch(/TypeScript +2 +15 B +4\n/);
  const folder = mkdtempSync(path.join(tmpdir(), 'tekai-cli-'));
  const file = path.join(folder, 'app.tar');
  expect(tekai('archive', 'content', '--at', first(), '-o', file)).toMatchObject({ status: 0 });
  const byGit = repository.gitBytes(['-c', 'tar.umask=0002', 'archive', '--format=tar', first()]);
  expect([readFileSync(file).equals(byGit), existsSync(`${file}.part`), tekai('archive', 'content', '--at', first()).stdout.equals(byGit)]).toEqual([true, false, true]);
  rmSync(folder, { recursive: true });
  expect(tekai('where', 'content:again').text).toMatch(/root\/content +main +again +\S+, \S+ +still there\n/);
  expect(tekai('where', 'nonsense')).toMatchObject({ status: 64, stderr: expect.stringContaining('neither a blob id') as string });
  await until('the engine is well', () => !system.log().includes('"level":50'));
});
