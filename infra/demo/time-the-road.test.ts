import { createApiClient } from '#shared/api-client/api-client.ts';
import { CODEBASE_ID, COMMIT, scriptedEngine, TIME, TOKEN, type ScriptedEngine } from '#shared/api-client/scripted-engine.fixture.ts';
import { timeTheRoad } from './time-the-road.ts';

let engine: ScriptedEngine;
beforeEach(async () => {
  engine = await scriptedEngine();
  engine.answer('GET /v1/events?limit=1', { events: [], next: null, position: 'e-0' });
  engine.answer(`GET ${EVENTS}`, { events: [fact('push.received', { refs: [{ ref: 'refs/heads/main', before: null, after: COMMIT }] }), fact('codebase.fetched', { commit: 'f'.repeat(40) }), fact('codebase.stored', { commit: COMMIT })], next: null, position: 'e-3' });
});
afterEach(() => engine.stop());

const EVENTS = `/v1/events?key=${CODEBASE_ID}&after=e-0&limit=1000`;
const fact = (type: string, data: object) => ({
  id: CODEBASE_ID, type, schemaVersion: 1, key: CODEBASE_ID, time: TIME, actor: { kind: 'worker', id: 'x' }, correlationId: 'c', causationId: null, stream: 'sync-x', revision: 0, position: 'e-1', data,
});
const road = (options: { content?: string; push?: () => Promise<unknown>; msMax?: number } = {}) => timeTheRoad(
  createApiClient({ url: engine.url, token: TOKEN }),
  { codebase: CODEBASE_ID, commit: COMMIT, file: 'new.md', content: options.content ?? 'hello', push: options.push ?? (() => Promise.resolve()) },
  { msMax: options.msMax ?? 30_000 },
);

/** The engine has the file, and tells of it, once the push has come. */
function takesThePush(content = 'hello'): () => Promise<void> {
  let tell = () => {};
  engine.live((line) => {
    line.send({ op: 'subscribed', ch: line.ch, position: 'e-0', recovered: true });
    tell = () => line.send({ op: 'pub', ch: line.ch, position: 'e-3', previous: 'e-0', type: 'codebase.stored', id: CODEBASE_ID, time: TIME, key: CODEBASE_ID, data: { commit: COMMIT } });
  });
  return () => { engine.answer(`GET /v1/codebases/${CODEBASE_ID}/files/new.md`, Buffer.from(content)); tell(); return Promise.resolve(); };
}

test('the road is what this push led to: answers, facts and the message', async () => {
  const { steps } = await road({ push: takesThePush() });
  expect(steps.map((step) => step.what).sort()).toEqual(['WebSocket message', 'codebase.stored', 'delivery received', 'file readable', 'push answered']);
});

test('a step that does not come is named, with those that came', async () => {
  engine.live((line) => line.send({ op: 'subscribed', ch: line.ch, position: 'e-0', recovered: true }));
  engine.answer(`GET ${EVENTS}`, { events: [], next: null, position: 'e-0' });
  await expect(road({ msMax: 300 })).rejects.toThrow('Waited in vain for the file new.md, readable over the API. Seen within 0.3 s: push answered.');
});

test('other bytes than were pushed are a failure', async () => {
  await expect(road({ push: takesThePush('hullo') })).rejects.toThrow('with other bytes than were pushed: "hullo"');
});

test('a push that git refuses is a failure', async () => {
  takesThePush();
  await expect(road({ push: () => Promise.reject(new Error('remote rejected')) })).rejects.toThrow('Waited for git push, and failed: remote rejected.');
});
