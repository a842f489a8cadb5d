import { setTimeout as delay } from 'node:timers/promises';
import type { Position } from '#schemas/brand.ts';
import { append, createGate, until } from '#shared/bus/bus-bench.contract.ts';
import { createMemoryFactTopic } from '#shared/bus/memory-fact-topic.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import { followLog } from './follow-log.ts';
import { createLag } from './lag.ts';

/** Longer than a test: so the first is remembered at once, and no other by the time that has passed. */
const CHECKPOINT_EVERY_MS = 600_000;

/** Follows a log of its own; its sleeps end when the test says that it is silent. */
async function following() {
  const log = createMemoryEventLog();
  const topic = createMemoryFactTopic();
  const open = await topic.open('epoch', new AbortController().signal);
  const remembered: Position[] = [];
  const stopping = new AbortController();
  let silence = createGate();
  let sleeping = 0;
  const ended = followLog({
    log, lag: createLag({ metrics: createMetrics(), now: () => new Date(0) }), checkpointEveryMs: CHECKPOINT_EVERY_MS,
    writer: { ...open, checkpoint: async (position) => { remembered.push(position); await open.checkpoint(position); } },
    async sleep(ms, signal) {
      expect(ms).toBe(CHECKPOINT_EVERY_MS);
      sleeping += 1;
      await Promise.race([silence.opened, delay(ms, undefined, { signal, ref: false }).catch(() => undefined)]);
      sleeping -= 1;
    },
  }, stopping.signal);
  const written = () => topic.records.flat().length;
  return {
    remembered, written, head: () => log.head(),
    async add(label: string) {
      const before = written();
      await append(log, label);
      await until('it is written, and the next is waited for', () => written() > before);
    },
    isWaiting: () => until('it waits for a silence', () => sleeping === 1),
    passes() { silence.open(); silence = createGate(); },
    async stop() { stopping.abort(); await ended; },
  };
}

test('what was written last before a silence is remembered in it, once', async () => {
  const relay = await following();
  await relay.add('a1');
  await until('the first is remembered at once', async () => relay.remembered.at(-1) === (await relay.head()));
  const first = relay.remembered.length;
  await relay.add('a2');
  await relay.add('a3');
  await relay.isWaiting();
  expect(relay.remembered).toHaveLength(first);
  relay.passes();
  await until('the last is remembered', async () => relay.remembered.at(-1) === (await relay.head()));
  relay.passes();
  await relay.stop();
  expect(relay.remembered).toHaveLength(first + 1);
});

test('told to stop in a silence it remembers where it is, and waits for nothing', async () => {
  const relay = await following();
  await relay.add('a1');
  await relay.add('a2');
  await relay.isWaiting();
  await relay.stop();
  expect(relay.remembered.at(-1)).toBe(await relay.head());
});
