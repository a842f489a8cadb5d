import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { CODEBASE_ID, codebaseAnswer, problem, scriptedEngine, SOURCE_ID, TIME, TOKEN, type ScriptedEngine } from '#shared/api-client/scripted-engine.fixture.ts';
import { tekai, temporaryFolder } from '../cli-run.fixture.ts';
import { SHELLS } from './completion-script.ts';

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, '../../..');
const { folder, remove } = temporaryFolder();
let engine: ScriptedEngine;

beforeAll(async () => {
  for (const shell of SHELLS) writeFileSync(path.join(folder, shell), (await tekai(['completion', shell])).stdout);
  writeFileSync(path.join(folder, 'tekai'), `#!/bin/sh\nexec '${process.execPath}' --conditions=source --import '${ROOT}/tests/harness/ts-loader.mjs' '${ROOT}/services/main.ts' "$@"\n`, { mode: 0o755 });
  mkdirSync(path.join(folder, 'here'));
  for (const name of ['ca.pem', 'c d.pem', 'key.pem']) writeFileSync(path.join(folder, 'here', name), '');
});
beforeEach(async () => {
  engine = await scriptedEngine();
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [codebaseAnswer(), codebaseAnswer({ id: SOURCE_ID, path: 'team/api' }), codebaseAnswer({ id: CODEBASE_ID, path: 'other/app' })], next: null });
  engine.answer('GET /v1/sources', { sources: [{ id: SOURCE_ID, name: 'my work', baseUrl: 'https://gitlab.example.com', registeredAt: TIME, revision: 0 }] });
});
afterEach(() => engine.stop());
afterAll(remove);

/** What bash offers for a line with the cursor at its end: by the function that is registered for the word "tekai", called as readline calls it. */
async function completed(line: string): Promise<string[]> {
  const script = `source "$1"; set -- "$2"
    [[ $(complete -p tekai) =~ -F\\ ([^ ]+)\\ tekai$ ]] || exit 9
    COMP_LINE=$1 COMP_POINT=\${#1} COMP_WORDS=($1)
    [[ $1 == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
    "\${BASH_REMATCH[1]}" tekai
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = await run('bash', ['--noprofile', '--norc', '-c', script, 'bash', path.join(folder, 'bash'), line], { cwd: path.join(folder, 'here'), env: { PATH: `${folder}:${process.env['PATH']}`, TEKAI_URL: engine.url, TEKAI_TOKEN: TOKEN } });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((one) => one !== '');
}

test.each([
  ['tekai co', ['connect', 'codebase', 'completion']],
  ['tekai codebase r', ['restore', 'rm']],
  ['tekai --json codebase ar', ['archive']],
  ['tekai --url http://x:1 project rem', ['remove-codebase']],
  ['tekai archive app --form', ['--format']],
  ['tekai archive app --format t', ['tar', 'tar.gz']],
  ['tekai source add --cl', ['--client-cert', '--client-key']],
  ['tekai source add x --ca c', ['ca.pem', 'c d.pem']],
  ['tekai completion ', ['bash', 'zsh', 'help']],
  ['tekai sync app --ref ', []],
  ['tekai nonsense ', []],
])('%s⇥', async (line, offered) => {
  expect((await completed(line)).sort()).toEqual([...offered].sort());
});

test('names come from the engine: paths, and ends of paths that no other has; a name with a space is one word', async () => {
  expect(await completed('tekai ls ')).toEqual(['team/app', 'team/api', 'other/app', 'api']);
  expect(await completed('tekai tail team/a')).toEqual(['team/app', 'team/api']);
  expect(await completed('tekai follow mine --codebase o')).toEqual(['other/app']);
  expect(await completed('tekai codebase add m')).toEqual(['my\\ work']);
});

test('an engine that refuses, is silent or is away keeps nobody waiting, and says nothing', async () => {
  engine.answer('GET /v1/codebases?limit=1000', problem(401, 'not-authenticated', 'Send a token.'), { status: 401 });
  expect(await completed('tekai ls ')).toEqual([]);
  engine.answerBy('GET /v1/codebases?limit=1000', () => { /* Never. */ });
  expect(await completed('tekai ls ')).toEqual([]);
  await engine.stop();
  expect(await completed('tekai ls ')).toEqual([]);
  engine = await scriptedEngine();
});

test('no name can act on the shell', async () => {
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [codebaseAnswer({ path: 'a/$(touch pwned);\u001b[31m\nx' })], next: null });
  expect((await completed('tekai ls a/'))[0]).toMatch(/^a\/\\\$\\\(touch\\ pwned\\\)\\;/);
});

const hasZsh = spawnSync('zsh', ['--version']).status === 0;
(hasZsh ? test : test.skip)('zsh takes the script, and finds the same (skipped where there is no zsh)', async () => {
  const script = `autoload -U compinit; compinit -u -d "$2"; source "$1"; print -l -- \${_comps[tekai]}; _tekai_candidates codebase r`;
  const { stdout } = await run('zsh', ['-f', '-c', script, 'zsh', path.join(folder, 'zsh'), path.join(folder, 'dump')], { env: { PATH: process.env['PATH'], HOME: folder } });
  expect(stdout).toBe('_tekai\nrestore\nrm\n');
});
