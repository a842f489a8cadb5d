import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { startDouble, type RunningDouble } from './server.ts';
import { openEventStore } from './store/event-store.ts';

const run = promisify(execFile);
const RECORDED = path.resolve(import.meta.dirname, '../../../shared/eventstoredb');
const questions = existsSync(RECORDED) ? 51 : 0;

let double: RunningDouble;
beforeAll(async () => { double = await startDouble({ port: 0, adminPort: 0, directory: undefined }); });
afterAll(() => double.stop());

async function ask(method: string, where: string, body?: string): Promise<{ status: number; answer: any }> {
  const response = await fetch(`${double.adminUrl}${where}`, { method, ...(body === undefined ? {} : { body }) });
  return { status: response.status, answer: await response.json() };
}

test(`it answers as a real EventStoreDB 24.2.0 did (${questions} recorded answers found)`, async () => {
  if (questions === 0) return;
  const { stdout } = await run(process.execPath, [path.join(RECORDED, 'probe.mjs'), double.url, path.join(RECORDED, 'real-24.2.0.json')]).catch((failed: { stdout: string }) => failed);
  expect(stdout.trim().split('\n')).toEqual([`${questions} passed, 0 failed`]);
});

test.each([
  ['POST', '/faults', '{"kind":"on-fire"}', /kind is one of silent/],
  ['POST', '/faults', '{"kind":"silent","colour":"red"}', /no "colour"/],
  ['POST', '/faults', '{"kind":"slow-commit","on":"read"}', /is for append/],
  ['POST', '/faults', '{"kind":"silent","times":0}', /times cannot be 0/],
  ['POST', '/faults', '{"kind":"not-leader"}', /needs host and port/],
  ['POST', '/faults', '[]', /a JSON object/],
  ['POST', '/faults', '{', /no JSON/],
  ['PUT', '/faults', '{}', /no PUT/],
])('%s %s %s is refused, and says why', async (method, where, body, why) => {
  const { status, answer } = await ask(method, where, body);
  expect(status).toBe(method === 'PUT' ? 404 : 400);
  expect(answer.error).toMatch(why);
  expect((await ask('GET', '/faults')).answer).toEqual([]);
});

test('a fault lets through what it skips, is met so many times, and can be taken away', async () => {
  const { answer: { id } } = await ask('POST', '/faults', '{"kind":"not-ready","on":"append","skip":2,"times":3}');
  expect((await ask('GET', '/faults')).answer).toEqual([{ id, kind: 'not-ready', on: 'append', skip: 2, left: 3, hits: 0, afterEvents: 0 }]);
  await ask('DELETE', `/faults/${id}`);
  expect((await ask('GET', '/faults')).answer).toEqual([]);
});

describe('a folder', () => {
  const event = (id: string) => ({ id, type: 't', contentType: 'application/json', data: Buffer.from('{}'), metadata: Buffer.from('{}') });
  const ID = '7b0f8a2e-7f1c-4d0b-9a53-000000000001';
  let directory: string;
  beforeEach(async () => { directory = await mkdtemp(path.join(tmpdir(), 'eventstore-double-')); });
  afterEach(() => rm(directory, { recursive: true }));

  test('keeps events over a restart, and no recent ids: an append at "any" is doubled, one at its revision is not', () => {
    const before = openEventStore(directory);
    const first = before.append('a', 'no_stream', [event(ID)]);
    expect(before.append('a', 'any', [event(ID)])).toEqual(first);

    const after = openEventStore(directory);
    expect(after.recentIds()).toBe(0);
    expect(after.append('a', 'no_stream', [event(ID)])).toEqual(first);
    expect(after.append('a', 'any', [event(ID)])).toMatchObject({ kind: 'done', revision: 1 });
    expect(after.all.map(({ position }) => position)).toEqual([...new Set(after.all.map(({ position }) => position))].sort((a, b) => a - b));
  });

  test('with a torn end is read up to the last whole append', async () => {
    const before = openEventStore(directory);
    before.append('a', 'no_stream', [event(ID)]);
    await appendFile(path.join(directory, 'events.jsonl'), '[{"id":"torn');
    const after = openEventStore(directory);
    expect(after.all).toEqual(before.all);
    after.append('a', 0, [event(ID)]);
    expect(openEventStore(directory).all).toEqual(after.all);
  });
});
