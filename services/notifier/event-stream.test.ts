import { positionOutside } from '#schemas/positions.ts';
import { streamedFact, streamError, streamSubscribed } from '#schemas/api/live.ts';
import type { Progress } from '#shared/bus/bus.ts';
import type { Principal } from '#shared/runtime/access.ts';
import { createEventStreams } from './event-stream.ts';
import { openStream, type StreamEvent } from './live-clients.fixture.ts';
import { ANN, createNotifierBench, KEY_A, KEY_B, PROJECT } from './notifier-bench.fixture.ts';
import { LIMITS } from './subscription.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => { for (const stop of stops.splice(0)) await stop(); });

/** One reader of `GET /v1/live`, who reads at once unless the test holds them back. */
function listen(query: { channels: readonly string[]; since?: string; lastEventId?: string; principal?: Principal }, { bench = createNotifierBench() } = {}) {
  const notifier = bench.startNotifier();
  const streams = createEventStreams(notifier.live);
  const events: StreamEvent[] = [];
  const retries: number[] = [];
  const ends: unknown[] = [];
  const opened = openStream(streams, query, { onEvent: (event) => events.push(event), onRetry: (ms) => retries.push(ms), onEnd: (problem) => ends.push(problem) });
  stops.push(async () => { opened.cut(); streams.stop(); await notifier.stop(); });
  const reader = {
    bench, notifier, streams, events, retries, ends, isReading: true, headers: opened.headers, pipe: opened.pipe,
    dataOf: <Name extends StreamEvent['name']>(name: Name) => events.filter((event): event is StreamEvent<Name> => event.name === name).map(({ data }) => data as StreamEvent<Name>['data']),
    until: async (isSo: () => boolean) => {
      for (let turn = 0; turn < 5_000 && !isSo(); turn += 1) { if (reader.isReading) opened.pipe.read(); await new Promise(setImmediate); }
      expect(isSo()).toBe(true);
    },
  };
  return reader;
}

test('several channels are one stream in the log\'s order: each fact once, with the channels that it belongs to', async () => {
  const bench = createNotifierBench();
  await bench.setMember(KEY_A, true);
  const facts = [];
  for (const key of [KEY_B, KEY_A, KEY_B]) facts.push(await bench.append(key));
  bench.project();
  const reader = listen({ channels: [`codebase:${KEY_A}`, `project:${PROJECT}`, `codebase:${KEY_A}`], since: positionOutside(bench.epoch, '' as never) }, { bench });
  await reader.until(() => reader.dataOf('pub').length === 2);
  await bench.append(KEY_A);
  bench.project();
  await reader.until(() => reader.dataOf('pub').length === 3);
  expect(reader.dataOf('subscribed')).toEqual([{ channels: [`codebase:${KEY_A}`, `project:${PROJECT}`], position: positionOutside(bench.epoch, '' as never), recovered: true }]);
  expect(reader.dataOf('pub').map(({ channels }) => channels)).toEqual([[`project:${PROJECT}`], [`codebase:${KEY_A}`, `project:${PROJECT}`], [`codebase:${KEY_A}`, `project:${PROJECT}`]]);
  expect(reader.events.map(({ id }) => id)).toEqual([reader.dataOf('subscribed')[0]?.position, ...reader.dataOf('pub').map(({ position }) => position)]);
  for (const data of reader.dataOf('pub')) expect(streamedFact.parse(data)).toEqual(data);
  expect(streamSubscribed.parse(reader.dataOf('subscribed')[0])).toBeDefined();
  expect(reader.headers).toEqual({ 'Content-Type': 'text/event-stream; charset=utf-8', 'Cache-Control': 'no-store, no-transform', 'X-Accel-Buffering': 'no' });
});

test('where a browser stands overrules where its address began', async () => {
  const bench = createNotifierBench();
  for (let count = 0; count < 3; count += 1) await bench.append(KEY_A);
  bench.project();
  const at = (index: number) => positionOutside(bench.epoch, bench.all[index]?.position as never);
  const reader = listen({ channels: ['all'], since: at(0), lastEventId: at(1) }, { bench });
  await reader.until(() => reader.dataOf('pub').length === 1);
  expect(reader.dataOf('pub')[0]).toMatchObject({ id: bench.all[2]?.id, previous: at(1) });
});

