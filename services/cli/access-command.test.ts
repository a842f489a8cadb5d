import { CODEBASE_ID, codebaseAnswer, scriptedEngine, TIME, type ScriptedEngine } from '#shared/api-client/scripted-engine.fixture.ts';
import { tekai } from './cli-run.fixture.ts';

const [ANN, OTHER] = ['5f0c2f0e-8a54-4d0e-9a3f-0d9c6f3b7c11', '6f0c2f0e-8a54-4d0e-9a3f-0d9c6f3b7c11'];
const SINCE = { id: OTHER, type: 'codebase.readers-observed', position: 'epoch-4', time: TIME, actor: { kind: 'worker', id: 'scheduler', name: null } };
const reading = (change: object = {}) => ({ codebase: CODEBASE_ID, userId: ANN, name: 'ann', because: 'gitlab', gitlabUserId: 7, project: null, since: SINCE, ...change });
const then = (change: object = {}) => ({ position: 'epoch-9', readings: [reading()], unknown: [], next: null, ...change });

let engine: ScriptedEngine;
beforeEach(async () => {
  engine = await scriptedEngine();
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [codebaseAnswer()], next: null });
  engine.answer('GET /v1/users', { users: [{ id: ANN, name: 'ann', isSystemAdmin: false, state: 'active', createdAt: TIME, hasOneTimePassword: false }] });
});
afterEach(() => engine.stop());

const ask = (...words: string[]) => tekai(words, { url: engine.url });
const rows = (text: string) => text.split('\n').map((line) => line.replace(/ {2,}/g, '  '));

describe('access', () => {
  test('as of a moment tells who could read a codebase, why, and since which fact; and what no fact says', async () => {
    engine.answer(`GET /v1/access?codebase=${CODEBASE_ID}&at=epoch-9`, then({
      readings: [reading(), reading({ userId: null, name: null, because: 'open', gitlabUserId: null })], unknown: [{ what: 'bindings', codebase: null }, { what: 'gitlab-readers', codebase: CODEBASE_ID }],
    }));
    const { code, stdout, stderr } = await ask('access', CODEBASE_ID, '--at', 'epoch-9');
    expect([code, rows(stdout)]).toEqual([0, [
      'NAME  COULD READ BECAUSE  SINCE  BY  FACT', `ann  GitLab user 7 may  ${TIME}  worker  codebase.readers-observed epoch-4`,
      `(whoever is signed in)  GitLab shows it, and its source is open  ${TIME}  worker  codebase.readers-observed epoch-4`, '',
    ]]);
    expect(stderr).toMatch(/^As of position epoch-9\. And system admins; .*\nWho was who .*\nOf 1 codebase GitLab had not said yet/);
  });

  test('of a user goes through all pages, and tells each thing that is unknown once', async () => {
    const unknown = [{ what: 'bindings', codebase: null }];
    engine.answer(`GET /v1/access?user=${ANN}`, then({ unknown, next: '/v1/access?after=x' }));
    engine.answer('GET /v1/access?after=x', then({ unknown, readings: [reading({ codebase: OTHER, because: 'project', gitlabUserId: null, project: { id: OTHER, name: 'Billing' } })] }));
    const { stdout, stderr } = await ask('access', '--user', 'ann');
    expect(rows(stdout).slice(1).map((row) => row.split('  ').slice(0, 2))).toEqual([[codebaseAnswer().path, 'GitLab user 7 may'], [OTHER, 'members of Billing may'], ['']]);
    expect(stderr.match(/Who was who/g)).toHaveLength(1);
    expect(JSON.parse((await ask('access', '--user', ANN, '--json')).stdout)).toMatchObject({ readings: [{ userId: ANN }, { codebase: OTHER }], next: null });
  });

  test('of nobody, or of a codebase and a user at once, is a misuse', async () => {
    expect([await ask('access'), await ask('access', CODEBASE_ID, '--user', 'ann')].map(({ code, stderr }) => [code, stderr])).toEqual([[64, expect.stringContaining('Whose access?')], [64, expect.stringContaining('Whose access?')]]);
  });
});
