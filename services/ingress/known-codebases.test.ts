import { randomUUID } from 'node:crypto';
import type { GitLabProjectId, SourceId } from '#schemas/brand.ts';
import { codebaseIdOf, codebaseStream } from '#schemas/ids.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { createKnownCodebases } from './known-codebases.ts';

const SOURCE = randomUUID() as SourceId;
const CODEBASE = codebaseIdOf(SOURCE, 7 as GitLabProjectId);
const parts = { key: CODEBASE, actor: { kind: 'scheduler', id: 'hooks' } as const, correlationId: 'x', causationId: null, time: new Date(0) };

test('whether a webhook signs is remembered for ten seconds, and looked up anew for what would be refused by it, twice a second at most', async () => {
  const log = createMemoryEventLog();
  let [now, looks] = [0, 0];
  const known = createKnownCodebases({ log: { readStream: async (...args) => { looks += 1; return log.readStream(...args); } }, now: () => new Date(now) });
  const installed = (isSigned: boolean) => newFact({ type: 'hook.installed', ...parts, data: { codebaseId: CODEBASE, sourceId: SOURCE, gitlabHookId: 1, how: 'created', isSigned } });
  await log.append(codebaseStream(CODEBASE), 'noStream', [
    newFact({ type: 'codebase.registered', ...parts, data: { codebaseId: CODEBASE, sourceId: SOURCE, gitlabProjectId: 7 as GitLabProjectId, path: null, followed: { branches: ['*'], tags: [] }, command: { id: 'x', digest: '0'.repeat(64) } } }),
    installed(true)]);
  expect(await known.of(CODEBASE)).toEqual({ standing: 'active', isSigned: true });
  await log.append(codebaseStream(CODEBASE), 1, [installed(false)]);
  now = 499;
  for (let deliveries = 0; deliveries < 100; deliveries += 1) expect(await known.afresh(CODEBASE)).toMatchObject({ isSigned: true });
  expect(looks).toBe(1);
  now = 500;
  expect([await known.of(CODEBASE), await known.afresh(CODEBASE), await known.of(CODEBASE)]).toMatchObject([{ isSigned: true }, { isSigned: false }, { isSigned: false }]);
  expect(looks).toBe(2);
});

test('of a log that is slow nobody knows at the door; whoever has time is told', async () => {
  const log = createMemoryEventLog();
  let answer: () => void = () => undefined;
  const isTime = new Promise<void>((resolve) => { answer = resolve; });
  const known = createKnownCodebases({ log: { readStream: async (...args) => { await isTime; return log.readStream(...args); } }, now: () => new Date(0) });
  const patient = known.patiently(CODEBASE);
  expect(await known.afresh(CODEBASE)).toEqual({ standing: 'unknown', isSigned: undefined });
  answer();
  expect(await patient).toEqual({ standing: 'unregistered', isSigned: false });
});