test.each<[string, { channels: readonly string[]; since?: string }]>([
  ['channel-missing', { channels: [] }],
  ['channel-malformed', { channels: ['all', 'project:x'] }],
  ['too-many-channels', { channels: Array.from({ length: 201 }, (_, n) => `codebase:00000000-0000-4000-8000-${String(n).padStart(12, '0')}`) }],
  ['position-malformed', { channels: ['all'], since: 'yesterday' }],
  ['position-ahead', { channels: ['all'], since: positionOutside('an epoch', '00000000000000000009' as never) }],
])('what cannot be served is a problem, before any event: %s', async (code, query) => {
  const reader = listen(query);
  await reader.until(() => reader.ends.length === 1);
  expect(reader.ends[0]).toMatchObject({ status: 400, code });
  expect(reader.events).toEqual([]);
});

test('a reader that does not read is told where to go on, behind all that was written, and let go', async () => {
  const bench = createNotifierBench({ limits: { ...LIMITS, backlogBytes: 5_000, behindBytes: 5_000 } });
  const reader = listen({ channels: ['all'] }, { bench });
  await reader.until(() => reader.dataOf('subscribed').length === 1);
  reader.isReading = false;
  for (let count = 0; count < 40; count += 1) await bench.append(KEY_A);
  bench.project();
  await reader.notifier.untilTold();
  reader.isReading = true;
  await reader.until(() => reader.ends.length === 1);
  expect(reader.dataOf('pub').length).toBeGreaterThan(5);
  expect(reader.dataOf('pub').length).toBeLessThan(40);
  expect(reader.dataOf('error')).toMatchObject([{ code: 'too-slow', position: reader.dataOf('pub').at(-1)?.position }]);
  expect(streamError.parse(reader.dataOf('error')[0])).toBeDefined();
});

test('an engine that stops says so, and spreads when its readers come back', async () => {
  const reader = listen({ channels: ['all'] });
  await reader.until(() => reader.dataOf('subscribed').length === 1);
  reader.streams.stop();
  await reader.until(() => reader.ends.length === 1);
  expect(reader.dataOf('error')).toMatchObject([{ code: 'restarting', position: reader.dataOf('subscribed')[0]?.position }]);
  expect(reader.retries).toEqual([1_000]);
});

test('who is no system admin is served what they may read, told like nothing of the rest, and let go with the place where they stood when it is taken (I7)', async () => {
  const bench = createNotifierBench();
  await bench.setReads(KEY_A, true);
  bench.project();
  const refused = [`codebase:${KEY_B}`, `project:${PROJECT}`, 'all'].map((channel) => listen({ channels: [`codebase:${KEY_A}`, channel], principal: ANN }, { bench }));
  for (const reader of refused) { await reader.until(() => reader.ends.length === 1); expect(reader.events).toEqual([]); }
  expect(refused.map(({ ends }) => ends[0])).toMatchObject([{ status: 404, code: 'codebase-unknown' }, { status: 404, code: 'project-unknown' }, { status: 403, code: 'not-allowed' }]);
  const reader = listen({ channels: [`codebase:${KEY_A}`], principal: ANN }, { bench });
  await reader.until(() => reader.dataOf('subscribed').length === 1);
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  const last = await bench.append(KEY_A);
  bench.project();
  await reader.until(() => reader.dataOf('pub').length === 1);
  await bench.setReads(KEY_A, false);
  await bench.append(KEY_A);
  bench.project();
  await reader.until(() => reader.ends.length === 1);
  expect(reader.dataOf('pub').map(({ id }) => id)).toEqual([last.id]);
  expect(reader.dataOf('error')).toMatchObject([{ code: 'access-lost', position: positionOutside(bench.epoch, last.position) }]);
});

test('progress comes without a place of its own, once for all channels', async () => {
  const reader = listen({ channels: ['all', `codebase:${KEY_A}`, `codebase:${KEY_B}`] });
  await reader.until(() => reader.dataOf('subscribed').length === 1);
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  const progress = { syncId: 's', codebaseId: KEY_A } as unknown as Progress;
  reader.notifier.fanOut.progress(progress);
  await reader.until(() => reader.dataOf('progress').length === 1);
  expect(reader.events.at(-1)).toMatchObject({ name: 'progress', data: { channels: ['all', `codebase:${KEY_A}`], progress } });
  expect([undefined, reader.events[0]?.id]).toContain(reader.events.at(-1)?.id);
});
