import { CAUSE_ID, CODEBASE_ID, codebaseAnswer, COMMIT, receiptAnswer, scriptedEngine, SOURCE_ID, syncAnswer, TIME, TREE, type ScriptedEngine } from '#shared/api-client/scripted-engine.fixture.ts';
import { tekai } from './cli-run.fixture.ts';

let engine: ScriptedEngine;
beforeEach(async () => {
  engine = await scriptedEngine();
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [codebaseAnswer()], next: null });
});
afterEach(() => engine.stop());

const ask = (...words: string[]) => tekai(words, { url: engine.url });

const whence = {
  details: { author: { name: 'Ann\u001b[31m', email: 'a@x', time: TIME }, committer: null, subject: 'mend it', message: 'mend it\n', isMessageCut: false },
  broughtBy: { cause: CAUSE_ID, type: 'push.received', correlationId: 'd', delivery: 'd' },
  steps: { receivedAt: TIME, fetchedAt: TIME, scannedAt: TIME, storedAt: TIME, fetchMs: 100, scanMs: 20, storeMs: 30, totalMs: 150 },
};
const delivery = { id: 'd-1', fact: CAUSE_ID, kind: 'push', sourceId: SOURCE_ID, receivedAt: TIME, codebaseId: CODEBASE_ID, gitlabProjectId: 1, refs: [{ ref: 'refs/heads/main', before: null, after: COMMIT }], reason: null, about: null, event: null, body: { bytes: 812, sha256: 'x' }, position: '28b01625-06' };

test('versions and refs say who, what and how long, and names of others do nothing to the terminal', async () => {
  const version = { ref: 'refs/heads/main', state: 'stored', commit: COMMIT, commitTime: TIME, tree: TREE, objectFormat: 'sha1', sync: CAUSE_ID, storedAt: TIME, observedAt: TIME, position: '28b01625-06' };
  engine.answer(`GET /v1/codebases/${CODEBASE_ID}/versions?ref=release%2F*&limit=20`, { versions: [{ ...version, ...whence }], next: null });
  const { stdout, code } = await ask('versions', 'app', '--ref', 'release/*');
  expect([code, stdout]).toEqual([0, expect.stringMatching(/main +[0-9a-f]{7,} .*150 ms +Ann\\u001b\[31m +push +mend it/)]);
  engine.answer(`GET /v1/codebases/${CODEBASE_ID}/refs`, { defaultRef: 'refs/heads/main', refs: [{ ...receiptAnswer({ isParked: true }), commitTime: TIME, sync: CAUSE_ID, ...whence }], next: null });
  expect((await ask('refs', 'app')).stdout).toMatch(/main .*parked/);
  expect((await ask('versions', 'app', '--limit', '0')).code).toBe(64);
});

test('syncs, deliveries and events are listed, one delivery is shown, and its body comes as it came', async () => {
  engine.answer('GET /v1/syncs?state=stored&limit=20', { syncs: [syncAnswer()], next: null });
  expect((await ask('syncs', '--state', 'stored')).stdout).toContain('stored');
  engine.answer(`GET /v1/deliveries?kind=push&codebase=${CODEBASE_ID}`, { deliveries: [delivery], next: null });
  expect((await ask('deliveries', 'ls', 'app', '--kind', 'push')).stdout).toMatch(/d-1 .*push +812 B +main → /);
  engine.answer('GET /v1/deliveries/d-1', { ...delivery, kept: { headers: { 'x-gitlab-event': 'Push Hook' }, bodyUrl: '/v1/deliveries/d-1/body' }, syncs: [syncAnswer()] });
  expect((await ask('deliveries', 'show', 'd-1')).stdout).toContain('Push Hook');
  engine.answer('GET /v1/deliveries/d-1/body', Buffer.from([0, 255, 10]));
  expect((await ask('deliveries', 'show', 'd-1', '--body')).stdoutBytes.equals(Buffer.from([0, 255, 10]))).toBe(true);
  engine.answer('GET /v1/events?type=push.received&limit=100', { events: [], next: null, position: '28b01625-06' });
  expect((await ask('events', '--type', 'push.received')).code).toBe(0);
});

test('cat waits for what it is told to, and says what is known when that does not come', async () => {
  engine.answer(`GET /v1/codebases/${CODEBASE_ID}/files/a?atLeast=${COMMIT}&wait=1s`, { status: 202, code: 'not-yet', detail: 'It is not here yet.', codebase: CODEBASE_ID, atLeast: COMMIT, position: '28b01625-06', syncs: [], parked: [] }, { status: 202 });
  expect(await ask('cat', 'app', 'a', '--at-least', COMMIT, '--wait', '1s')).toMatchObject({ code: 1, stdout: '', stderr: 'tekai: It is not here yet.\n' });
});
