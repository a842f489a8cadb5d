import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { FACTS } from '#schemas/events/facts.ts';
import { counted, describeFact, shortRef } from './describe-fact.ts';

const COMMIT = '00990f0085c54c8027bb179f17049a85f9a0888c';
const SAMPLES = path.resolve(import.meta.dirname, '../../schemas/samples');

test('a push is told by its refs and where they went', () => {
  const body = { bytes: 1, sha256: 'a'.repeat(64) };
  const ids = { deliveryId: '119588ea-8432-5e03-838c-11940b67513f', sourceId: '119588ea-8432-5e03-838c-11940b67513f', codebaseId: '119588ea-8432-5e03-838c-11940b67513f', gitlabProjectId: 1 };
  const to = (after: string, ref = 'refs/heads/main') => ({ ref, before: COMMIT, after });
  expect(describeFact('push.received', { ...ids, body, refs: [to(COMMIT), to('0'.repeat(40), 'refs/tags/v1')] })).toBe('main to 00990f0085, tag v1 to nothing');
  expect(describeFact('push.received', { ...ids, body, refs: [] })).toBe('no refs named: all are looked at');
});

test('a kind of fact that is newer than this program is told by nothing, not by a failure', () => {
  expect(describeFact('codebase.painted', { colour: 'red' })).toBe('');
  expect(describeFact('codebase.stored', { colour: 'red' })).toBe('');
});

test('every kind of fact that there is has words', () => {
  const files = readdirSync(SAMPLES, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.json'));
  const samples = files.map((file) => JSON.parse(readFileSync(path.join(SAMPLES, file), 'utf8')) as { type?: string; data?: unknown });
  const worded = new Set(samples.filter(({ type, data }) => type !== undefined && describeFact(type, data) !== '').map(({ type }) => type));
  expect(FACTS.map(({ type }) => type).filter((type) => !worded.has(type))).toEqual([]);
});

test('counts and refs read as people say them', () => {
  expect([counted(1, 'object'), counted(1_234, 'object'), shortRef('refs/heads/a/b'), shortRef('refs/tags/v1')]).toEqual(['1 object', '1,234 objects', 'a/b', 'tag v1']);
});
