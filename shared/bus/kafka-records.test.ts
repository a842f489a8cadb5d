import { samples } from '#schemas/samples.fixture.ts';
import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { decodeFactRecord, encodeFactRecord, markOf, NotAFactRecord, partitionOf, topicsOf, type FactRecord } from './kafka-records.ts';

const recorded = samples().map(({ fact }, revision) => ({ ...fact, revision, position: String(revision + 1).padStart(20, '0') as Position }) as unknown as Recorded);
const sent = ({ key, value, headers }: FactRecord) => ({
  key: Buffer.from(key), value: Buffer.from(value), headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])),
});

test.each(recorded.map((fact) => [fact.type, fact] as const))('%s comes out as it went in, with its place in the log', (_type, fact) => {
  const record = encodeFactRecord(fact);
  expect(record.key).toBe(fact.key);
  expect(decodeFactRecord(sent(record))).toEqual(fact);
  expect(markOf(sent(record))).toEqual({ position: fact.position, id: fact.id, type: fact.type, traceparent: fact.traceparent });
});

test('a traceparent is a header where there is one', () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const record = encodeFactRecord({ ...recorded[0]!, traceparent });
  expect(record.headers.traceparent).toBe(traceparent);
  expect(decodeFactRecord(sent(record))).toEqual({ ...recorded[0], traceparent });
  expect(Object.keys(encodeFactRecord(recorded[0]!).headers)).toEqual(['position', 'id', 'type']);
});

test('a record is as big as it says, or smaller', () => {
  const { bytes, value, key } = encodeFactRecord({ ...recorded[0]!, data: { text: 'ü'.repeat(1_000) } });
  expect(bytes).toBeGreaterThan(2_000 + key.length);
  expect(bytes).toBeLessThan(Buffer.byteLength(value) + 400);
});

test.each([
  ['no headers', { headers: {} }], ['an empty position', { headers: { position: '' } }], ['no value', { value: null }], ['a value that is no JSON', { value: Buffer.from('{') }],
  ['another key', { key: Buffer.from('other') }], ['no key', { key: null }], ['another position', { headers: { position: '7' } }], ['a value that is no object', { value: Buffer.from('7') }],
])('a record with %s is none of ours', (_what, change) => {
  const record = sent(encodeFactRecord(recorded[0]!));
  const headers = 'headers' in change && Object.keys(change.headers).length > 0 ? { ...record.headers, ...change.headers } : 'headers' in change ? {} : record.headers;
  expect(() => decodeFactRecord({ ...record, ...change, headers })).toThrow(NotAFactRecord);
});

test('a key has the partition that Kafka\'s own clients give it', () => {
  // Of Kafka's UtilsTest.testMurmur2.
  const hashes: Record<string, number> = { 21: -973932308, foobar: -790332482, 'a-little-bit-long-string': -985981536, 'a-little-bit-longer-string': -1486304829, 'lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8': -58897971, abc: 479470107 };
  for (const [key, hash] of Object.entries(hashes)) expect([key, partitionOf(key, 24)]).toEqual([key, (hash & 0x7fffffff) % 24]);
});

test('topics are named after the prefix', () => {
  expect(topicsOf('tekai')).toEqual({ facts: 'tekai.facts', relay: 'tekai.relay' });
});
